"""The table of `docs/protocol.md`: what is sent, the code of the error, and what comes of it.

Sent to the pure protocol in `test_native.py`, and through a socket in `tests/server`.
"""

from typing import NamedTuple


class Case(NamedTuple):
    sent: tuple[str | bytes, ...]
    code: str | None
    """Of the last error; None where the connection is closed without one."""
    close_code: int | None
    """None: the stream goes on."""
    query: str = ""


AUDIO = bytes(640)

MALFORMED: dict[str, Case] = {
    "not JSON": Case(("hello",), "malformed", 1007),
    "half an object": Case(('{"type":',), "malformed", 1007),
    "broken behind a wrong type": Case(('{"type":"mark","id":"x"',), "malformed", 1007),
    "a list": Case(("[1]",), "malformed", 1007),
    "a number": Case(("7",), "malformed", 1007),
    "null": Case(("null",), "malformed", 1007),
    "empty text": Case(("",), "malformed", 1007),
    "brackets without end": Case(("[" * 100_000,), "malformed", 1007),
    "no type": Case(("{}",), "bad_message", None),
    "an unknown type": Case(('{"type":"dance"}',), "bad_message", None),
    "a type of the wrong type": Case(('{"type":7}',), "bad_message", None),
    "a mark without an id": Case(('{"type":"mark"}',), "bad_message", None),
    "a mark of the wrong type": Case(('{"type":"mark","id":"x"}',), "bad_message", None),
    "a mark beyond all integers": Case(
        ('{"type":"mark","id":' + "9" * 400 + "}",), "bad_message", None
    ),
    "an unknown field": Case(('{"type":"keepalive","x":1}',), "bad_message", None),
    "an unknown field in start": Case(('{"type":"start","colour":1}',), "bad_message", None),
    "a wrong type in start": Case(('{"type":"start","channels":"two"}',), "bad_message", None),
    "audio after an unknown field in start": Case(
        ('{"type":"start","colour":1}', AUDIO), "bad_settings", 4001
    ),
    "end after an unreadable start": Case(
        ('{"type":"start","channels":1.5}', '{"type":"end"}'), "bad_settings", 4001
    ),
    "no channels": Case(('{"type":"start","channels":0}',), "bad_settings", 4001),
    "99 channels": Case(('{"type":"start","channels":99}',), "bad_settings", 4001),
    "sample rate 1": Case(('{"type":"start","sample_rate":1}',), "bad_settings", 4001),
    "an unknown encoding": Case(('{"type":"start","encoding":"mp4"}',), "bad_settings", 4001),
    "an unknown task": Case(('{"type":"start","task":"sing"}',), "bad_settings", 4001),
    "an unknown language": Case(('{"type":"start","language":"xx"}',), "bad_settings", 4001),
    "another model": Case(('{"type":"start","model":"huge"}',), "bad_settings", 4001),
    "a translation from English": Case(
        ('{"type":"start","task":"translate"}',), "bad_settings", 4001
    ),
    "a container": Case(
        ('{"type":"start","encoding":"container","sample_rate":48000}',), "bad_settings", 4001
    ),
    "resume": Case(
        ('{"type":"start","resume":{"session":"a","token":"b"}}',), "resume_refused", 4002
    ),
    "resume of the wrong shape": Case(('{"type":"start","resume":7}',), "bad_message", None),
    "99 channels in the query": Case((), "bad_settings", 4001, "channels=99"),
    "an unknown field in the query": Case((), "bad_settings", 4001, "colour=red"),
    "a wrong type in the query": Case((), "bad_settings", 4001, "channels=two"),
    "resume in the query": Case((), "resume_refused", 4002, "resume=abc"),
    "start after audio": Case((AUDIO, '{"type":"start"}'), "bad_message", None),
    "a second start": Case(('{"type":"start"}', '{"type":"start"}'), "bad_message", None),
    "a bad start after audio": Case(
        (AUDIO, '{"type":"start","sample_rate":1}'), "bad_settings", 4001
    ),
    "configure out of range": Case(
        ('{"type":"configure","endpointing_ms":1}',), "bad_settings", None
    ),
    "configure to an unknown language": Case(
        ('{"type":"configure","language":"xx"}',), "bad_settings", None
    ),
    "configure of what is fixed": Case(
        ('{"type":"configure","sample_rate":8000}',), "bad_message", None
    ),
    "an odd number of bytes": Case((AUDIO + b"x", '{"type":"end"}'), "truncated_audio", 1000),
}
"""Those whose outcome does not depend on a race with the server's own messages."""
