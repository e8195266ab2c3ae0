"""Settings and labels that a telephony service passes with a call."""

import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest

from stream.protocols.messages import Start

FIXED = frozenset({"encoding", "sample_rate", "channels", "resume"})
"""Fields of `start` that a parameter cannot set, because the service sets the audio format."""

SETTINGS = frozenset(Start.__struct_fields__) - FIXED
"""Fields of `start` that a parameter can set."""

LISTS = frozenset({"keyterms", "speakers"})
"""Fields that hold several values; a parameter separates them by commas."""

NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


def room_name(call: str, otherwise: str) -> str:
    """Return the id of a call as the name of a room; `otherwise` if nothing of it can be used."""
    return NOT_IN_NAMES.sub("-", call).lstrip("._-")[:80] or otherwise


def named_speakers(speakers: object, usual: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of the tracks: those in `speakers`, and the usual ones for the others."""
    assert isinstance(speakers, tuple)
    pairs = zip_longest(speakers, usual, fillvalue="")
    return tuple(speaker.strip() or label for speaker, label in pairs)


def sort_parameters(
    parameters: Mapping[str, str],
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return the parameters of a call in two groups: settings, as query fields, and all others."""
    settings = {
        name: [part.strip() for part in value.split(",")] if name in LISTS else [value]
        for name, value in parameters.items()
        if name in SETTINGS
    }
    others = {name: value for name, value in parameters.items() if name not in settings}
    return settings, others
