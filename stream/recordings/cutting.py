"""Where a recording is cut into chunks: in pauses, and where there are none with an overlap.

Distil-Whisper's chunked algorithm (Gandhi, von Platen and Rush 2023) cuts by the clock and lets
every chunk overlap both neighbours by a stride. A cut in a pause needs no stride: nothing is cut
through, nothing is heard twice, and a sentence is heard whole. So the longest pause in the later
part of a chunk is where it ends; only where somebody speaks on and on are there strides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stream.core.audio import SAMPLE_RATE
from stream.recordings.speech_track import Span

LEAST_PAUSE_S = 0.25
"""Shorter gaps are consonants, and the detector's hesitation."""
EARLIEST = 0.5
"""A chunk ends in a pause only beyond this part of its length: a shorter one lacks context."""
LONG_PAUSE_S = 3.0
"""So long a silence always ends a chunk: it would only be encoded."""
PAD_S = 0.3
"""Silence that a chunk keeps on either side: a soft consonant, for the detector, is silence."""

PAD = round(PAD_S * SAMPLE_RATE)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of audio that is transcribed in one go, in absolute samples."""

    start_sample: int
    end_sample: int
    overlap: Span | None
    """What it shares with the chunk before, where that was cut in the middle of speech."""


@dataclass(frozen=True, slots=True)
class Cutter:
    """The lengths of chunks, in samples."""

    length: int
    """Strides included."""
    stride: int
    """On either side of a cut that is not in a pause."""

    @property
    def longest_wait(self) -> int:
        """Audio after a chunk's beginning that must have been heard to cut it."""
        return self.length + PAD

    def cut(
        self, start: int, overlap: Span | None, speech: Sequence[Span], heard: int, ended: bool
    ) -> Chunk:
        """Cut a chunk from the beginning of what is left.

        Args:
            start: where it begins.
            overlap: with the chunk before.
            speech: spans after the start, at least one.
            heard: how far the speech is known.
            ended: whether that is the end of the recording.
        """
        limit = start + self.length
        end = natural_end(limit, speech, heard, ended)
        if end is not None:
            return Chunk(start, end, overlap)
        pauses = [(a, b) for a, b in gaps(speech, heard) if a < limit]
        late = [
            (a, b)
            for a, b in pauses
            if a >= start + EARLIEST * self.length and b - a >= LEAST_PAUSE_S * SAMPLE_RATE
        ]
        if not late:
            return Chunk(start, limit, overlap)
        before, after = max(late, key=lambda pause: pause[1] - pause[0])
        return Chunk(start, min(before + PAD, (before + after) // 2, limit), overlap)

    def next_start(self, chunk: Chunk, speech: Sequence[Span]) -> tuple[int, Span | None]:
        """Return where the chunk after this one begins, and what the two have in common.

        `speech` are the spans after the chunk's start.
        """
        if any(start < chunk.end_sample < end for start, end in speech):
            begin = chunk.end_sample - 2 * self.stride
            return begin, (begin, chunk.end_sample)
        return chunk.end_sample, None


def natural_end(limit: int, speech: Sequence[Span], heard: int, ended: bool) -> int | None:
    """Return where a window ends without being cut: in a long silence, or with the recording.

    `limit` is as far as it may reach, the rest as in `Cutter.cut`; None where neither comes before.
    """
    for before, after in gaps(speech, heard):
        if before < limit and after - before >= LONG_PAUSE_S * SAMPLE_RATE:
            return min(before + PAD, limit)
    if ended and speech[-1][1] <= limit:
        return min(speech[-1][1] + PAD, limit)
    return None


def gaps(speech: Sequence[Span], heard: int) -> list[Span]:
    """Return what lies between spans of speech, and after the last of them."""
    begins = [span[0] for span in speech[1:]] + [heard]
    return list(zip((span[1] for span in speech), begins, strict=True))
