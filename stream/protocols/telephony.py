"""The common part of telephony protocols: a call is a stream whose captions go to its room.

Most telephone exchanges cannot use captions, so no messages are sent to them: captions are read in
the room of the call, or sent by a webhook. The reason in the close frame describes an error.
"""

from stream.core import events
from stream.protocols.session_protocol import SessionProtocol

KEYS = frozenset("0123456789*#ABCD")
"""The keys of a telephone."""


class CallProtocol(SessionProtocol):
    """A call, over any telephony protocol."""

    def add_call_audio(self, audio: bytes) -> None:
        """Pass audio, channels interleaved, to the session; ignore it if the call is over."""
        if self.session is not None and not self.no_more_audio:
            self.add_audio(audio)

    def add_call_gap(self, n_samples: int) -> None:
        """Let time pass without audio in all channels; ignore it when the call is over."""
        if self.session is not None and not self.no_more_audio:
            self.add_gap(n_samples)

    def press_key(self, key: str, channel: int, sample: int, session_id: str | None = None) -> None:
        """Report to the room that a key was pressed at a 16 kHz sample; ignore unknown keys."""
        if key in KEYS:
            self.share(events.KeyPressed(channel, key, sample), session_id or self.session_id)
