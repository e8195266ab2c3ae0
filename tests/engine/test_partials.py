"""Which windows the model decodes, if the assistant decodes the partials."""

import numpy as np
import pytest

from stream.core.audio import SAMPLE_RATE
from stream.core.events import Final, Partial
from stream.core.settings import SessionTuning
from stream.core.transcript import text_of
from stream.core.windows import Hypothesis, WindowKind
from stream.engine.model_families import load_transcriber
from stream.engine.partials import PartialsByAssistant
from stream.errors import UsageError
from tests.core.rehearsal import Script, a_session, rehearse
from tests.core.words import said, texts
from tests.engine.windows import a_window


class Saying:
    """A transcriber that hears one word in everything."""

    languages = ("en",)
    at_once = 1
    memories = None

    def __init__(self, name):
        self.name = name

    def transcribe(self, windows):
        return [Hypothesis(window, tuple(said(self.name, 0.0))) for window in windows]


class Recording:
    """A script that stores the windows that it was asked about."""

    def __init__(self, script):
        self.script, self.windows = script, []

    def answer(self, window):
        self.windows.append(window)
        return self.script.answer(window)


def test_the_model_decodes_what_stays_and_the_assistant_what_does_not():
    both = PartialsByAssistant(Saying("teacher"), Saying("student"))
    windows = [
        a_window(1),
        a_window(2, final=True),
        a_window(3),
        a_window(4, full=True),
        a_window(5, kind=WindowKind.FILE),
    ]
    hypotheses = both.transcribe(windows)
    assert [hypothesis.window.id for hypothesis in hypotheses] == [1, 2, 3, 4, 5]
    assert [texts(hypothesis.words) for hypothesis in hypotheses] == [
        ["student"],
        ["teacher"],
        ["student"],
        ["teacher"],
        ["teacher"],
    ]


def test_a_window_is_full_at_the_limit_of_its_own_session():
    script = Script([(9.0, 1.5)])
    for limit_s, expected in ((5.0, True), (28.0, False)):
        session = a_session(SessionTuning(max_window_s=limit_s, max_partial_s=5.0))
        recording = Recording(script)
        rehearse(session, recording, script.pcm)
        partials = [w for w in recording.windows if w.kind is WindowKind.PARTIAL]
        assert any(window.full for window in partials) == expected
        assert all(
            window.full == (len(window.samples) >= limit_s * SAMPLE_RATE)
            for window in recording.windows
        )


def test_nothing_is_committed_before_the_first_final():
    script = Script([(6.0, 1.5)])
    session = a_session(SessionTuning(commit_partials=False))
    events = rehearse(session, script, script.pcm)
    speech_end = round(6.5 * SAMPLE_RATE)
    partials = [e for e in events if isinstance(e, Partial) and e.end_sample < speech_end]
    assert any(partial.tentative for partial in partials)
    assert not any(partial.committed for partial in partials)
    assert text_of(word for e in events if isinstance(e, Final) for word in e.words) == script.text


def test_without_an_assistant_it_cannot_transcribe_partials():
    with pytest.raises(UsageError, match="name the assistant"):
        load_transcriber("base", partials="assistant")


@pytest.mark.model
def test_the_words_of_a_final_are_the_models(speech):
    samples = np.ascontiguousarray(speech[: 8 * SAMPLE_RATE], np.float32)
    final = a_window(1, final=True, n_samples=len(samples))
    partial = a_window(2, n_samples=len(samples))
    for window in (final, partial):
        object.__setattr__(window, "samples", samples)
    both = load_transcriber("base", assistant="distil-base.en", partials="assistant")
    alone, student = load_transcriber("base"), load_transcriber("distil-base.en")
    heard = both.transcribe([final, partial])
    assert texts(heard[0].words) == texts(alone.transcribe([final])[0].words)
    assert texts(heard[1].words) == texts(student.transcribe([partial])[0].words)
    assert len(heard[1].words) > 5
