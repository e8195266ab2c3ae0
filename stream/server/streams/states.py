"""The states of a websocket stream, and the events that lead from one to the next.

A stream outlives its socket: if the socket breaks without a close frame, the stream is parked, and
its client may resume it over another socket. So a stream is in one of three situations:

- It has a socket and exchanges messages: OPENED, SERVING, FINISHING. Two tasks run, one for each
  direction.
- It has a socket that it is about to lose: ASKING, REPLACING, CLOSING, ENDING. No message is read.
- It has no socket: NEW, PARKED, ENDED, and FINISHING if it was parked before.

Events have four sources:

- The client, over its socket: BEGIN, ASK, LOSE, and STOP, LEAVE or END when the exchange of
  messages is over. `Connection` decides between the last four when its tasks have stopped, because
  the same broken socket has different consequences: a client that can resume is expected to return
  (LOSE), a room still waits for finals (LEAVE), and otherwise nothing is left to do (END). STOP is
  used if everything was sent; the close handshake then shows whether the client has received it.
- A second client with the stream's token, through `open_streams`: REPLACE (the old socket may be
  half open and seem to work), then RESUME. For the connection that received the request it is GRANT
  or REFUSE.
- The server: CUT closes a stream at once. `open_streams` also emits OPEN, and LEAVE or END when a
  parked stream is ended because of its age or because its slot is needed.
- The socket: STALL (it accepts no more data), DETACH (its tasks have stopped) and CLOSED.

An orderly end (`finish`, used for draining and for idle clients) is not an event: the protocol
sends its finals and then sets `closing`, after which the exchange of messages ends as usual.

Two properties hold on every path, and the tests check them. The stream releases the engine and its
room exactly once: on the step into RELEASED_STATES, which no event leaves. And from every state
some sequence of events leads to ENDED. An event that the table does not list raises
`IllegalTransitionError`: it is a bug in this program, never a fault of a peer.

Pure: the socket, the clock and the tasks are in `connection`.
"""

from enum import Enum


class State(Enum):
    """The state of a stream; the value is its description in the documentation."""

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
    """An event of a stream; the value is its description in the documentation."""

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
        Event.ASK: State.ASKING,  # after messages that begin no stream, such as `keepalive`
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
        Event.REPLACE: State.REPLACING,  # the client returned twice at the same time
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
        Event.REPLACE: State.CLOSING,  # it will be parked or ended in a moment
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
"""States in which messages are read from the socket and sent over it."""

SOCKETLESS_STATES = frozenset({State.PARKED, State.ENDED})
"""States of a stream that no longer has a socket."""

RELEASED_STATES = frozenset({State.ENDING, State.ENDED})
"""States of a stream that has released the engine and its room."""

assert TRANSITIONS.keys() == set(State)


class IllegalTransitionError(RuntimeError):
    """An event occurred that the table does not list for the state, which is a bug."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"The event {event.name} is not allowed in the state {state.name}.")


def next_state(state: State, event: Event) -> State:
    """Return the state that an event leads to. Raises `IllegalTransitionError` if there is none."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalTransitionError(state, event) from None
