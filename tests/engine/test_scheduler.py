"""The scheduler: no final is lost or overtaken, the newest partial wins, the gone are forgotten."""

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from stream.core.windows import Window, WindowKind
from stream.engine.scheduler import LIKE_RATIO, LIKE_SAMPLES, PATIENCE, Scheduler
from tests.engine.windows import a_window


def ids(windows: list[Window]) -> list[int]:
    return [window.id for window in windows]


def utterance(window: Window) -> tuple[str, int, int]:
    return window.session, window.channel, window.utterance


def alike(window: Window, leader: Window) -> bool:
    difference = abs(len(window.samples) - len(leader.samples))
    return difference <= max(LIKE_SAMPLES, LIKE_RATIO * len(leader.samples))


class AnyOrder(RuleBasedStateMachine):
    """Whatever is added, taken and forgotten, the queue is what a slow and plain model says."""

    windows = Bundle("windows")

    def __init__(self) -> None:
        super().__init__()
        self.scheduler = Scheduler(max_batch=3)
        self.waiting: list[Window] = []
        self.count = 0

    @rule(
        session=st.sampled_from("ab"),
        utterance=st.integers(1, 3),
        final=st.booleans(),
        n_samples=st.integers(1, 400_000),
    )
    def add(self, session: str, utterance: int, final: bool, n_samples: int) -> None:
        self.count += 1
        window = a_window(
            self.count, session, utterance=utterance, final=final, n_samples=n_samples
        )
        same = [
            w
            for w in self.waiting
            if (w.session, w.utterance, w.kind) == (session, utterance, WindowKind.PARTIAL)
        ]
        superseded = self.scheduler.add(window)
        assert ([superseded] if superseded else []) == same
        self.waiting = [w for w in self.waiting if w not in same] + [window]

    @rule()
    def take(self) -> None:
        before = len(self.waiting)
        finals = [w for w in self.waiting if w.kind is WindowKind.FINAL]
        batch = self.scheduler.next_batch()
        taken = [w for w in finals if w in batch]
        assert 0 < len(batch) <= 3 or before == 0
        for session in "ab":
            own = [w for w in finals if w.session == session]
            assert not own or batch[0] is own[0] or batch[0].session != session
            leaving = [w for w in batch if w in own]
            assert leaving == [w for w in own if w in batch], "a session's leave in order"
        assert len(taken) in (len(batch), len(finals)), "no partial before a final that waits"
        for window in batch:
            assert alike(window, batch[0])
        if len(batch) < 3:
            assert not any(alike(w, batch[0]) for w in finals if w not in batch)
        self.waiting = [w for w in self.waiting if w not in batch]
        assert len(self.waiting) == before - len(batch), "each once, and only what waited"

    @rule(session=st.sampled_from("ab"))
    def forget(self, session: str) -> None:
        gone = self.scheduler.forget(session)
        assert {w.id for w in gone} == {w.id for w in self.waiting if w.session == session}
        self.waiting = [w for w in self.waiting if w.session != session]

    @invariant()
    def counts(self) -> None:
        assert len(self.scheduler) == len(self.waiting)


TestAnyOrder = AnyOrder.TestCase


def test_a_newer_partial_takes_the_queue_position_of_the_older() -> None:
    scheduler = Scheduler(max_batch=1)
    scheduler.add(a_window(1, utterance=1))
    scheduler.add(a_window(2, utterance=2))
    scheduler.add(a_window(3, utterance=1))
    assert ids(scheduler.next_batch()) == [3]
    assert ids(scheduler.next_batch()) == [2]


def test_sessions_take_turns() -> None:
    """An upload has ten finals waiting; two who speak wait for one batch each at most."""
    scheduler = Scheduler(max_batch=2)
    for id in range(10):
        scheduler.add(a_window(id, "upload", utterance=id, n_samples=25 * 16_000, final=True))
    scheduler.add(a_window(10, "near", n_samples=2 * 16_000, final=True))
    scheduler.add(a_window(11, "far", n_samples=8 * 16_000, final=True))
    assert [ids(scheduler.next_batch()) for _ in range(4)] == [[0, 1], [10], [11], [2, 3]]


def test_every_partial_gets_its_turn() -> None:
    """However many streams keep asking, one that waits is taken within as many batches."""
    scheduler = Scheduler(max_batch=1)
    scheduler.add(a_window(0, "patient"))
    for turn in range(1, 6):
        scheduler.add(a_window(turn, f"chatty {turn}"))
    assert ids(scheduler.next_batch()) == [0]


def test_a_batch_holds_windows_of_like_length() -> None:
    scheduler = Scheduler(max_batch=8)
    for id, seconds in enumerate([10, 28, 12, 3, 14]):
        scheduler.add(a_window(id, utterance=id, n_samples=seconds * 16_000, final=id < 3))
    assert ids(scheduler.next_batch()) == [0, 2]
    assert ids(scheduler.next_batch()) == [1, 4]
    assert ids(scheduler.next_batch()) == [3]


def test_channels_are_apart() -> None:
    scheduler = Scheduler()
    scheduler.add(a_window(1, channel=0))
    scheduler.add(a_window(2, channel=1))
    assert len(scheduler) == 2


def a_file_window(number: int, session: str = "file") -> Window:
    return replace(a_window(number, session), kind=WindowKind.FILE)


def test_recordings_wait_for_live_streams() -> None:
    scheduler = Scheduler()
    scheduler.add(a_file_window(1))
    scheduler.add(a_window(2, "a", final=False))
    scheduler.add(a_window(3, "b", final=True))
    assert ids(scheduler.next_batch()) == [3, 2]
    assert ids(scheduler.next_batch()) == [1]
    assert scheduler.next_batch() == []


def test_beside_live_streams_a_recording_is_decoded_window_by_window() -> None:
    scheduler = Scheduler()
    scheduler.add(a_window(0, "a"))
    assert ids(scheduler.next_batch()) == [0]
    for number in range(1, 6):
        scheduler.add(a_file_window(number))
    assert ids(scheduler.next_batch()) == [1]
    scheduler.forget("a")
    assert ids(scheduler.next_batch()) == [2, 3, 4, 5]


def test_recordings_take_turns() -> None:
    scheduler = Scheduler(max_batch=2)
    for number in range(4):
        scheduler.add(a_file_window(number, "long"))
    scheduler.add(a_file_window(9, "short"))
    assert ids(scheduler.next_batch()) == [0, 9]
    assert ids(scheduler.next_batch()) == [1, 2]


def test_a_server_that_is_never_idle_still_transcribes_recordings() -> None:
    scheduler = Scheduler(max_batch=1)
    scheduler.add(a_file_window(0))
    scheduler.add(a_file_window(1))
    served = []
    for number in range(2, 2 + 3 * PATIENCE):
        scheduler.add(a_window(number, "a"))
        served += ids(scheduler.next_batch())
    assert [served.index(0), served.index(1)] == [PATIENCE, 2 * PATIENCE + 1]


def test_finished_recordings_are_released() -> None:
    scheduler = Scheduler()
    scheduler.add(a_file_window(1))
    scheduler.add(a_file_window(2, "other"))
    assert ids(scheduler.forget("file")) == [1]
    assert ids(scheduler.next_batch()) == [2]
