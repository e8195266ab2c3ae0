"""Composes speech that repeats itself from recordings of people.

The phrases are prompts of a telephone system (`prompts`) and sentences of a manifest. A repetition
is a phrase that is said several times, with pauses in between. It is compared with varied speech:
the same phrases, of which no two neighbours are equal, with the same pauses.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

import numpy as np

from stream.bench.speech.prompts import Prompt, prompt_files, trimmed
from stream.core.audio import SAMPLE_RATE
from stream.evaluate.material.recordings import (
    Audio,
    Recording,
    at_16_khz,
    read_audio,
    to_int16,
)

SORTS = {
    "one word": ("vm-no", "hello", "goodbye", "digits/oh"),
    "a short phrase": ("one-moment-please", "hello-world", "please-try-again", "auth-thankyou"),
    "please hold": ("pls-hold-while-try", "queue-thankyou", "vm-dialout"),
    "a countdown": tuple(f"digits/{n}" for n in range(10, 0, -1)),
    "equal digits": ("digits/1", "digits/1", "digits/1", "digits/7", "digits/7", "digits/0"),
    "a prayer": ("queue-youarenext", "im-sorry"),
    "a chorus": ("tt-weasels", "tt-monkeysintro", "tt-somethingwrong", "tt-monkeysintro"),
}
"""Names of prompts for each sort of repetition. Those of a sort in `WHOLE` follow each other and
are repeated together; each prompt of another sort is repeated by itself."""
WHOLE = frozenset({"a countdown", "equal digits", "a prayer", "a chorus"})
A_SENTENCE = "a sentence"
"""The sort of the sentences of a manifest."""

COPIES = (2, 3, 4, 5, 7, 9, 10)
PAUSES_S = (0.15, 0.3, 0.6, 1.0)
"""Seconds of silence between two copies. The shortest pause is like that between two words, the
longest ends an utterance."""
WITHIN_S = 0.2
"""Seconds of silence between the prompts of a copy."""
REST_S = 2.0
"""Seconds of silence after a repetition."""
LONGEST_S = 60.0
"""A repetition is not longer than this, unless two copies of its phrase already are."""


@dataclass(frozen=True, slots=True, eq=False)
class Phrase:
    """A phrase that can be repeated: its sort, its text, and its audio at 16 kHz."""

    sort: str
    text: str
    audio: Audio


@dataclass(frozen=True, slots=True)
class Repetition:
    """A phrase that is said `copies` times, as a recording."""

    phrase: Phrase
    copies: int
    pause_s: float
    recording: Recording


def phrases(sentences: Sequence[Recording]) -> list[Phrase]:
    """Return the phrases of all sorts.

    Args:
        sentences: recordings with known text, each a sentence.

    Raises:
        UsageError: the prompts are not installed.
    """
    files = prompt_files("en")
    found = []
    for sort, names in SORTS.items():
        members = [names] if sort in WHOLE else [(name,) for name in names]
        found += [phrase_of(sort, [files[name] for name in group]) for group in members]
    found += [Phrase(A_SENTENCE, one.text or "", one.read()) for one in sentences]
    return [replace(one, audio=resampled(one.audio)) for one in found]


def phrase_of(sort: str, members: Sequence[Prompt]) -> Phrase:
    """Return prompts as one phrase."""
    audio = [trimmed(read_audio([member.path])) for member in members]
    text = " ".join(member.text.strip(" .") for member in members)
    return Phrase(sort, text, joined(audio, [WITHIN_S] * (len(audio) - 1)))


def repetitions(known: Sequence[Phrase], seconds: float, seed: int = 0) -> Iterator[Repetition]:
    """Yield repetitions of at least `seconds` in all, the sorts in turn.

    Phrases, copies and pauses are drawn at random; the same seed gives the same ones.
    """
    draw = random.Random(seed)
    by_sort: dict[str, list[Phrase]] = {}
    for phrase in known:
        by_sort.setdefault(phrase.sort, []).append(phrase)
    played_s = 0.0
    for number in count():
        sort = list(by_sort)[number % len(by_sort)]
        phrase, pause_s = draw.choice(by_sort[sort]), draw.choice(PAUSES_S)
        most = max(2, int(LONGEST_S / (phrase.audio.seconds + pause_s)))
        one = repeat(phrase, min(draw.choice(COPIES), most), pause_s, f"{number}: {sort}")
        yield one
        played_s += one.recording.read().seconds
        if played_s >= seconds:
            return


def repeat(phrase: Phrase, copies: int, pause_s: float, name: str) -> Repetition:
    """Return a phrase that is said `copies` times, with a pause after each."""
    audio = joined([phrase.audio] * copies, [pause_s] * (copies - 1) + [REST_S])
    text = " ".join([phrase.text] * copies)
    recording = Recording(name, phrase.sort, "repeated", text, lambda: audio)
    return Repetition(phrase, copies, pause_s, recording)


def varied(of: Sequence[Repetition], seed: int = 0) -> list[Recording]:
    """Return as many recordings of the same phrases, copies and pauses, in a mixed order."""
    spoken = [one.phrase for one in of for _ in range(one.copies)]
    order = random.Random(seed)
    order.shuffle(spoken)
    found = []
    for number, one in enumerate(of):
        own, spoken = spoken[: one.copies], spoken[one.copies :]
        audio = joined([p.audio for p in own], [one.pause_s] * (one.copies - 1) + [REST_S])
        text = " ".join(phrase.text for phrase in own)
        read = partial(Audio, audio.samples, audio.rate)
        found.append(Recording(f"varied {number}", "varied", "varied", text, read))
    return found


def joined(pieces: Sequence[Audio], pauses_s: Sequence[float]) -> Audio:
    """Join pieces of audio with the same sample rate, with silences between them.

    Piece i is followed by `pauses_s[i]` seconds; the pieces beyond the last pause by none.
    """
    rate = pieces[0].rate
    samples = []
    for number, piece in enumerate(pieces):
        samples.append(piece.samples)
        if number < len(pauses_s):
            samples.append(np.zeros(round(pauses_s[number] * rate), np.int16))
    return Audio(np.concatenate(samples), rate)


def resampled(audio: Audio) -> Audio:
    """Return audio at 16 kHz."""
    return audio if audio.rate == SAMPLE_RATE else Audio(to_int16(at_16_khz(audio)), SAMPLE_RATE)
