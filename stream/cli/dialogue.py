"""Sorts the finals of several channels by the start of their utterances.

A final arrives at the end of its utterance, so the final of a long turn arrives after the final of
a short interjection. A final is therefore held back while an utterance that began earlier is open.
"""

from distil_stream_client import Final, ServerEvent, SpeechStarted


class Dialogue:
    """Takes the events of a stream, and returns its finals in the order of their start."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, int], float] = {}
        """Start times in seconds of the open utterances, by channel and number."""
        self._waiting: list[Final] = []

    def receive(self, event: ServerEvent) -> list[Final]:
        """Take an event; return the finals that no later final can precede."""
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
        """Return the finals that are held back; call it after the last event."""
        rest, self._waiting = self._waiting, []
        return rest
