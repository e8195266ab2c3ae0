"""Distinguishes live streams from uploads, by how far the audio is ahead of the clock.

Uploads may wait for live streams in the engine. Pure: the time is passed in, in seconds of any
monotonic clock.
"""

UPLOAD_AHEAD_S = 2.0
"""A stream is an upload if it has sent at least this much more audio than time has passed."""

WAITED_S = 0.005
"""If the server waited longer than this for the next message, the client had no backlog."""

PACE_S = 10.0
"""Least time after which the measurement is restarted, if the client has no backlog. A client that
resumes a stream sends its backlog first, and is live afterwards."""


class UploadDetector:
    """Measures the pace of the audio of one stream, from a time when the client had no backlog."""

    def __init__(self, now: float) -> None:
        self._since_s = now
        self._audio_s_then = 0.0

    def note_message(self, now: float, waited_s: float, audio_s: float) -> None:
        """Take the arrival of a message into account.

        The measurement of the pace is restarted at this message if no audio came before it, or if
        the client had no backlog and the measurement is older than `PACE_S`. The client had no
        backlog if the server waited for the message.

        Args:
            now: time at which the message arrived.
            waited_s: seconds for which the server waited for the message.
            audio_s: seconds of audio that arrived before the message.
        """
        without_backlog = waited_s > WAITED_S and now - self._since_s > PACE_S
        if not audio_s or without_backlog:
            self._since_s, self._audio_s_then = now, audio_s

    def is_live(self, now: float, audio_s: float) -> bool:
        """Return whether the audio arrives at the pace of speech.

        Args:
            now: the current time.
            audio_s: seconds of all audio so far.
        """
        return audio_s - self._audio_s_then - (now - self._since_s) < UPLOAD_AHEAD_S
