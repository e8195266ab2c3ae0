"""A session rehearsed without sockets or models: bursts of sound, and an engine that knows them."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from stream.core.audio import SAMPLE_RATE
from stream.core.events import Final, Partial
from stream.core.session import Session
from stream.core.settings import SessionTuning, StreamSettings
from stream.core.transcript import text_of
from stream.core.windows import Hypothesis, Window, WindowKind, Word
from tests.core.words import PACE_S


class LoudIsSpeech:
    """A detector without opinions."""

    frame_samples = SAMPLE_RATE // 50

    def __init__(self, sample_rate):
        pass

    def is_speech(self, frame):
        return float(np.abs(frame).mean()) > 0.05


@dataclass
class Script:
    """Speech and pauses in turn, in seconds: the audio, and the words that are said in it."""

    bursts: list[tuple[float, float]]
    """(seconds of speech, seconds of silence after it)"""
    samples: np.ndarray = field(init=False)
    words: list[Word] = field(init=False)

    def __post_init__(self):
        pieces, self.words, at = [np.zeros(SAMPLE_RATE // 2, np.float32)], [], 0.5
        for speech_s, silence_s in self.bursts:
            loud = square_wave(round(speech_s * SAMPLE_RATE), 0.5)
            pieces += [loud, np.zeros(round(silence_s * SAMPLE_RATE), np.float32)]
            for i in range(int(speech_s / PACE_S)):
                start = round((at + i * PACE_S) * SAMPLE_RATE)
                number = len(self.words)
                word = Word(f" w{number}", start, start + 4_000, 0.9, (number,))
                self.words.append(word)
            at += len(loud) / SAMPLE_RATE + len(pieces[-1]) / SAMPLE_RATE
        self.samples = np.concatenate(pieces)

    @property
    def text(self):
        return text_of(self.words)

    @property
    def pcm(self) -> bytes:
        return (self.samples * 32_767).astype("<i2").tobytes()

    def answer(self, window: Window) -> Hypothesis:
        """Hear the words inside a window; one that is cut through is heard as something else."""
        heard = []
        for word in self.words:
            start = max(word.start_sample, window.start_sample)
            end = min(word.end_sample, window.end_sample)
            if end - start == word.end_sample - word.start_sample:
                heard.append(word)
            elif end > start:
                heard.append(Word(" mumble", start, end, 0.2, (9999,)))
        return Hypothesis(window, tuple(heard))


def square_wave(n_samples: int, height: float) -> np.ndarray:
    """A tone of 1 kHz, as loud in each frame: a constant would be filtered out."""
    return np.where(np.arange(n_samples) // 8 % 2, -height, height).astype(np.float32)


def a_session(tuning: SessionTuning | None = None, **settings) -> Session:
    return Session("s", StreamSettings(**settings), tuning, LoudIsSpeech)


def rehearse(session: Session, script: Script, data: bytes, pieces=(), every: int = 3_200) -> list:
    """Play the bytes through, with an answer to every window once `every` bytes have come.

    `pieces` are further places at which the bytes are cut on their way in.
    """
    events = []
    cuts = sorted({*range(0, len(data), every), *pieces, len(data)})
    for start, end in pairwise(cuts):
        session.receive_audio(data[start:end])
        if end % every == 0:
            answer_all(session, script)
            events += session.events_to_send()
    session.receive_eof()
    answer_all(session, script)
    return events + session.events_to_send()


def answer_all(session: Session, script: Script) -> None:
    while windows := session.windows_to_transcribe():
        for window in supersede(windows):
            session.receive_hypothesis(script.answer(window))


def supersede(windows: list[Window]) -> list[Window]:
    """Leave out the partials that a final of their utterance has overtaken."""
    finals = {(w.channel, w.utterance) for w in windows if w.kind is WindowKind.FINAL}
    return [
        window
        for window in windows
        if window.kind is WindowKind.FINAL or (window.channel, window.utterance) not in finals
    ]


def final_text(events: list, channel: int = 0) -> str:
    return text_of(
        word
        for event in events
        if isinstance(event, Final) and event.channel == channel
        for word in event.words
    )


def check_promises(events: list) -> None:
    """Assert what holds for every session: committed words stay, and time does not run back."""
    committed: dict[tuple[int, int], list[str]] = {}
    clock: dict[int, int] = {}
    for event in events:
        if isinstance(event, Partial | Final):
            words = event.words if isinstance(event, Final) else event.committed
            now = [word.text for word in words]
            key = (event.channel, event.utterance)
            before = committed.get(key, [])
            assert now[: len(before)] == before
            committed[key] = now
        if isinstance(event, Final):
            for word in event.words:
                assert clock.get(event.channel, 0) <= word.start_sample <= word.end_sample
                clock[event.channel] = word.end_sample
