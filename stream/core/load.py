"""The load of a server, as its streams are told it."""

from enum import Enum

SLOW_HOPS = 3
"""Under `SLOW_PARTIALS` a partial is due after this multiple of the usual new audio."""


class Load(Enum):
    """What a server omits under load; it never omits finals."""

    NORMAL = "normal"
    SLOW_PARTIALS = "slow_partials"
    """Partials are less frequent."""
    FINALS_ONLY = "finals_only"
    """There are no partials until the load decreases."""
