"""Cuts a recording into chunks: in pauses, or with an overlap if there is no pause.

Distil-Whisper's chunked algorithm (Gandhi, von Platen and Rush 2023) makes all chunks equally long,
and each overlaps both neighbours by a stride. A cut in a pause needs no stride: it divides no word,
no audio is transcribed twice, and a sentence is transcribed as a whole. A chunk therefore ends in
the longest pause in the later part of its maximum length; strides are used only if there is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stream.core.audio import SAMPLE_RATE
from stream.recordings.speech_track import Span

MIN_PAUSE_S = 0.25
"""Shorter gaps between spans of speech are not used: they are consonants or VAD errors."""
EARLIEST = 0.5
"""Fraction of the maximum length before which no pause is used: a short chunk lacks context."""
LONG_PAUSE_S = 3.0
"""A silence of this length always ends a chunk, because encoding it gains nothing."""
PAD_S = 0.3
"""Silence that a chunk includes before and after its speech: the VAD misses soft consonants."""

PAD = round(PAD_S * SAMPLE_RATE)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Audio that is transcribed as one window; sample indices count from the recording's start."""

    start_sample: int
    end_sample: int
    overlap: Span | None
    """Samples that it shares with the previous chunk; None if that ended in a pause."""


@dataclass(frozen=True, slots=True)
class Cutter:
    """Decides where chunks end and begin; lengths are in samples."""

    length: int
    """Maximum length of a chunk, including strides."""
    stride: int
    """Half of the overlap of two chunks, if the cut between them is not in a pause."""

    @property
    def lookahead(self) -> int:
        """Samples after the start of a chunk that the VAD must have analysed before it is cut."""
        return self.length + PAD

    def cut(
        self, start: int, overlap: Span | None, speech: Sequence[Span], analysed: int, ended: bool
    ) -> Chunk:
        """Return the chunk that begins at `start`.

        Args:
            start: first sample of the chunk.
            overlap: samples that it shares with the previous chunk.
            speech: spans of speech after the start, at least one.
            analysed: sample up to which `speech` is complete.
            ended: whether the recording ends there.
        """
        limit = start + self.length
        end = natural_end(limit, speech, analysed, ended)
        if end is not None:
            return Chunk(start, end, overlap)
        pauses = [(a, b) for a, b in gaps(speech, analysed) if a < limit]
        late = [
            (a, b)
            for a, b in pauses
            if a >= start + EARLIEST * self.length and b - a >= MIN_PAUSE_S * SAMPLE_RATE
        ]
        if not late:
            return Chunk(start, limit, overlap)
        before, after = max(late, key=lambda pause: pause[1] - pause[0])
        return Chunk(start, min(before + PAD, (before + after) // 2, limit), overlap)

    def next_start(self, chunk: Chunk, speech: Sequence[Span]) -> tuple[int, Span | None]:
        """Return the first sample of the chunk after this one, and the overlap of the two.

        If `chunk` ends in a pause, the next one begins at its end, and the overlap is None. If it
        ends within speech, its last two strides are the overlap, and the next one begins with them.
        `speech` holds the spans of speech after the start of `chunk`.
        """
        if any(start < chunk.end_sample < end for start, end in speech):
            begin = chunk.end_sample - 2 * self.stride
            return begin, (begin, chunk.end_sample)
        return chunk.end_sample, None


def natural_end(limit: int, speech: Sequence[Span], analysed: int, ended: bool) -> int | None:
    """Return the sample at which a window ends in a long silence or at the end of the speech.

    `limit` is the maximum end; the other arguments are those of `Cutter.cut`. Returns None if there
    is no such end before the limit.
    """
    for before, after in gaps(speech, analysed):
        if before < limit and after - before >= LONG_PAUSE_S * SAMPLE_RATE:
            return min(before + PAD, limit)
    if ended and speech[-1][1] <= limit:
        return min(speech[-1][1] + PAD, limit)
    return None


def gaps(speech: Sequence[Span], analysed: int) -> list[Span]:
    """Return the gaps between the spans of speech, and the one from the last to `analysed`."""
    begins = [span[0] for span in speech[1:]] + [analysed]
    return list(zip((span[1] for span in speech), begins, strict=True))
