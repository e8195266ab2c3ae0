"""Finals of several channels in the order in which their utterances began.

A final comes when its utterance is over, so a long turn's comes after that of a "yes" said within
it. Here a final waits while an utterance is open that began before it.
"""

from distil_stream_client import Final, ServerEvent, SpeechStarted


class Dialogue:
    """Takes the events of a stream, gives its finals in order."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, int], float] = {}
        """When the utterances began that are not final, in seconds."""
        self._waiting: list[Final] = []

    def receive(self, event: ServerEvent) -> list[Final]:
        """Take an event, and return the finals that nothing can come before any more."""
        match event:
            case SpeechStarted(channel=channel, utterance=utterance, time=time):
                self._open[channel, utterance] = time
                return []
            case Final(channel=channel, utterance=utterance):
                self._open.pop((channel, utterance), None)
                self._waiting.append(event)
                self._waiting.sort(key=lambda final: (final.start, final.channel))
        earliest = min(self._open.values(), default=float("inf"))
        ready = [final for final in self._waiting if final.start <= earliest]
        self._waiting = self._waiting[len(ready) :]
        return ready

    def rest(self) -> list[Final]:
        """Return the finals that still wait: no more events will come."""
        rest, self._waiting = self._waiting, []
        return rest
