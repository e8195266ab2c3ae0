"""OpenAI's own client against the server, with a scripted engine behind it."""

import asyncio
import io
import logging
import re
import resource
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
import soundfile
from numpy.typing import NDArray

from stream.engine.checkpoints.checkpoint import Checkpoint
from stream.engine.scripted import ScriptedTranscriber, counting
from stream.engine.whisper_transcriber import WhisperTranscriber
from stream.server.app import Server
from tests.server.serving import (
    WAIT_S,
    GatedTranscriber,
    client,
    get,
    metric,
    pcm,
    receive,
    send_audio,
    serving,
    until,
)


class Polyglot(ScriptedTranscriber):
    """Takes two languages, and so can translate."""

    languages = ("de", "en")

    def __init__(self) -> None:
        super().__init__(counting())
        self.asked: list[Any] = []

    def transcribe(self, windows: Any) -> Any:
        self.asked += [window.options for window in windows]
        return super().transcribe(windows)


@asynccontextmanager
async def talking_to(server: Server, key: str = "none") -> AsyncIterator[openai.AsyncOpenAI]:
    address = f"{server.address}v1"
    async with openai.AsyncOpenAI(base_url=address, api_key=key, max_retries=0) as theirs:
        yield theirs


def recording(samples: NDArray[np.float32], name: str = "talk.flac") -> io.BytesIO:
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format=name.rpartition(".")[2].upper())
    file.seek(0)
    file.name = name
    return file


@pytest.fixture
def talk(speech: NDArray[np.float32]) -> io.BytesIO:
    return recording(speech[: 20 * 16_000])


async def test_models(talk: io.BytesIO) -> None:
    async with serving() as server, talking_to(server) as theirs:
        (model,) = [model async for model in theirs.models.list()]
        assert (model.id, model.object) == ("scripted", "model")
        assert (await theirs.models.retrieve("scripted")).id == "scripted"
        with pytest.raises(openai.NotFoundError):
            await theirs.models.retrieve("other")


async def test_a_transcript(talk: io.BytesIO) -> None:
    async with serving() as server, talking_to(server) as theirs:
        heard = await theirs.audio.transcriptions.create(model="whisper-1", file=talk)
        assert {"one", "two", "three"} <= set(heard.text.split())
        assert heard.usage.seconds == pytest.approx(20, abs=0.1)
        assert await metric(server, 'distil_stream_uploads_total{status="200"}') == 1
        counted = 'distil_stream_windows_total{kind="file",outcome="transcribed"}'
        assert await metric(server, counted) >= 1


@pytest.mark.parametrize("model", ["gpt-transcribe", "gpt-4o-transcribe", "gpt-4o-mini-transcribe"])
async def test_openais_other_models_are_the_served_one(talk: io.BytesIO, model: str) -> None:
    async with serving() as server, talking_to(server) as theirs:
        assert (await theirs.audio.transcriptions.create(model=model, file=talk)).text


@pytest.mark.model
async def test_the_probabilities_of_tokens(
    speech: NDArray[np.float32], tiny_checkpoint: Checkpoint
) -> None:
    transcriber = WhisperTranscriber(tiny_checkpoint, device="cpu")
    async with serving(transcriber) as server, talking_to(server) as theirs:
        file = recording(speech[: 8 * 16_000])
        heard = await theirs.audio.transcriptions.create(
            model="gpt-4o-transcribe", file=file, include=["logprobs"]
        )
        spelt = b"".join(bytes(map(int, one.bytes)) for one in heard.logprobs).decode()
        assert spelt.strip() == heard.text
        assert all(-20 < one.logprob <= 0 for one in heard.logprobs)
        file.seek(0)
        stream = await theirs.audio.transcriptions.create(
            model="gpt-4o-transcribe", file=file, include=["logprobs"], stream=True
        )
        *deltas, done = [event async for event in stream]
        assert [one.token for e in deltas for one in e.logprobs] == [
            one.token for one in done.logprobs
        ]
        file.seek(0)
        plain = await theirs.audio.transcriptions.create(model="whisper-1", file=file)
        assert plain.logprobs is None


