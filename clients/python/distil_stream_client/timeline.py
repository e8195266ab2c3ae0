"""Presents several streams of the server to the application as one.

A server that no longer has a stream receives the unsettled audio as a new stream, and counts
samples, seconds and utterances from the beginning of the new stream. A `Timeline` adds the offsets
that make these counts continue.

A `Timeline` also holds finals back. A final is not settled until the `Progress` after it has
arrived: if the server changes before that, the audio of the final is sent again, and its words
would be shown twice. So a final is released together with the `Progress` after it. A final that was
cut off in the middle of speech without a request is held back until the server has received more
audio. The reason: a server that is being stopped receives no more audio and may cut a word in two,
and the next server recognises the whole word.
"""

import dataclasses
from typing import Any, TypeVar

from distil_stream_client.events import (
    Ended,
    Final,
    Gap,
    Mark,
    Partial,
    Progress,
    Ready,
    ServerEvent,
    SpeechEnded,
    SpeechStarted,
)

CUT_OFF_S = 1.0
"""Seconds before the end of an utterance that was cut off in which words may be missing."""


class Timeline:
    """Takes the events of consecutive server streams, and returns those that can be delivered."""

    def __init__(self, sample_rate: int, endpointing_ms: float = 500) -> None:
        self.endpointing_ms = endpointing_ms
        """Milliseconds of silence that end an utterance. An utterance with less silence after it
        was cut off."""
        self.cut_asked = False
        """Whether a request of the client cuts off the current utterance."""
        self.settled = 0
        """All audio before this sample is in a final that was released, or holds no speech."""
        self.known: dict[int, int] = {}
        """By channel, the sample up to which its released finals reach."""
        self.last_seq = 0
        """The `seq` of the last message of the current server stream, as the server counts."""
        self.base = 0
        """The sample at which the current server stream begins."""
        self._rate = sample_rate
        self._utterances: dict[int, int] = {}
        self._utterances_before: dict[int, int] = {}
        self._finals_before = 0
        self._finals = 0
        self._speech_s = 0.0
        self._speech_before_s = 0.0
        self._held: list[ServerEvent] = []

    def begin_anew(self) -> None:
        """Continue with a new stream that begins at `settled`; drop the events held back."""
        self._held.clear()
        self.base = self.settled
        self.last_seq = 0
        self._utterances_before = dict(self._utterances)
        self._finals_before, self._speech_before_s = self._finals, self._speech_s

    def receive(self, event: ServerEvent) -> list[ServerEvent]:
        """Take an event of the current server stream; return the events that can be delivered."""
        self.last_seq = event.seq or self.last_seq
        event = self._on_whole_timeline(event)
        if isinstance(event, SpeechStarted):
            self.cut_asked = False
        self._held.append(event)
        return self.release() if isinstance(event, Ended) or self._may_be_delivered() else []

    def _may_be_delivered(self) -> bool:
        """Return whether the events held back can be delivered.

        They can if there is no final among them, or if the last event is the `Progress` that
        settles the finals. If a final was cut off, either the server must have received more audio
        since then, or a mark must have answered the request that cut it off.
        """
        finals = [i for i, held in enumerate(self._held) if isinstance(held, Final)]
        cut_off = [i for i in finals if self._was_cut_off(self._held[i])]
        if cut_off:
            after = self._held[cut_off[-1] :]
            received = [held.received for held in after if isinstance(held, Progress)]
            asked_for = isinstance(after[-1], Mark)  # a mark follows the finals of a `finalize`
            return bool(received) and (received[-1] > received[0] or asked_for)
        return not finals or isinstance(self._held[-1], Progress)

    def release(self) -> list[ServerEvent]:
        """Return the events held back, and count them as delivered."""
        told, self._held = self._held, []
        for event in told:
            if isinstance(event, Progress | Ended):
                self.settled = max(self.settled, event.settled)
            if isinstance(event, Partial):
                self._forget_from(event)
            if isinstance(event, Final):
                self._forget_from(event)
                self._utterances[event.channel] = event.utterance
                self.known[event.channel] = round(self._known_until_s(event) * self._rate)
                self._finals += 1
                self._speech_s += event.end - event.start
        return told

    def _was_cut_off(self, final: ServerEvent) -> bool:
        assert isinstance(final, Final)
        return not self.cut_asked and final.latency.endpoint_ms < self.endpointing_ms

    def _known_until_s(self, final: Final) -> float:
        """Return the time in seconds up to which a final has all words.

        It is before the end of a final that was cut off, because the last word may be missing.
        """
        if not self._was_cut_off(final):
            return final.end
        if final.words:
            return final.words[-1].end
        return max(final.start, final.end - CUT_OFF_S)

    def _forget_from(self, event: Partial | Final) -> None:
        """Lower `known` to the start of the event, if that is earlier: its words are new."""
        known = self.known.get(event.channel, 0)
        self.known[event.channel] = min(known, round(event.start * self._rate))

    def _on_whole_timeline(self, event: ServerEvent) -> ServerEvent:
        """Return the event with the counts of the server stream converted to the whole timeline."""
        match event:
            case Ready():
                return moved(event, received=self.base)
            case SpeechStarted(channel=channel) | SpeechEnded(channel=channel):
                return moved(event, time=self._base_s, utterance=self._offset(channel))
            case Gap():
                return moved(event, time=self._base_s)
            case Partial(channel=channel) | Final(channel=channel):
                event = moved(
                    event,
                    start=self._base_s,
                    end=self._base_s,
                    utterance=self._offset(channel),
                )
                if self.base:
                    words = tuple(
                        moved(w, start=self._base_s, end=self._base_s) for w in event.words
                    )
                    event = dataclasses.replace(event, words=words)
                return event
            case Progress():
                return moved(event, received=self.base, settled=self.base)
            case Ended():
                return moved(
                    event,
                    received=self.base,
                    settled=self.base,
                    finals=self._finals_before,
                    speech_s=self._speech_before_s,
                )
        return event

    @property
    def _base_s(self) -> float:
        return self.base / self._rate

    def _offset(self, channel: int) -> int:
        return self._utterances_before.get(channel, 0)


D = TypeVar("D")


def moved(item: D, **by: Any) -> D:
    """Return a copy of a dataclass with the named fields increased, rounded to three decimals."""
    if not any(by.values()):
        return item
    grown = {name: round(getattr(item, name) + amount, 3) for name, amount in by.items()}
    return dataclasses.replace(item, **grown)  # type: ignore[type-var]
