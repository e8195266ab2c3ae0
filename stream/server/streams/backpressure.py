"""Back-pressure: whether a stream's socket is read, or left unread so that TCP slows the client.

`Stream` asks after everything that it receives; `Receiver` and `TcpConnection` pause accordingly.
"""

from stream.engine.engine import Engine
from stream.protocols.session_protocol import SessionProtocol


def in_pace(protocol: SessionProtocol, engine: Engine, max_ahead_s: float) -> bool:
    """Return whether more audio may be read from the client, or decoded.

    It may not if the client is too far ahead of an engine that owes this stream a hypothesis.
    Without the second condition an utterance that waits for more audio would wait for ever.

    Args:
        protocol: of the stream.
        engine: transcribes its windows.
        max_ahead_s: seconds of audio that a stream may be ahead of its hypotheses.
    """
    if protocol.pending_s <= max_ahead_s or protocol.no_more_audio:
        return True
    return not any(engine.owes(opened.session.id) for opened in protocol.sessions)