async def test_keywords_and_languages(talk: io.BytesIO) -> None:
    polyglot = Polyglot()
    async with serving(polyglot) as server, talking_to(server) as theirs:
        for languages, code in ((["de"], "de"), (["de", "en"], "auto"), ([], "auto")):
            talk.seek(0)
            more = {"languages": languages, "keywords": ["Ada", "Grace"]}
            await theirs.audio.transcriptions.create(
                model="gpt-transcribe", file=talk, extra_body=more
            )
            assert polyglot.asked[-1].language == code
            assert polyglot.asked[-1].keyterms == ("Ada", "Grace")


@pytest.mark.slow
async def test_every_format(talk: io.BytesIO) -> None:
    async with serving() as server, talking_to(server) as theirs:
        bodies = {}
        for response_format in ("text", "srt", "vtt"):
            talk.seek(0)
            bodies[response_format] = await theirs.audio.transcriptions.create(
                model="whisper-1", file=talk, response_format=response_format
            )
        assert {"one", "two", "three"} <= set(bodies["text"].split())
        assert bodies["srt"].startswith("1\n00:00:0")
        assert " --> " in bodies["srt"]
        assert bodies["vtt"].startswith("WEBVTT\n\n00:00:0")


async def test_times(talk: io.BytesIO) -> None:
    async with serving() as server, talking_to(server) as theirs:
        heard = await theirs.audio.transcriptions.create(
            model="scripted",
            file=talk,
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
        )
        assert heard.duration == pytest.approx(20, abs=0.1)
        assert heard.language == "english"
        assert " ".join(word.word for word in heard.words) == heard.text
        assert all(0 <= w.start < w.end <= heard.duration for w in heard.words)
        assert [segment.id for segment in heard.segments] == list(range(len(heard.segments)))
        assert "".join(segment.text for segment in heard.segments).strip() == heard.text
        talk.seek(0)
        plain = await theirs.audio.transcriptions.create(
            model="scripted", file=talk, response_format="verbose_json"
        )
        assert plain.words is None
        assert plain.segments


@pytest.mark.slow
async def test_events(speech: NDArray[np.float32]) -> None:
    async with serving() as server, talking_to(server) as theirs:
        file = recording(np.tile(speech, 3))
        stream = await theirs.audio.transcriptions.create(model="whisper-1", file=file, stream=True)
        events = [event async for event in stream]
        deltas = [e.delta for e in events if e.type == "transcript.text.delta"]
        assert len(deltas) > 2
        assert events[-1].type == "transcript.text.done"
        assert events[-1].text == "".join(deltas)
        assert len(deltas) == len(events) - 1


@pytest.mark.parametrize("origin", ["https://notes.example", "https://other.example"])
async def test_pages_of_an_origin_that_is_allowed(talk: io.BytesIO, origin: str) -> None:
    config = {"allow_origin": ("https://notes.example",)}
    async with serving(**config) as server, talking_to(server) as theirs:
        asked = theirs.audio.transcriptions.with_raw_response
        headers = {"Origin": origin}
        before = await theirs._client.options("audio/transcriptions", headers=headers)
        assert before.status_code == 204
        assert "Authorization" in before.headers["access-control-allow-headers"]
        answers = [before.headers]
        for model in ("whisper-1", "other"):
            try:
                answer = await asked.create(model=model, file=talk, extra_headers=headers)
                answers.append(answer.headers)
            except openai.APIStatusError as refusal:
                answers.append(refusal.response.headers)
        allowed = origin if origin in config["allow_origin"] else None
        for headers in answers:
            assert headers.get("access-control-allow-origin") == allowed


async def test_an_object_without_known_fields_is_ignored(talk: io.BytesIO) -> None:
    async with serving() as server, talking_to(server) as theirs:
        heard = await theirs.audio.transcriptions.create(
            model="whisper-1", file=talk, chunking_strategy={"type": "server_vad"}
        )
        assert heard.text


