"""When the words of a known text are said, by another recogniser's forced alignment.

PocketSphinx is told the text and only has to place it: a hidden Markov model of phonemes in steps
of 10 ms, of another make than Whisper's attention, so that the two do not share their faults. It
is no dependency: `pip install pocketsphinx` (its wheel holds the model of American English).
"""

import re
from importlib.util import find_spec
from typing import Any

from stream.errors import UsageError
from stream.evaluate.material.recordings import Audio, at_16_khz, to_int16
from stream.evaluate.measures.record import TimedWord

FRAME_S = 0.01
SILENCE = re.compile(r"<.*>|\[.*\]|\+\+.*")
"""How PocketSphinx names what is no word."""
VARIANT = re.compile(r"\(\d+\)$")
"""The number of a word's other pronunciation, such as "was(2)"."""


class Aligner:
    """Places words in English speech.

    Raises `UsageError` where PocketSphinx is not installed.
    """

    def __init__(self) -> None:
        if find_spec("pocketsphinx") is None:
            raise UsageError("Words are aligned by PocketSphinx: pip install pocketsphinx.")
        from pocketsphinx import Decoder

        self._decoder: Any = Decoder(lm=None, loglevel="FATAL")

    def align(self, audio: Audio, text: str) -> tuple[TimedWord, ...]:
        """Return when each word is said; nothing where a word is not in the dictionary."""
        words = re.sub(r"[^a-z' ]", " ", text.lower()).split()
        if not words or any(self._decoder.lookup_word(word) is None for word in words):
            return ()
        self._decoder.set_align_text(" ".join(words))
        self._decoder.start_utt()
        self._decoder.process_raw(to_int16(at_16_khz(audio)).tobytes(), full_utt=True)
        self._decoder.end_utt()
        placed = tuple(
            TimedWord(
                VARIANT.sub("", segment.word),
                segment.start_frame * FRAME_S,
                (segment.end_frame + 1) * FRAME_S,
            )
            for segment in self._decoder.seg() or ()
            if not SILENCE.fullmatch(segment.word)
        )
        # Where the beam lost the text, what was placed is not it.
        return placed if [word.text for word in placed] == words else ()
