"""The chunked algorithm: chunks by themselves, as many at once as the engine takes.

Chunks are cut as the audio comes (`cutting`), answered in any order and joined in theirs
(`joining`). The last words of a chunk that was cut in the middle of speech wait for the next one,
which has heard them as well.
"""

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Hypothesis, Word
from stream.recordings.algorithm import Form, Place
from stream.recordings.cutting import Chunk, Cutter
from stream.recordings.joining import join
from stream.recordings.options import FileOptions
from stream.recordings.speech_track import Span, SpeechTrack


class Chunked(Form):
    """One channel of a recording, chunk by chunk."""

    def __init__(self, options: FileOptions, place: Place, track: SpeechTrack) -> None:
        super().__init__(options, place, track)
        self._cutter = Cutter(
            length=round(options.chunk * SAMPLE_RATE),
            stride=round(options.stride * SAMPLE_RATE),
        )
        self._overlap: Span | None = None
        """Of the next chunk with the one before."""
        self._chunks: dict[int, Chunk] = {}
        """By window, those that wait for their hypothesis or for their turn; in order."""
        self._answers: dict[int, Hypothesis] = {}
        self._words: tuple[Word, ...] = ()
        """Of the last chunk in turn, those that the next one may change."""

    def _take(self, hypothesis: Hypothesis) -> None:
        """Join what has its turn."""
        self._answers[hypothesis.window.id] = hypothesis
        while self._chunks and (first := next(iter(self._chunks))) in self._answers:
            self._join(self._chunks.pop(first), self._answers.pop(first))

    def _ask(self) -> None:
        """Cut all the chunks that can be cut by now."""
        while chunk := self._next_chunk():
            options = self._options.decoding(self._language)
            window = self._window(chunk.start_sample, chunk.end_sample, options)
            self._chunks[window.id] = chunk
        following = next(iter(self._chunks.values())).overlap if self._chunks else self._overlap
        if following is None:  # nothing can change the last words any more
            self._say_words()
        if self._track.ended and not self._chunks:
            self._say_last()

    def _next_chunk(self) -> Chunk | None:
        """Cut one chunk from the beginning of what is left, if enough of it was heard."""
        track = self._track
        if self._overlap is None:
            self._skip_silence()
        track.forget_before(self._start)
        speech = self._speech()
        enough = track.judged_sample - self._start >= self._cutter.longest_wait
        if not speech or not (enough or track.ended):
            return None
        chunk = self._cutter.cut(
            self._start, self._overlap, speech, track.judged_sample, track.ended
        )
        end = min(chunk.end_sample, track.end_sample)
        if track.ended and not track.speech(end, track.judged_sample):
            self._start, self._overlap = end, None
        else:
            self._start, self._overlap = self._cutter.next_start(chunk, speech)
        return Chunk(chunk.start_sample, end, chunk.overlap)

    def _join(self, chunk: Chunk, hypothesis: Hypothesis) -> None:
        words = hypothesis.words
        if chunk.overlap is not None and not hypothesis.failure:
            self._words, words = join(self._words, words, chunk.overlap)
        self._say_words()
        self._words = words
        if words:
            self._language = hypothesis.language

    def _say_words(self) -> None:
        self._say(self._words, self._language)
        self._words = ()
