"""Finds the times of the words of a known text by forced alignment with PocketSphinx.

PocketSphinx aligns the text with a hidden Markov model of phonemes in steps of 10 ms. Its method
differs from Whisper's attention, so the two do not share their errors. It is an optional package:
`pip install pocketsphinx` (the wheel contains the model of American English).
"""

import re
from importlib.util import find_spec
from typing import Any

from stream.errors import UsageError
from stream.evaluate.material.recordings import Audio, at_16_khz, to_int16
from stream.evaluate.measures.record import TimedWord

FRAME_S = 0.01
SILENCE = re.compile(r"<.*>|\[.*\]|\+\+.*")
"""Matches PocketSphinx's names of segments that are not words."""
VARIANT = re.compile(r"\(\d+\)$")
"""Matches the number of an alternative pronunciation, such as "was(2)"."""


class Aligner:
    """Aligns the words of a text with English speech.

    Raises:
        UsageError: PocketSphinx is not installed.
    """

    def __init__(self) -> None:
        if find_spec("pocketsphinx") is None:
            raise UsageError("PocketSphinx is not installed: pip install pocketsphinx.")
        from pocketsphinx import Decoder

        self._decoder: Any = Decoder(lm=None, loglevel="FATAL")

    def align(self, audio: Audio, text: str) -> tuple[TimedWord, ...]:
        """Return the words with their times; () if the alignment failed.

        It fails if a word is not in the dictionary.
        """
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
        # If the beam search lost the text, the words are not those of the text.
        return placed if [word.text for word in placed] == words else ()
