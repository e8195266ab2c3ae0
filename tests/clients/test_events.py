"""Every message that the server may send, as the Python client reads it."""

import json

import pytest
from distil_stream_client import (
    Configured,
    Ended,
    Error,
    Final,
    Gap,
    Latency,
    Limits,
    Mark,
    Partial,
    Progress,
    Ready,
    SpeechEnded,
    SpeechStarted,
    Unknown,
    Word,
    parse,
)

MESSAGES = [
    (
        '{"type":"ready","seq":1,"protocol":1,"session":"a","resume_token":null,"model":"base",'
        '"received":0,"limits":{"max_frame_bytes":1048576,"max_ahead_s":60.0,"idle_s":60.0}}',
        Ready(
            seq=1,
            protocol=1,
            session="a",
            model="base",
            received=0,
            limits=Limits(max_frame_bytes=1 << 20, max_ahead_s=60.0, idle_s=60.0),
        ),
    ),
    (
        '{"type":"speech_started","seq":2,"channel":1,"utterance":3,"time":0.5}',
        SpeechStarted(seq=2, channel=1, utterance=3, time=0.5),
    ),
    (
        '{"type":"speech_ended","seq":3,"channel":1,"utterance":3,"time":1.5}',
        SpeechEnded(seq=3, channel=1, utterance=3, time=1.5),
    ),
    (
        '{"type":"gap","seq":3,"channel":0,"time":5.434,"duration":10.0}',
        Gap(seq=3, channel=0, time=5.434, duration=10.0),
    ),
    (
        '{"type":"partial","seq":4,"channel":0,"utterance":0,"revision":2,"start":0.1,"end":0.9,'
        '"committed":"It was","tentative":" the","words":[{"word":"It","start":0.1,"end":0.2,'
        '"confidence":0.9}]}',
        Partial(
            seq=4,
            channel=0,
            utterance=0,
            revision=2,
            start=0.1,
            end=0.9,
            committed="It was",
            tentative=" the",
            words=(Word("It", 0.1, 0.2, 0.9),),
        ),
    ),
    (
        '{"type":"final","seq":5,"channel":0,"utterance":0,"start":0.1,"end":0.9,"text":"It was.",'
        '"language":"en","confidence":0.8,"latency":{"endpoint_ms":500.0,"queue_ms":1.0,'
        '"encode_ms":2.0,"decode_ms":3.0,"total_ms":506.0}}',
        Final(
            seq=5,
            channel=0,
            utterance=0,
            start=0.1,
            end=0.9,
            text="It was.",
            language="en",
            confidence=0.8,
            latency=Latency(500.0, 1.0, 2.0, 3.0, 506.0),
        ),
    ),
    (
        '{"type":"progress","seq":6,"received":16000,"settled":8000,"lag_ms":20.5}',
        Progress(seq=6, received=16000, settled=8000, lag_ms=20.5),
    ),
    (
        '{"type":"final","seq":6,"channel":0,"utterance":2,"start":3.0,"end":4.0,"text":"",'
        '"problems":["diffuse","loop"]}',
        Final(
            seq=6, channel=0, utterance=2, start=3.0, end=4.0, text="", problems=("diffuse", "loop")
        ),
    ),
    ('{"type":"mark","seq":7,"id":9}', Mark(seq=7, id=9)),
    (
        '{"type":"configured","seq":8,"language":"de","partials":false}',
        Configured(seq=8, settings={"language": "de", "partials": False}),
    ),
    (
        '{"type":"error","seq":9,"code":"bad_message","message":"Send an object.","fatal":false}',
        Error(seq=9, code="bad_message", message="Send an object.", fatal=False),
    ),
    (
        '{"type":"ended","seq":10,"received":5,"settled":5,"speech_s":0.0,"finals":0}',
        Ended(seq=10, received=5, settled=5, speech_s=0.0, finals=0),
    ),
    (
        '{"type":"weather","seq":11,"sky":"blue"}',
        Unknown(seq=11, type="weather", fields={"sky": "blue"}),
    ),
]


@pytest.mark.parametrize(("message", "event"), MESSAGES, ids=lambda value: type(value).__name__)
def test_every_message_has_its_event(message, event):
    assert parse(message) == event
    assert parse(message.encode()) == event


@pytest.mark.parametrize("message", [message for message, _ in MESSAGES])
def test_a_field_of_a_newer_server_is_ignored(message):
    assert type(parse(json.dumps({**json.loads(message), "novelty": 1}))) is type(parse(message))


@pytest.mark.parametrize(
    "message",
    [
        "",
        "hello",
        "[]",
        "null",
        "{}",
        '{"type":7}',
        '{"type":"mark"}',
        '{"type":"final","channel":0}',
        '{"type":"final","channel":0,"utterance":0,"start":0,"end":1,"text":"","words":3}',
    ],
)
def test_a_malformed_message_is_a_value_error(message):
    with pytest.raises(ValueError, match=r"\w"):
        parse(message)
