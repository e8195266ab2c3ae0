"""The chunked algorithm: independent chunks, which are transcribed in parallel.

Chunks are cut while the audio arrives (`cutting`), transcribed in any order, and joined in order of
time (`joining`). If a chunk was cut in the middle of speech, its words are held back until they are
aligned with those of the next chunk, which overlaps it.
"""

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Hypothesis, Word
from stream.recordings.cutting import Chunk, Cutter
from stream.recordings.joining import join
from stream.recordings.long_form_algorithm import LongFormAlgorithm, WindowOrigin
from stream.recordings.options import FileOptions
from stream.recordings.speech_track import Span, SpeechTrack


class Chunked(LongFormAlgorithm):
    """Transcribes one channel of a recording in independent chunks."""

    def __init__(self, options: FileOptions, origin: WindowOrigin, track: SpeechTrack) -> None:
        super().__init__(options, origin, track)
        self._cutter = Cutter(
            length=round(options.chunk * SAMPLE_RATE),
            stride=round(options.stride * SAMPLE_RATE),
        )
        self._overlap: Span | None = None
        """Samples that the next chunk shares with the previous one; None after a cut in a pause."""
        self._chunks: dict[int, Chunk] = {}
        """Chunks that are not joined yet, by the id of their window, in order of time."""
        self._hypotheses: dict[int, Hypothesis] = {}
        self._words: tuple[Word, ...] = ()
        """Words of the last joined chunk; the next chunk may still change them."""

    def _use_hypothesis(self, hypothesis: Hypothesis) -> None:
        """Store a hypothesis, then join the chunks that are next in order and have theirs."""
        self._hypotheses[hypothesis.window.id] = hypothesis
        while self._chunks and (first := next(iter(self._chunks))) in self._hypotheses:
            self._join(self._chunks.pop(first), self._hypotheses.pop(first))

    def _request_windows(self) -> None:
        """Cut all chunks for which there is enough audio, and make their windows due."""
        while chunk := self._next_chunk():
            options = self._options.decoding(self._language)
            window = self._request_window(chunk.start_sample, chunk.end_sample, options)
            self._chunks[window.id] = chunk
        following = next(iter(self._chunks.values())).overlap if self._chunks else self._overlap
        if following is None:  # no overlap: the last words are certain
            self._emit_words()
        if self._track.ended and not self._chunks:
            self._end_segments()

    def _next_chunk(self) -> Chunk | None:
        """Cut the next chunk; None if it needs more audio, or if there is no more speech."""
        track = self._track
        if self._overlap is None:
            self._skip_silence()
        track.forget_before(self._start)
        speech = self._speech()
        enough = track.analysed_sample - self._start >= self._cutter.lookahead
        if not speech or not (enough or track.ended):
            return None
        chunk = self._cutter.cut(
            self._start, self._overlap, speech, track.analysed_sample, track.ended
        )
        end = min(chunk.end_sample, track.end_sample)
        if track.ended and not track.speech(end, track.analysed_sample):
            self._start, self._overlap = end, None
        else:
            self._start, self._overlap = self._cutter.next_start(chunk, speech)
        return Chunk(chunk.start_sample, end, chunk.overlap)

    def _join(self, chunk: Chunk, hypothesis: Hypothesis) -> None:
        words = hypothesis.words
        if chunk.overlap is not None and not hypothesis.failure:
            self._words, words = join(self._words, words, chunk.overlap)
        self._emit_words()
        self._words = words
        if words:
            self._language = hypothesis.language

    def _emit_words(self) -> None:
        self._add_words(self._words, self._language)
        self._words = ()
