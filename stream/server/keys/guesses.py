"""Slows clients that guess keys: after some wrong keys, an address has to wait.

A client whose key was right from the same address not long ago is not made to wait: several people
can share an address.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

from stream.server.keys.key_file import hash_of

TRIES = 10
"""Wrong keys from an address within `WINDOW_S` before it has to wait."""

WINDOW_S = 60.0

TRUSTED_S = 3600.0
"""Seconds for which an address is remembered with the keys that were right."""

MAX_ADDRESSES = 10_000
"""Addresses that are remembered; the one that was seen longest ago is forgotten."""

MAX_KEYS = 100
"""Right keys that are remembered for an address."""


@dataclass(slots=True)
class Seen:
    """What was seen from one address."""

    wrong: deque[float] = field(default_factory=lambda: deque(maxlen=TRIES))
    """Times of the last wrong keys."""
    right: OrderedDict[str, float] = field(default_factory=OrderedDict)
    """Hashes of right keys, and when they were shown last."""


class Guesses:
    """Counts wrong keys by address; an IPv6 address counts as its network of 64 bits."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: OrderedDict[str, Seen] = OrderedDict()

    def wait_s(self, address: str, shown: str) -> int:
        """Return for how many seconds the address has to wait before it shows this key; or 0."""
        seen, now = self._seen.get(network_of(address)), self._clock()
        if seen is None or now - seen.right.get(hash_of(shown), -TRUSTED_S) < TRUSTED_S:
            return 0
        if len(seen.wrong) < TRIES:
            return 0
        return max(int(seen.wrong[0] + WINDOW_S - now) + 1, 0) if self._fresh(seen, now) else 0

    def note(self, address: str, shown: str, *, right: bool) -> None:
        """Note a key that was shown."""
        name, now = network_of(address), self._clock()
        seen = self._seen.setdefault(name, Seen())
        self._seen.move_to_end(name)
        if right:
            seen.right[hash_of(shown)] = now
            seen.right.move_to_end(hash_of(shown))
            while len(seen.right) > MAX_KEYS:
                seen.right.popitem(last=False)
        else:
            seen.wrong.append(now)
        while len(self._seen) > MAX_ADDRESSES:
            self._seen.popitem(last=False)

    @staticmethod
    def _fresh(seen: Seen, now: float) -> bool:
        return now - seen.wrong[0] < WINDOW_S


def network_of(address: str) -> str:
    """Return the address, or the network of an IPv6 address, which one client has to itself."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)
