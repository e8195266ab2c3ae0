"""The table of states: every path of events, and what holds on each of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.server.streams.states import (
    CONVERSING_STATES,
    RELEASED_STATES,
    SOCKETLESS_STATES,
    TRANSITIONS,
    Event,
    IllegalTransitionError,
    State,
    next_state,
)


@given(st.lists(st.sampled_from(Event), max_size=30))
def test_a_stream_is_released_once_on_every_path(events: list[Event]) -> None:
    state, releases = State.NEW, 0
    for event in events:
        before = state
        if event in TRANSITIONS[state]:
            state = next_state(state, event)
        else:
            with pytest.raises(IllegalTransitionError, match=f"{event.name} .* {state.name}"):
                next_state(state, event)
        releases += state in RELEASED_STATES and before not in RELEASED_STATES
        assert releases == (state in RELEASED_STATES)


@pytest.mark.parametrize("state", State)
def test_every_state_is_reached_and_leads_to_the_end(state: State) -> None:
    assert state in reachable(State.NEW)
    assert State.ENDED in reachable(state)


@pytest.mark.parametrize("event", Event)
def test_every_event_has_a_transition(event: Event) -> None:
    assert any(event in row for row in TRANSITIONS.values())


@pytest.mark.parametrize(
    "state", [state for state in State if state not in SOCKETLESS_STATES | {State.NEW}]
)
def test_the_server_can_cut_every_stream_with_a_socket(state: State) -> None:
    assert next_state(state, Event.CUT) is State.ENDING


def test_no_event_leaves_the_end() -> None:
    assert TRANSITIONS[State.ENDED] == {}


def test_messages_pass_only_while_a_stream_is_not_over() -> None:
    assert not CONVERSING_STATES & (RELEASED_STATES | SOCKETLESS_STATES)


def reachable(state: State) -> set[State]:
    found, new = {state}, {state}
    while new:
        new = {to for one in new for to in TRANSITIONS[one].values()} - found
        found |= new
    return found
