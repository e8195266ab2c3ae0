"""Limits how many connections are open, in all and from one address. Pure."""

from collections import Counter
from ipaddress import ip_address


class ConnectionShares:
    """Counts open connections by the address of the client."""

    def __init__(self, most: int, most_per_address: int | None = None) -> None:
        """Allow `most` connections in all.

        One address may have `most_per_address`. With None it may have a quarter of all, unless it
        is a loopback address, from which a proxy connects for all its clients.
        """
        self.most = most
        self._most_per_address = most_per_address
        self._open: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._open.total()

    def enter(self, address: str) -> bool:
        """Count a connection and return True; return False if there are too many."""
        if len(self) >= self.most or self._open[address] >= self._share(address):
            return False
        self._open[address] += 1
        return True

    def leave(self, address: str) -> None:
        """Count a connection as closed."""
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]

    def _share(self, address: str) -> int:
        if self._most_per_address is not None:
            return self._most_per_address
        return self.most if is_loopback(address) else max(self.most // 4, 1)


def is_loopback(address: str) -> bool:
    """Return whether an address is of this machine; an empty one is that of a local socket."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return True
