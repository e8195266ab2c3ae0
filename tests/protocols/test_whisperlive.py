"""WhisperLive's protocol without a socket."""

import json
from typing import Any

import numpy as np
import pytest

from stream.protocols.interface import Closing
from stream.protocols.whisperlive import WhisperLiveProtocol
from tests.protocols.vendors import ALL, SCRIPT, drain, opened, pieces, play

CONFIGURATION = {
    "uid": "u", "language": None, "task": "transcribe", "model": "small", "use_vad": True,
    "send_last_n_segments": 10, "no_speech_thresh": 0.45, "clip_audio": False,
    "same_output_threshold": 10, "enable_translation": False, "target_language": "fr",
    "hotwords": None, "enable_diarization": False, "max_speakers": 10, "known_speakers": [],
    "word_timestamps": False, "initial_prompt": None, "vad_parameters": None,
}  # fmt: skip
FLOATS = pieces(SCRIPT.samples.astype("<f4").tobytes(), 16_384)
END = b"END_OF_AUDIO"


def listening(**changes: Any) -> WhisperLiveProtocol:
    protocol: WhisperLiveProtocol = opened(WhisperLiveProtocol)
    play(protocol, CONFIGURATION | changes)
    return protocol


def completed(sent: list[Any]) -> list[str]:
    """The texts of completed segments, each once, as the client collects them."""
    texts: dict[str, str] = {}
    for message in sent:
        for segment in message.get("segments", ()):
            if segment["completed"]:
                assert texts.setdefault(segment["start"], segment["text"]) == segment["text"]
    return [text.strip() for text in texts.values()]


def test_a_conversation() -> None:
    protocol = opened(WhisperLiveProtocol)
    sent = play(protocol, CONFIGURATION, *FLOATS, END)
    assert sent[0] == {"uid": "u", "message": "SERVER_READY", "backend": "faster_whisper"}
    assert all(message["uid"] == "u" for message in sent)
    assert " ".join(completed(sent)) == ALL
    assert [m["language"] for m in sent if "language" in m] == ["en"]
    open_ones = [m["segments"][-1] for m in sent if "segments" in m]
    assert any(not segment["completed"] for segment in open_ones)
    last = open_ones[-1]
    assert last["end"] == f"{SCRIPT.words[-1].end_sample / 16_000:.3f}"
    assert protocol.closing == Closing(1000, "")


def test_segments_are_repeated_as_often_as_asked() -> None:
    sent = play(listening(send_last_n_segments=1), *FLOATS, END)
    assert max(len(m["segments"]) for m in sent if "segments" in m) == 1
    assert " ".join(completed(sent)) == ALL


@pytest.mark.parametrize("kind", ["int16", "uint8"])
def test_other_formats(kind: str) -> None:
    samples = SCRIPT.samples
    audio = {
        "int16": (samples * 32_767).astype("<i2").tobytes(),
        "uint8": np.round(samples * 127 + 128).astype(np.uint8).tobytes(),
    }[kind]
    sent = play(listening(audio_format=kind), *pieces(audio), END)
    assert " ".join(completed(sent)) == ALL


def test_words_terms_and_the_prompt() -> None:
    protocol = listening(
        word_timestamps=True, hotwords="Ada, Grace", initial_prompt="Hello.", language="de"
    )
    assert protocol.session
    settings = protocol.session.settings
    assert (settings.keyterms, settings.prompt) == (("Ada", "Grace"), "Hello.")
    assert settings.language == "de"
    sent = play(protocol, *FLOATS, END)
    word = next(m for m in sent if "segments" in m)["segments"][0]["words"][0]
    assert set(word) == {"word", "start", "end", "probability"}
    assert not any("language" in m for m in sent)


def test_what_is_lacking_is_told() -> None:
    sent = play(
        opened(WhisperLiveProtocol),
        CONFIGURATION | {"enable_translation": True, "enable_diarization": True},
    )
    assert [m.get("status") for m in sent] == ["WARNING", "WARNING", None]


@pytest.mark.parametrize(
    "frame",
    ["no JSON", "[]", b"\0" * 8, json.dumps({"language": "en"}),
     json.dumps(CONFIGURATION | {"language": "xx"}),
     json.dumps(CONFIGURATION | {"audio_format": "mp3"})],
)  # fmt: skip
def test_what_cannot_be_served(frame: str | bytes) -> None:
    protocol = opened(WhisperLiveProtocol)
    assert play(protocol, frame)[-1]["status"] == "ERROR"
    assert protocol.closing
    assert protocol.closing.code != 1000


def test_a_server_that_goes_away_says_so() -> None:
    protocol = listening()
    play(protocol, *FLOATS[:10])
    protocol.finish(Closing(1001, "the server is going away"))
    assert {"uid": "u", "message": "DISCONNECT"} in drain(protocol)
