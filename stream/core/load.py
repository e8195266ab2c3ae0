"""How much a server can give a stream just now, as the stream is told it."""

from enum import Enum

SLOW_HOPS = 3
"""Under `SLOW_PARTIALS` a partial is due after so many times the usual new audio."""


class Load(Enum):
    """What is left out under load; finals never are."""

    NORMAL = "normal"
    SLOW_PARTIALS = "slow_partials"
    """Partials come more seldom."""
    FINALS_ONLY = "finals_only"
    """None come until the load is less."""
