"""The outbox: what must not be dropped leaves in order, and of the rest the newest."""

from hypothesis import given
from hypothesis import strategies as st

from stream.protocols.interface import QueuedMessage
from stream.server.outbox import Outbox


def partial(utterance: int, body: int) -> QueuedMessage:
    return QueuedMessage(body, subject=(0, utterance), replaceable=True)


def final(utterance: int, body: int) -> QueuedMessage:
    return QueuedMessage(body, subject=(0, utterance))


def drain(outbox: Outbox) -> list[object]:
    bodies = []
    while (draft := outbox.take()) is not None:
        bodies.append(draft.body)
    return bodies


utterances = st.integers(1, 3)
puts = st.one_of(
    st.tuples(st.just("partial"), utterances),
    st.tuples(st.just("final"), utterances),
    st.tuples(st.just("mark"), utterances),
)


@given(st.lists(st.one_of(puts, st.just("take"))))
def test_only_superseded_windows_are_dropped(steps: list[object]) -> None:
    outbox = Outbox()
    put: list[QueuedMessage] = []
    taken: list[QueuedMessage] = []
    for number, step in enumerate(steps):
        match step:
            case ("partial", int(utterance)):
                put.append(partial(utterance, number))
            case ("final", int(utterance)):
                put.append(final(utterance, number))
            case ("mark", _):
                put.append(QueuedMessage(number))
            case _:
                if (draft := outbox.take()) is not None:
                    taken.append(draft)
                continue
        outbox.put(put[-1])
    while (draft := outbox.take()) is not None:
        taken.append(draft)
    assert [d.body for d in taken] == sorted(d.body for d in taken), "in the order of putting"
    for draft in put:
        overtaken = any(d.subject == draft.subject and d.body > draft.body for d in put)
        assert draft in taken or (draft.replaceable and overtaken)
    assert outbox.coalesced == len(put) - len(taken)


def test_a_slow_reader_holds_one_partial_an_utterance() -> None:
    outbox = Outbox()
    for revision in range(1000):
        outbox.put(partial(revision % 2, revision))
    assert drain(outbox) == [998, 999]
    assert not outbox.overflowing


def test_a_final_drops_the_partial_of_its_utterance_alone() -> None:
    outbox = Outbox()
    outbox.put(partial(1, 10))
    outbox.put(partial(2, 20))
    outbox.put(final(1, 11))
    assert drain(outbox) == [20, 11]


def test_overflows_with_finals() -> None:
    outbox = Outbox(limit=3)
    for utterance in range(4):
        assert not outbox.overflowing
        outbox.put(final(utterance, utterance))
    assert outbox.overflowing
    assert drain(outbox) == [0, 1, 2, 3], "and even so drops none"
