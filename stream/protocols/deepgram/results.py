"""Writes the messages of Deepgram's `/v1/listen`: ranges of audio and the words in them.

The ranges of a channel's final results follow each other without gaps: the silence before an
utterance belongs to its result, so that every sample is in one final range.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import regex

from stream.core import events
from stream.core.windows import Word
from stream.protocols.event_messages import seconds, text_of

Json = dict[str, Any]

OUTER_PUNCTUATION = regex.compile(r"^[^\p{L}\p{N}\p{M}$€£%+\-]+|[^\p{L}\p{N}\p{M}$€£%]+$")
"""What a bare word has not: punctuation before and after it."""


def request_id(session_id: str) -> str:
    """Return a UUID for the id of a session: the same one for all its messages."""
    padded = session_id.encode().ljust(16, b"\0")[:16]
    return str(UUID(bytes=padded, version=4))


def bare(word: str) -> str:
    """Return a word without its outer punctuation, in lower case."""
    stripped: str = OUTER_PUNCTUATION.sub("", word.strip())
    return stripped.lower()


def transcript(words: Sequence[Word], *, punctuated: bool) -> str:
    """Return the words as text; without punctuation if it was not asked for."""
    if punctuated:
        return text_of(words).strip()
    pieces = [
        (word.text[: 1 if word.text.startswith(" ") else 0], bare(word.text)) for word in words
    ]
    return "".join(space + text for space, text in pieces if text).strip()


def word_fields(word: Word, language: str, *, punctuated: bool) -> Json:
    """Return the fields of a word; `punctuated_word` and `language` if they were asked for."""
    fields: Json = {
        "word": bare(word.text) or word.text.strip(),
        "start": seconds(word.start_sample),
        "end": seconds(word.end_sample),
        "confidence": round(word.confidence, 4),
    }
    if punctuated:
        fields["punctuated_word"] = word.text.strip()
    if language:
        fields["language"] = language
    return fields


def alternative(words: Sequence[Word], language: str, *, punctuated: bool) -> Json:
    """Return the only alternative; `language` is empty if it is not to be named."""
    confidence = sum(word.confidence for word in words) / max(len(words), 1)
    fields: Json = {
        "transcript": transcript(words, punctuated=punctuated),
        "confidence": round(confidence, 4),
        "words": [word_fields(word, language, punctuated=punctuated) for word in words],
    }
    if language and words:
        fields["languages"] = [language]
    return fields


class ChannelResults:
    """The ranges of one channel, and what is due in it."""

    def __init__(self, index: int, channels: int) -> None:
        self.index = [index, channels]
        self.settled_sample = 0
        """16 kHz sample before which all audio is in a final range."""
        self.last_word_sample: int | None = None
        """End of the last word of the finals, until its `UtteranceEnd` was sent."""
        self.starts: list[int] = []
        """Where the speech of each utterance begins that has no final yet."""
        self.held: events.Final | None = None
        """A final that may be the last one before a `Finalize`."""

    def take_range(self, end_sample: int) -> Json:
        """Settle the audio before a sample, and return the fields of this range."""
        start, end = self.settled_sample, max(end_sample, self.settled_sample)
        self.settled_sample = end
        return self._range(start, end)

    def show_range(self, end_sample: int) -> Json:
        """Return the fields of a range that is not final."""
        return self._range(self.settled_sample, max(end_sample, self.settled_sample))

    def _range(self, start: int, end: int) -> Json:
        # Both ends are rounded before the difference, so that a range ends where the next begins.
        return {
            "channel_index": self.index,
            "start": seconds(start),
            "duration": round(seconds(end) - seconds(start), 3),
        }

    def utterance_ended(self, now_sample: int, gap_samples: int) -> Json | None:
        """Return `UtteranceEnd` if the gap after the last word is long enough; else None.

        The gap ends where the next utterance begins, or now.
        """
        last = self.last_word_sample
        until = self.starts[0] if self.starts else now_sample
        if last is None or until - last < gap_samples:
            return None
        self.last_word_sample = None
        return {
            "type": "UtteranceEnd",
            "channel": self.index,
            "last_word_end": seconds(last),
        }
