"""The states of a websocket stream, and the events that lead from one to the next.

A stream outlives its socket: if the socket breaks without a close frame, the stream is parked, and
its client may resume it through another socket. So a stream has one of three relations to sockets:

- It has one, and messages pass: OPENED, SERVING, FINISHING. Two tasks work, one for each direction.
- It has one that it is about to lose: ASKING, REPLACING, CLOSING, ENDING. No message is read.
- It has none: NEW, PARKED, ENDED. A FINISHING stream that was parked before has none either.

Four parties cause events:

- The client, through its socket: BEGIN, ASK, LOSE, and STOP, LEAVE or END when the conversation is
  over. `Connection` decides between the last four when its tasks have stopped, because the same
  broken socket means different things: a client that can resume will come back (LOSE), a room is
  owed the finals of what was said (LEAVE), and otherwise nothing is left to do (END). STOP is used
  when all was sent and the client could still miss some of it, which the close handshake tells.
- A second client that shows the stream's token, through the registry: REPLACE (the old socket may
  be half open and look healthy), then RESUME. For the connection that asked it is GRANT or REFUSE.
- The server: CUT closes a stream at once. The registry also sends OPEN, and LEAVE or END when a
  parked stream is given up because of its age or to make room.
- The socket: STALL (it takes no more data), DETACH (its tasks have stopped) and CLOSED.

Ending in an orderly way (`finish`, used for draining and for silent clients) is no event: the
protocol sends its finals and then says that it is closing, and the conversation stops as usual.

Two properties hold on every path, and the tests check them. The stream's share of the engine and
of its room is released exactly once: on the step into RELEASED_STATES, which no event leaves. And
from every state some events lead to ENDED. An event that the table does not list raises
`IllegalTransitionError`: it is a mistake in this program, never of a peer.

Pure: the socket, the clock and the tasks are in `connection`.
"""

from enum import Enum


class State(Enum):
    """Where a stream stands; the value describes it in the documentation."""

    NEW = "The stream was created and has no socket yet."
    OPENED = "It has a socket, but the client has sent no first message yet."
    ASKING = "The client asked to resume another stream; its socket waits for that stream."
    SERVING = "Audio is received, and messages are sent."
    FINISHING = "The client left; its room still gets the finals of its speech."
    REPLACING = "The client resumes through another socket; this one is being detached."
    PARKED = "The socket is lost; the stream goes on transcribing, and its client may resume it."
    CLOSING = "The socket is being closed; if it breaks meanwhile, the stream is parked."
    ENDING = "The stream is over, its windows are dropped, and its socket is being closed."
    ENDED = "The stream is over and has no socket."


class Event(Enum):
    """What happens to a stream; the value describes it in the documentation."""

    OPEN = "The stream gets its first socket."
    BEGIN = "The client sends its first message, and does not ask to resume another stream."
    ASK = "The client asks to resume another stream."
    GRANT = "That stream was found and takes over the socket."
    REFUSE = "That stream was not found; the client gets an error through the socket."
    RESUME = "The client resumes the stream through a new socket."
    REPLACE = "The client resumes while the old socket still seems to be open."
    DETACH = "The tasks of the old socket have stopped."
    STOP = "All messages were sent, but the client may have missed the last of them."
    LOSE = "The socket broke without a close frame, and the client can resume the stream."
    LEAVE = "The client does not come back, and its room still waits for finals."
    END = "Nothing is left to do: no client comes back, and no room waits for finals."
    STALL = "The client reads too slowly."
    CUT = "The server closes the stream at once."
    CLOSED = "The socket is closed."


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.NEW: {
        Event.OPEN: State.OPENED,
    },
    State.OPENED: {
        Event.BEGIN: State.SERVING,
        Event.ASK: State.ASKING,
        Event.END: State.ENDING,
        Event.STALL: State.ENDING,
        Event.CUT: State.ENDING,
    },
    State.ASKING: {
        Event.GRANT: State.ENDED,
        Event.REFUSE: State.OPENED,
        Event.END: State.ENDING,
        Event.CUT: State.ENDING,
    },
    State.SERVING: {
        Event.ASK: State.ASKING,  # after messages that begin nothing, such as `keepalive`
        Event.STOP: State.CLOSING,
        Event.LOSE: State.PARKED,
        Event.LEAVE: State.FINISHING,
        Event.END: State.ENDING,
        Event.REPLACE: State.REPLACING,
        Event.STALL: State.ENDING,
        Event.CUT: State.ENDING,
    },
    State.FINISHING: {
        Event.END: State.ENDING,
        Event.REPLACE: State.REPLACING,
        Event.STALL: State.ENDING,
        Event.CUT: State.ENDING,
    },
    State.REPLACING: {
        Event.DETACH: State.PARKED,
        Event.REPLACE: State.REPLACING,  # the client came back twice at once
        Event.STALL: State.REPLACING,
        Event.CUT: State.ENDING,
    },
    State.PARKED: {
        Event.RESUME: State.SERVING,
        Event.LEAVE: State.FINISHING,
        Event.END: State.ENDED,
    },
    State.CLOSING: {
        Event.LOSE: State.PARKED,
        Event.REPLACE: State.CLOSING,  # it is parked or ended in a moment
        Event.CUT: State.ENDING,
        Event.CLOSED: State.ENDED,
    },
    State.ENDING: {
        Event.REPLACE: State.ENDING,  # too late
        Event.STALL: State.ENDING,
        Event.CUT: State.ENDING,
        Event.CLOSED: State.ENDED,
    },
    State.ENDED: {},
}

CONVERSING_STATES = frozenset({State.OPENED, State.SERVING, State.FINISHING})
"""Messages are read from the socket and sent through it."""

SOCKETLESS_STATES = frozenset({State.PARKED, State.ENDED})
"""The stream had a socket, and has none any more."""

RELEASED_STATES = frozenset({State.ENDING, State.ENDED})
"""Nothing will come of the stream any more."""

assert TRANSITIONS.keys() == set(State)


class IllegalTransitionError(RuntimeError):
    """An event that the table does not list for the state: a mistake in this program."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"The event {event.name} is not allowed in the state {state.name}.")


def next_state(state: State, event: Event) -> State:
    """Return the state that an event leads to. Raises `IllegalTransitionError` if there is none."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalTransitionError(state, event) from None