async def test_a_language_a_prompt_and_a_translation(talk: io.BytesIO) -> None:
    polyglot = Polyglot()
    async with serving(polyglot) as server, talking_to(server) as theirs:
        await theirs.audio.transcriptions.create(
            model="whisper-1", file=talk, language="de", prompt="Zahlen"
        )
        asked = polyglot.asked[-1]
        assert (asked.language, asked.task, asked.prompt) == ("de", "transcribe", "Zahlen")
        talk.seek(0)
        with pytest.deprecated_call():  # as its authors say; it is what clients call
            heard = await theirs.audio.translations.create(
                model="whisper-1", file=talk, response_format="verbose_json"
            )
        assert (polyglot.asked[-1].language, polyglot.asked[-1].task) == ("auto", "translate")
        assert heard.language == "english"


@pytest.mark.parametrize(
    ("wrong", "param", "says"),
    [
        ({"response_format": "xml"}, "response_format", "use one of json, text"),
        ({"response_format": "diarized_json"}, "response_format", "does not tell speakers"),
        ({"extra_body": {"known_speaker_names": ["x"]}}, "known_speaker_names[]", "speakers"),
        ({"include": ["tokens"]}, "include[]", "use logprobs"),
        ({"language": "xx"}, "language", "does not support the language 'xx'"),
        ({"timestamp_granularities": ["syllable"]}, "timestamp_granularities[]", "use word or"),
        ({"prompt": "x" * 5000}, "prompt", "4000 characters"),
        ({"extra_body": {"best_of": 5}}, "best_of", "no parameter 'best_of'"),
    ],
)
async def test_parameters_that_are_wrong(
    talk: io.BytesIO, wrong: dict[str, Any], param: str, says: str
) -> None:
    async with serving() as server, talking_to(server) as theirs:
        with pytest.raises(openai.BadRequestError, match=says) as refused:
            await theirs.audio.transcriptions.create(model="whisper-1", file=talk, **wrong)
        assert refused.value.param == param


async def test_values_as_other_tools_write_them(talk: io.BytesIO) -> None:
    polyglot = Polyglot()
    async with serving(polyglot) as server, talking_to(server) as theirs:
        for language, code in (("de-CH", "de"), ("German", "de"), ("EN_us", "en"), ("", "auto")):
            talk.seek(0)
            await theirs.audio.transcriptions.create(
                model="", file=talk, language=language, response_format="", prompt=""
            )
            assert polyglot.asked[-1].language == code


async def test_events_pass_through_a_proxy_at_once(talk: io.BytesIO) -> None:
    async with serving() as server, talking_to(server) as theirs:
        answer = await theirs.audio.transcriptions.with_raw_response.create(
            model="whisper-1", file=talk, stream=True
        )
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no"
        assert "no-store" in answer.headers["cache-control"]
        async for _ in answer.parse():
            pass


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_temporary_folder_that_is_full(caplog: pytest.LogCaptureFixture) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 60 * 16_000).astype(np.float32)
    async with serving() as server, talking_to(server) as theirs:
        with largest_file(1_100_000), pytest.raises(openai.InternalServerError) as refused:
            await theirs.audio.transcriptions.create(
                model="whisper-1", file=recording(noise, "noise.wav")
            )
        assert refused.value.status_code == 507
        assert refused.value.code == "no_room"
        assert "disk of the server is full" in str(refused.value)
        assert await metric(server, 'distil_stream_uploads_total{status="507"}') == 1
        assert "Traceback" not in caplog.text
        await theirs.audio.transcriptions.create(
            model="whisper-1", file=recording(noise, "noise.wav")
        )


async def test_a_temporary_folder_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    noise = np.random.default_rng(0).normal(0, 0.1, 60 * 16_000).astype(np.float32)
    async with serving() as server, talking_to(server) as theirs:
        with pytest.raises(openai.InternalServerError, match="cannot store a recording") as refused:
            await theirs.audio.transcriptions.create(
                model="whisper-1", file=recording(noise, "noise.wav")
            )
        assert (refused.value.status_code, refused.value.code) == (503, "no_storage")
        assert "Traceback" not in caplog.text


