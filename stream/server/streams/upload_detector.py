"""Tells a live stream from an upload by how far its audio is ahead of the clock.

An upload may wait for live streams in the engine. Pure: the time is passed in, in seconds of any
steady clock.
"""

UPLOAD_AHEAD_S = 2.0
"""A stream is an upload if it has sent so much more audio than could have been spoken."""

WAITED_S = 0.005
"""If the next message took longer to arrive, the client had no backlog to send."""

PACE_S = 10.0
"""How often the measurement begins anew. A client that resumes a stream sends its backlog first,
and is live afterwards."""


class UploadDetector:
    """The pace of one stream's audio since a moment when the client had no backlog."""

    def __init__(self, now: float) -> None:
        self._since_s = now
        self._audio_s_then = 0.0

    def note_message(self, now: float, waited_s: float, audio_s: float) -> None:
        """Take note of a message, before its audio is counted.

        Args:
            now: when it arrived.
            waited_s: how long the server waited for it.
            audio_s: seconds of audio that arrived before it.
        """
        without_backlog = waited_s > WAITED_S and now - self._since_s > PACE_S
        if not audio_s or without_backlog:
            self._since_s, self._audio_s_then = now, audio_s

    def is_live(self, now: float, audio_s: float) -> bool:
        """Return whether the audio arrives at the pace of speech; `audio_s` is all of it so far."""
        return audio_s - self._audio_s_then - (now - self._since_s) < UPLOAD_AHEAD_S
