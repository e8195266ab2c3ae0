"""The items of a transcription session: each is a stretch of audio and its words."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from stream.core.windows import Word
from stream.protocols.event_messages import text_of

Json = dict[str, Any]


@dataclass(slots=True)
class Item:
    """An item, from its first audio to its transcript."""

    id: str
    start_sample: int
    """16 kHz sample at which its audio begins."""
    end_sample: int | None = None
    """Where it ends; None until it is committed."""
    mark: int | None = None
    """The mark of the session after which all its words are final, if the client committed it."""
    discarded: bool = False
    """Whether the client cleared the buffer: its words are not told."""
    words: tuple[Word, ...] = ()
    """Final words."""
    sent: int = 0
    """Words that were sent as deltas."""
    language: str = ""
    text: str = field(default="")
    """What the deltas so far spell."""

    def delta(self, words: Sequence[Word]) -> tuple[str, Sequence[Word]]:
        """Take the words that will not change; return the new text, and the words in it."""
        new = words[self.sent :]
        self.sent += len(new)
        more = text_of(new)
        more = more if self.text else more.lstrip()
        self.text += more
        return more, new

    @property
    def transcript(self) -> str:
        """The final text: the deltas joined."""
        return self.text.strip()


def conversation_item(item: Item) -> Json:
    """Return the item as the conversation shows it."""
    return {
        "id": item.id,
        "type": "message",
        "object": "realtime.item",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_audio", "transcript": None}],
    }
