"""Synthesises sentences with espeak-ng, which reports word times to the millisecond.

The voice is artificial, but it exists for a hundred languages, and its words have known edges: the
library (`libespeak-ng`, called through ctypes) reports where each word and each phoneme begins. A
word ends where the next word, or the pause after it, begins.
"""

import ctypes
import ctypes.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from stream.bench.speech.edges import phrase
from stream.errors import UsageError
from stream.evaluate.material.recordings import Audio
from stream.evaluate.measures.record import TimedWord

RETRIEVAL = 1
"""`AUDIO_OUTPUT_RETRIEVAL`: the samples are passed to the callback, and nothing is played."""
PHONEME_EVENTS = 1
"""`espeakINITIALIZE_PHONEME_EVENTS`."""
UTF_8 = 1
"""`espeakCHARS_UTF8`."""
BY_CHARACTER = 1
"""`POS_CHARACTER`."""
PACE = 1
"""`espeakRATE`: words in a minute."""
LAST, WORD, PHONEME = 0, 1, 7
"""Types of events."""
PAUSE = "_"
"""The names of pauses among the phonemes begin with this character."""
USUAL_PACE = 175


class EspeakEvent(ctypes.Structure):
    """`espeak_EVENT` of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


class EspeakVoice(ctypes.Structure):
    """`espeak_VOICE` of speak_lib.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("internal", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


Callback = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.POINTER(ctypes.c_short),
    ctypes.c_int,
    ctypes.POINTER(EspeakEvent),
)


@dataclass(frozen=True, slots=True)
class Sound:
    """The start of a word or of a phoneme."""

    kind: int
    """`WORD` or `PHONEME`."""
    at_s: float
    place: slice
    """The characters of a word in the text."""
    name: str
    """Name of a phoneme or a pause; "" for a word."""


def speak(text: str, voice: str, pace: int = USUAL_PACE) -> tuple[Audio, tuple[TimedWord, ...]]:
    """Synthesise a text; return the audio, and its words with their times.

    espeak-ng speaks some pairs ("of the") as one word: the edge within such a pair is not known.

    Args:
        text: the text, in the language of the voice.
        voice: the voice's language as `espeak-ng --voices` lists it, such as `en-gb` or `de`.
        pace: words in a minute.

    Raises:
        UsageError: espeak-ng is not installed, or has no such voice.
    """
    library, rate = _espeak()
    if library.espeak_SetVoiceByProperties(ctypes.byref(EspeakVoice(languages=voice.encode()))):
        raise UsageError(f"espeak-ng has no voice {voice!r}; `espeak-ng --voices` lists them.")
    library.espeak_SetParameter(PACE, pace, 0)
    pieces: list[Any] = []
    sounds: list[Sound] = []

    def take(samples: Any, n_samples: int, events: Any) -> int:
        if n_samples:
            pieces.append(np.ctypeslib.as_array(samples, (n_samples,)).copy())
        for event in _until_last(events):
            if event.type == PHONEME or (event.type == WORD and event.length):
                first = event.text_position - 1
                place = slice(first, first + event.length)
                name = event.id.decode("utf-8", "replace") if event.type == PHONEME else ""
                sounds.append(Sound(event.type, event.audio_position / 1000, place, name))
        return 0

    callback = Callback(take)
    library.espeak_SetSynthCallback(callback)
    data = text.encode() + b"\0"
    library.espeak_Synth(data, len(data), 0, BY_CHARACTER, 0, UTF_8, None, None)
    library.espeak_Synchronize()
    audio = Audio(np.concatenate(pieces) if pieces else np.zeros(0, np.int16), rate)
    return audio, timed_words(text, sounds, audio.seconds)


def _until_last(events: Any) -> list[EspeakEvent]:
    found: list[EspeakEvent] = []
    while events[len(found)].type != LAST:
        found.append(events[len(found)])
    return found


def timed_words(text: str, sounds: Sequence[Sound], seconds: float) -> tuple[TimedWord, ...]:
    """Return the words with their times, from the events of espeak-ng.

    Args:
        text: the text that was spoken.
        sounds: words and phonemes in order of time.
        seconds: the duration of the speech.
    """
    starts = [i for i, sound in enumerate(sounds) if sound.kind == WORD]
    words: list[TimedWord] = []
    for i, following in zip(starts, [*starts[1:], len(sounds)], strict=True):
        phonemes = [s for s in sounds[i + 1 : following] if s.kind == PHONEME]
        spoken = [n for n, s in enumerate(phonemes) if s.name and not s.name.startswith(PAUSE)]
        if not spoken:
            continue
        after = phonemes[spoken[-1] + 1 :]
        end_s = sounds[following].at_s if following < len(sounds) else seconds
        end_s = after[0].at_s if after else end_s
        until = sounds[following].place.start if following < len(sounds) else len(text)
        words += phrase(text[sounds[i].place.start : until], phonemes[spoken[0]].at_s, end_s)
    return tuple(words)


@cache
def _espeak() -> tuple[Any, int]:
    """Load the library, once in a process; return it and its sample rate in hertz."""
    name = ctypes.util.find_library("espeak-ng")
    if name is None:
        raise UsageError("espeak-ng is not installed: apt install espeak-ng.")
    library = ctypes.CDLL(name)
    rate = library.espeak_Initialize(RETRIEVAL, 0, None, PHONEME_EVENTS)
    if rate <= 0:
        raise UsageError("espeak-ng has no voices: apt install espeak-ng-data.")
    return library, int(rate)
