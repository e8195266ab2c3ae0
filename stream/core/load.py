"""The load of a server, as it is reported to the streams."""

from enum import Enum

SLOW_HOPS = 3
"""Under `SLOW_PARTIALS`, the new audio between partials is multiplied by this factor."""


class Load(Enum):
    """Which messages a server omits because it is busy; it never omits finals."""

    NORMAL = "normal"
    SLOW_PARTIALS = "slow_partials"
    """Partials are less frequent."""
    FINALS_ONLY = "finals_only"
    """There are no partials until the load decreases."""
