"""The client without asyncio, against the real server in another thread."""

import asyncio
import threading
from contextlib import closing

import pytest
from distil_stream_client import (
    ConnectionLost,
    Ended,
    Final,
    Line,
    Mark,
    ServerError,
    Snapshot,
    sync,
)

from stream.config import ServerConfig
from stream.server.running import running
from tests.clients import recording

SAID = list(recording.BURSTS)


@pytest.fixture
def server():
    """A server in a thread of its own, as any other process would be."""
    started, stop = threading.Event(), threading.Event()
    addresses = []

    async def serve():
        async with running(ServerConfig(port=0), recording.transcriber) as server:
            addresses.append(server.address)
            started.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(20)
    yield addresses[0]
    stop.set()
    thread.join()


def pieces(size: int = 3200):
    data = recording.pcm()
    return (data[at : at + size] for at in range(0, len(data), size))


def finals(events) -> list[str]:
    return [event.text for event in events if isinstance(event, Final)]


def test_a_recording_becomes_its_words(server):
    events = list(sync.transcribe(server, pieces()))
    assert finals(events) == SAID
    assert isinstance(events[-1], Ended)


def test_one_thread_sends_while_another_reads(server):
    with sync.connect(server, words=True) as stream:
        assert stream.ready.model == "scripted"
        sending = threading.Thread(target=stream.send_all, args=(pieces(),))
        sending.start()
        events = list(stream)
        sending.join()
        assert stream.ended == events[-1]
    assert finals(events) == SAID


def test_marks_and_requests(server):
    with sync.connect(server) as stream:
        stream.keepalive()
        stream.configure(endpointing_ms=700)
        stream.send_audio(recording.pcm()[: 2 * 16_000 * 2])
        stream.finalize(mark=7)
        stream.mark(8)
        stream.end()
        events = list(stream)
    assert [event.id for event in events if isinstance(event, Mark)] == [7, 8]
    assert finals(events) == ["one two three"]


def test_a_reader_may_stop_early(server):
    threads = threading.active_count()
    with closing(sync.transcribe(server, pieces())) as events:
        for event in events:
            if isinstance(event, Final):
                break
    assert event.text == SAID[0]
    assert threading.active_count() <= threads + 1


@pytest.mark.parametrize("how", ["sounds on", "ends", "fails"])
def test_a_live_source_may_be_left(server, monkeypatch, how):
    """Its thread ends in silence, when the source lets it."""
    failures = []
    monkeypatch.setattr(threading, "excepthook", failures.append)
    left, reading = threading.Event(), []

    def live():
        reading.append(threading.current_thread())
        yield from pieces()
        left.wait(20)  # as a microphone does until it hears the next piece
        if how == "sounds on":
            yield bytes(3200)
        if how == "fails":
            raise LookupError("unplugged")

    with closing(sync.transcribe(server, live())) as events:
        assert finals([next(event for event in events if isinstance(event, Final))]) == SAID[:1]
    left.set()
    reading[0].join(20)
    assert failures == []


def test_audio_that_fails_is_raised(server):
    def broken():
        yield recording.pcm()
        raise LookupError("the tape is torn")

    with pytest.raises(LookupError, match="torn"):
        list(sync.transcribe(server, broken()))


def test_refusals_of_the_server(server):
    with pytest.raises(ServerError, match="sample_rate"), sync.connect(server, sample_rate=1):
        pass
    with pytest.raises(ConnectionLost, match="No server answers"):
        list(sync.transcribe("ws://127.0.0.1:9", pieces()))


def test_a_room_is_read(server):
    with closing(sync.read_room(server, "standup")) as events:
        assert isinstance(next(events), Snapshot)
        list(sync.transcribe(server, pieces(), room="standup", speakers=["Ada"]))
        said = []
        for event in events:
            if isinstance(event, Line) and event.final:
                said.append((event.speaker, event.text))
            if len(said) == 2:
                break
    assert said == [("Ada", text) for text in SAID]
