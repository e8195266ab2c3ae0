"""The engine's thread: every window is answered once, nothing kills it, the gone cost nothing."""

import threading
from collections.abc import Iterator, Sequence
from queue import SimpleQueue

import pytest

from stream.core.windows import Hypothesis, Window
from stream.engine.engine import BatchReport, Engine
from stream.engine.scripted import ScriptedTranscriber, counting
from tests.engine.windows import a_window

WAIT_S = 10


class GatedTranscriber:
    """Transcribes when it is let: a test decides what is in flight."""

    name = "gated"
    languages = ("en",)
    at_once = 1
    memories = None

    def __init__(self) -> None:
        self.entered: SimpleQueue[list[Window]] = SimpleQueue()
        self.gate = threading.Semaphore(0)

    def transcribe(self, windows: Sequence[Window]) -> list[Hypothesis]:
        self.entered.put(list(windows))
        assert self.gate.acquire(timeout=WAIT_S)
        if any(window.session == "bad" for window in windows):
            raise ValueError("too bad")
        if any(window.session == "short" for window in windows):
            return []
        return [Hypothesis(window, words=()) for window in windows]


@pytest.fixture
def gated() -> GatedTranscriber:
    return GatedTranscriber()


@pytest.fixture
def engine(gated: GatedTranscriber) -> Iterator[Engine]:
    engine = Engine(gated)
    engine.start()
    yield engine
    gated.gate.release(1000)
    engine.stop(drain=False)


def test_answers_every_window_with_the_time_it_waited() -> None:
    answers: SimpleQueue[Hypothesis] = SimpleQueue()
    reports: SimpleQueue[BatchReport] = SimpleQueue()
    engine = Engine(ScriptedTranscriber(counting(1)), max_batch=2, on_batch=reports.put)
    for id in range(5):
        engine.submit(a_window(id, utterance=id, n_samples=16_000), answers.put)
    assert engine.queued == 5
    engine.start()
    engine.stop(drain=True)
    heard = [answers.get_nowait() for _ in range(5)]
    assert [hypothesis.window.id for hypothesis in heard] == [0, 1, 2, 3, 4]
    assert all(hypothesis.timing.queue_ms > 0 for hypothesis in heard)
    assert [word.text for word in heard[0].words] == [" zero", " one"]
    batches = [reports.get_nowait() for _ in range(3)]
    assert [len(report.hypotheses) for report in batches] == [2, 2, 1]
    assert sum(report.audio_s for report in batches) == 5
    assert not engine.owes("s")


@pytest.mark.parametrize("session", ["bad", "short"])
def test_outlives_a_transcriber_that_fails(
    engine: Engine, gated: GatedTranscriber, session: str, caplog: pytest.LogCaptureFixture
) -> None:
    answers: SimpleQueue[Hypothesis] = SimpleQueue()
    gated.gate.release(2)
    engine.submit(a_window(1, session), answers.put)
    assert answers.get(timeout=WAIT_S).failure.startswith("ValueError: ")
    engine.submit(a_window(2), answers.put)
    assert answers.get(timeout=WAIT_S).failure == ""
    assert "the transcriber failed" in caplog.text


def test_as_many_batches_are_under_way_as_the_transcriber_can_use(gated: GatedTranscriber) -> None:
    gated.at_once = 2
    engine = Engine(gated)
    answers: SimpleQueue[Hypothesis] = SimpleQueue()
    for id in range(6):
        engine.submit(a_window(id, f"s{id}"), answers.put)
    engine.start()
    first, second = (gated.entered.get(timeout=WAIT_S) for _ in range(2))
    # The first to come leaves half of what waits to the other.
    assert [len(first), len(second)] == [3, 3]
    assert (engine.in_flight, engine.queued, engine.waits()) == (6, 0, [])
    gated.gate.release(2)
    heard = {answers.get(timeout=WAIT_S).window.session for _ in range(6)}
    assert heard == {f"s{id}" for id in range(6)}
    engine.stop(drain=True)


def test_outlives_a_receiver_that_fails(
    engine: Engine, gated: GatedTranscriber, caplog: pytest.LogCaptureFixture
) -> None:
    answers: SimpleQueue[Hypothesis] = SimpleQueue()

    def refuse(hypothesis: Hypothesis) -> None:
        raise RuntimeError("gone")

    gated.gate.release(2)
    engine.submit(a_window(1), refuse)
    engine.submit(a_window(2, utterance=2), answers.put)
    assert answers.get(timeout=WAIT_S).window.id == 2
    assert "could not be delivered" in caplog.text


def test_a_final_supersedes_the_partial_that_waits(engine: Engine, gated: GatedTranscriber) -> None:
    answers: SimpleQueue[Hypothesis] = SimpleQueue()
    engine.submit(a_window(1, "other"), answers.put)
    gated.entered.get(timeout=WAIT_S)
    assert engine.in_flight == 1
    engine.submit(a_window(2), answers.put)
    engine.submit(a_window(3, final=True), answers.put)
    assert engine.queued == 1
    gated.gate.release(2)
    assert [answers.get(timeout=WAIT_S).window.id for _ in range(2)] == [1, 3]
    assert not engine.owes("s")


def test_a_closed_stream_leaves_no_queued_or_running_window(
    engine: Engine, gated: GatedTranscriber
) -> None:
    gone: SimpleQueue[Hypothesis] = SimpleQueue()
    answers: SimpleQueue[Hypothesis] = SimpleQueue()
    engine.submit(a_window(1, "gone"), gone.put)
    gated.entered.get(timeout=WAIT_S)
    engine.submit(a_window(2, "gone", final=True), gone.put)
    engine.submit(a_window(3, "here"), answers.put)
    assert engine.owes("gone")
    engine.forget("gone")
    assert not engine.owes("gone")
    assert engine.queued == 1
    gated.gate.release(2)
    assert answers.get(timeout=WAIT_S).window.id == 3
    assert gone.empty()


def test_stops_without_what_waits() -> None:
    answers: SimpleQueue[Hypothesis] = SimpleQueue()
    engine = Engine(ScriptedTranscriber([]))
    engine.submit(a_window(1), answers.put)
    engine.stop(drain=False)
    engine.start()
    engine.stop(drain=False)
    assert answers.empty()
    assert engine.queued == 0