async def test_a_file_that_is_no_recording() -> None:
    notes = io.BytesIO(b"These are notes.\n" * 100)
    notes.name = "notes.mp3"
    async with serving() as server, talking_to(server) as theirs:
        with pytest.raises(openai.BadRequestError, match=r"notes\.mp3 is not a sound or video"):
            await theirs.audio.transcriptions.create(model="whisper-1", file=notes)
        notes.seek(0)
        stream = await theirs.audio.transcriptions.create(
            model="whisper-1", file=notes, stream=True
        )
        with pytest.raises(openai.APIError, match=r"notes\.mp3 is not a sound or video"):
            await anext(aiter(stream))
        with pytest.raises(openai.NotFoundError, match="There is no model 'gpt-9' here"):
            await theirs.audio.transcriptions.create(model="gpt-9", file=notes)
        with (
            pytest.deprecated_call(),
            pytest.raises(openai.BadRequestError, match="English-only"),
        ):
            await theirs.audio.translations.create(model="whisper-1", file=notes)


async def test_silence_has_no_words() -> None:
    async with serving() as server, talking_to(server) as theirs:
        silence = recording(np.zeros(32_000, np.float32), "silence.wav")
        heard = await theirs.audio.transcriptions.create(model="whisper-1", file=silence)
        assert heard.text == ""


async def test_the_key_and_the_origin(talk: io.BytesIO) -> None:
    async with serving(api_key="secret") as server:
        async with talking_to(server, "wrong") as theirs:
            with pytest.raises(openai.AuthenticationError):
                await theirs.models.list()
            with pytest.raises(openai.AuthenticationError):
                await theirs.audio.transcriptions.create(model="whisper-1", file=talk)
        async with talking_to(server, "secret") as theirs:
            assert (await theirs.models.list()).data
            talk.seek(0)
            with pytest.raises(openai.PermissionDeniedError):
                await theirs.audio.transcriptions.create(
                    model="whisper-1", file=talk, extra_headers={"Origin": "http://evil.example"}
                )


async def test_an_upload_that_is_too_large() -> None:
    async with serving(max_upload_mb=1) as server, talking_to(server) as theirs:
        large = recording(np.random.default_rng(0).normal(0, 0.1, 2_000_000), "noise.wav")
        with pytest.raises(openai.APIStatusError, match="larger than 1 MB") as refused:
            await theirs.audio.transcriptions.create(model="whisper-1", file=large)
        assert refused.value.status_code == 413


@pytest.mark.slow
async def test_one_more_than_there_is_room_for(talk: io.BytesIO) -> None:
    gated = GatedTranscriber()
    async with serving(gated, max_uploads=1) as server, talking_to(server) as theirs:
        first = asyncio.create_task(
            theirs.audio.transcriptions.create(model="whisper-1", file=talk)
        )
        await until(lambda: server.state.engine.in_flight > 0)
        second = recording(np.zeros(16_000, np.float32))
        with pytest.raises(openai.RateLimitError):
            await theirs.audio.transcriptions.create(model="whisper-1", file=second)
        gated.gate.set()
        assert (await first).text


@pytest.mark.slow
async def test_a_client_that_hangs_up_causes_no_more_work(
    speech: NDArray[np.float32], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "stream.server")
    gated = GatedTranscriber()
    async with serving(gated) as server, talking_to(server) as theirs:
        for stream in (False, True):
            file = recording(np.tile(speech, 4))
            request = theirs.audio.transcriptions.create(
                model="whisper-1", file=file, stream=stream
            )
            asking = asyncio.create_task(consumed(request, stream))
            await until(lambda: server.state.engine.in_flight > 0)
            asking.cancel()
            await asyncio.wait([asking])
            await until(lambda: server.state.engine.queued == 0 and not server.state.engine._jobs)
            gated.gate.set()
            await until(lambda: server.state.engine.in_flight == 0)
            gated.gate.clear()
        gated.gate.set()
    said = [r.getMessage() for r in caplog.records if "upload" in r.getMessage()]
    assert len(said) == 2
    assert all(line.startswith("an upload was stopped:") for line in said)


