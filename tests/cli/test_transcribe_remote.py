"""`distil-stream transcribe` against the real server, with a scripted engine behind it."""

import asyncio
import io
import socket
import time

import numpy as np
import pytest
import soundfile
from distil_stream_client import Final, Partial
from rich.console import Console

from stream.cli.transcribe_remote import Captions, transcribe_files
from stream.config import ServerConfig
from stream.errors import UsageError
from stream.server.running import running_server
from tests.cli.command_line import transcribe
from tests.clients import recording
from tests.clients.speech import two_cities
from tests.media.files import write_media

SAID = list(recording.BURSTS)


@pytest.fixture
def wav(tmp_path):
    path = tmp_path / "said.wav"
    soundfile.write(path, recording.samples(), 16_000)
    return path


def run(files, *, config=None, fast=True, **settings) -> bool:
    """Transcribe through a server of our own."""

    async def through_a_server():
        config_ = config or ServerConfig(port=0)
        async with running_server(config_, recording.transcriber()) as address:
            return await transcribe_files(files, address, settings, fast)

    return asyncio.run(through_a_server())


@pytest.mark.slow
def test_each_utterance_is_a_line(wav, capsys):
    assert run([wav])
    assert capsys.readouterr().out.splitlines() == SAID


@pytest.mark.slow
@pytest.mark.parametrize("format", ["WAV", "FLAC", "OGG", "MP3"])
@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_formats_and_rates(tmp_path, capsys, format, rate):
    path = tmp_path / f"said.{format.lower()}"
    soundfile.write(path, recording.samples(rate), rate, format=format)
    # The network for telephones knows that these are no voices.
    assert run([path], config=ServerConfig(port=0, vad="webrtc"))
    assert capsys.readouterr().out.splitlines() == SAID


@pytest.mark.slow
def test_a_higher_rate_than_a_stream_takes(tmp_path, capsys):
    soundfile.write(tmp_path / "said.wav", recording.samples(96_000), 96_000)
    assert run([tmp_path / "said.wav"])
    assert capsys.readouterr().out.splitlines() == SAID


@pytest.mark.slow
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "FLOAT", "ULAW"])
def test_sample_formats(tmp_path, capsys, subtype):
    path = tmp_path / "said.wav"
    soundfile.write(path, recording.samples(), 16_000, subtype=subtype)
    assert run([path])
    assert capsys.readouterr().out.splitlines() == SAID


@pytest.mark.slow
def test_the_sound_of_a_video(tmp_path, capsys):
    path = tmp_path / "said.mp4"
    write_media(path, recording.samples(48_000)[:, 0], video=True)
    assert run([path], config=ServerConfig(port=0, vad="webrtc"))
    lines = capsys.readouterr().out.splitlines()  # a stereo sound track is two channels
    assert sorted(lines) == sorted(f"[{channel}] {text}" for channel in (0, 1) for text in SAID)


@pytest.mark.slow
def test_channels_are_named(tmp_path, capsys):
    path = tmp_path / "call.wav"
    left = recording.samples()
    right = left * (np.arange(len(left)) < 3.5 * 16_000)[:, None]
    soundfile.write(path, np.hstack([left, right]), 16_000)
    assert run([path])
    lines = capsys.readouterr().out.splitlines()
    assert sorted(lines) == sorted([f"[0] {SAID[0]}", f"[1] {SAID[0]}", f"[0] {SAID[1]}"])


@pytest.mark.slow
def test_files_are_named_where_there_are_many(wav, tmp_path, capsys):
    other = tmp_path / "other.wav"
    other.write_bytes(wav.read_bytes())
    assert run([wav, other])
    assert capsys.readouterr().out.splitlines() == [
        f"{path.name}: {text}" for path in (wav, other) for text in SAID
    ]


@pytest.mark.slow
def test_words_are_listed_below_their_line(wav, capsys):
    assert run([wav], words=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == SAID[0]
    assert [line.split()[-1] for line in lines[1:5]] == SAID[0].split()
    assert lines[1].split() == ["0.50", "0.95", "0.90", "one"]


@pytest.mark.slow
def test_an_unreadable_file_does_not_stop_the_others(wav, tmp_path, capsys):
    text = tmp_path / "notes.wav"
    text.write_text("These are notes.")
    missing = tmp_path / "missing.wav"
    assert not run([missing, text, tmp_path, wav])
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [f"said.wav: {line}" for line in SAID]
    complaints = captured.err.splitlines()
    assert len(complaints) == 3
    for path, complaint in zip([missing, text, tmp_path], complaints, strict=True):
        assert complaint.startswith(str(path))
        assert complaint.endswith(".")
    assert "No such file" in complaints[0]


def test_an_empty_recording_has_no_words(tmp_path, capsys):
    path = tmp_path / "empty.wav"
    soundfile.write(path, np.zeros((0, 1), np.float32), 16_000)
    assert run([path])
    assert capsys.readouterr().out == ""


def test_refusals_of_the_server_are_shown(wav, capsys):
    assert not run([wav], endpointing_ms=5)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "endpointing_ms is 5" in captured.err


def test_folders_and_patterns_are_streamed(wav, capsys, monkeypatch):
    async def stream_audio(url, audio, **settings):
        async for _ in audio:
            pass
        for event in ():
            yield event

    monkeypatch.setattr("stream.cli.transcribe_remote.stream_audio", stream_audio)
    for named in (wav.parent, wav.parent / "*.wav"):
        assert transcribe([named], server="ws://127.0.0.1:1", fast=True) == 0
    with pytest.raises(UsageError, match="No file matches"):
        transcribe([wav.parent / "*.xyz"], server="ws://127.0.0.1:1")
    assert capsys.readouterr().err == ""


def test_a_server_that_is_not_there(wav, capsys):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert transcribe([wav], server=f"ws://127.0.0.1:{port}") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "No server answers" in captured.err


def test_a_model_that_is_not_there(wav, capsys):
    with pytest.raises(UsageError, match="no-such-model"):
        transcribe([wav], model="no-such-model")
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_without_fast_it_runs_in_real_time(tmp_path, capsys):
    path = tmp_path / "short.wav"
    soundfile.write(path, recording.samples()[:16_000], 16_000)
    began = time.monotonic()
    assert run([path], fast=False)
    assert time.monotonic() - began >= 1.0


def test_the_terminal_shows_confident_words_solid_and_others_dim():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=60)
    captions = Captions(console, "", channels=1)
    place = {"channel": 0, "utterance": 0, "start": 0.0, "end": 1.0}
    with captions.live:
        captions.show(Partial(**place, revision=1, committed="It was", tentative=" the beast"))
        assert "It was\x1b[2m the beast\x1b[0m" in screen.getvalue()
        captions.show(Final(**place, text="It was the [bold]best[/bold] of times."))
    assert "It was the [bold]best[/bold] of times.\n" in screen.getvalue()
    assert captions.open == {}


def test_a_long_line_is_not_broken():
    screen = io.StringIO()
    captions = Captions(Console(file=screen, width=20), "", channels=1)
    captions.line("word " * 20)
    assert screen.getvalue().count("\n") == 1


@pytest.mark.model
def test_a_server_started_by_the_command_transcribes_real_speech(tmp_path, capsys):
    speech = two_cities(tmp_path / "speech.wav")
    assert transcribe([speech], model="tiny.en", fast=True) == 0
    assert "best of times" in capsys.readouterr().out