async def test_the_log_reports_the_result_of_an_upload_without_its_content(
    talk: io.BytesIO, caplog: pytest.LogCaptureFixture
) -> None:
    notes = io.BytesIO(b"These are notes.\n" * 100)
    notes.name = "notes.mp3"
    with caplog.at_level(logging.INFO, "stream.server"):
        async with serving() as server, talking_to(server) as theirs:
            heard = await theirs.audio.transcriptions.create(model="whisper-1", file=talk)
            with pytest.raises(openai.BadRequestError):
                await theirs.audio.transcriptions.create(model="whisper-1", file=notes)
    lines = [record for record in caplog.records if "upload" in record.getMessage()]
    transcribed, broken_off, refused = lines
    assert re.fullmatch(
        r"an upload was transcribed: 20\.0 s of audio, \d+ segments, 0 problems",
        transcribed.getMessage(),
    )
    fields = vars(transcribed)
    assert (fields["audio_s"], fields["problems"]) == (20.0, 0)
    assert fields["segments"] >= 1
    assert fields["session"]
    assert broken_off.getMessage().startswith("an upload was stopped: 0.0 s of audio")
    assert vars(broken_off)["session"] != fields["session"]
    assert refused.getMessage() == "refused an upload (400): bad_file"
    for secret in ("talk.flac", "notes.mp3", *heard.text.split()):
        assert not any(secret in line.getMessage() for line in lines)


async def consumed(request: Any, stream: bool) -> None:
    answer = await request
    if stream:
        async for _ in answer:
            pass


async def test_draining_finishes_uploads_and_accepts_no_more(talk: io.BytesIO) -> None:
    gated = GatedTranscriber()
    async with serving(gated) as server, talking_to(server) as theirs:
        first = asyncio.create_task(
            theirs.audio.transcriptions.create(model="whisper-1", file=talk)
        )
        await until(lambda: server.state.engine.in_flight > 0)
        draining = asyncio.create_task(server.drain())
        await until(lambda: server.state.draining)
        with pytest.raises(openai.InternalServerError) as refused:
            await theirs.models.list()
        assert refused.value.status_code == 503
        gated.gate.set()
        assert (await first).text
        await asyncio.wait_for(draining, WAIT_S)


@pytest.mark.slow
async def test_live_windows_go_before_uploads(speech: NDArray[np.float32]) -> None:
    """With a final and a recording's windows waiting, the final is first."""
    order: list[str] = []

    class Noting(GatedTranscriber):
        def transcribe(self, windows: Any) -> Any:
            answers = super().transcribe(windows)
            order.extend(window.kind.value for window in windows)
            return answers

    gated = Noting()
    async with serving(gated) as server, talking_to(server) as theirs:
        upload = asyncio.create_task(
            theirs.audio.transcriptions.create(
                model="whisper-1", file=recording(np.tile(speech, 6))
            )
        )
        await until(lambda: server.state.engine.in_flight > 0)
        before = server.state.engine.in_flight
        async with client(server, "partials=false") as websocket:
            await send_audio(websocket, pcm(speech[: 5 * 16_000]))
            await websocket.send('{"type":"end"}')
            await until(lambda: bool(server.state.engine._scheduler.finals))
            gated.gate.set()
            messages = await receive(websocket)
        assert messages[-1]["type"] == "ended"
        assert (await upload).text
    assert order.index("final") == before


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/v1/audio/translations"])
async def test_only_post_is_accepted(path: str) -> None:
    async with serving() as server:
        assert (await get(server, path))[0] == 405


async def test_a_form_that_is_none() -> None:
    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.door.port)
        writer.write(
            b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\nnope"
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
        writer.close()


async def test_an_upload_that_stalls() -> None:
    async with serving(idle_s=0.2) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.door.port)
        writer.write(
            b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
        writer.close()
