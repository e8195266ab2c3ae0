"""Deepgram's turns, `/v2/listen`, without a socket."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from stream.core.windows import Hypothesis
from stream.errors import PeerError
from stream.protocols.deepgram.flux import FluxProtocol
from tests.core.rehearsal import Script
from tests.protocols import vendors
from tests.protocols.vendors import ALL, drain, of_type, opened, pieces, play

RAW = "model=flux-general-en&encoding=linear16&sample_rate=16000"
PCM = pieces(vendors.SCRIPT.pcm)
CLOSE = {"type": "CloseStream"}


def turns(sent: list[Any]) -> list[tuple[str, int, str]]:
    """Event, index and text of all messages about turns but updates."""
    told = [m for m in of_type(sent, "TurnInfo") if m["event"] != "Update"]
    return [(m["event"], m["turn_index"], m["transcript"]) for m in told]


def flux(query: str = RAW) -> Any:
    return opened(FluxProtocol, query)


def test_turns() -> None:
    sent = play(flux(), *PCM, CLOSE)
    assert [m["sequence_id"] for m in sent] == list(range(len(sent)))
    assert sent[0]["type"] == "Connected"
    ends = [m for m in of_type(sent, "TurnInfo") if m["event"] == "EndOfTurn"]
    assert [m["transcript"] for m in ends] == ["w0 w1 w2 w3 w4 w5", "w6 w7 w8 w9 w10"]
    assert [m["trigger"] for m in ends] == ["model", "model"]
    assert [m["end_of_turn_confidence"] for m in ends] == [0.9, 0.9]
    assert [kind for kind, _, _ in turns(sent)] == ["StartOfTurn", "EndOfTurn"] * 2
    starts = [m for m in of_type(sent, "TurnInfo") if m["event"] == "StartOfTurn"]
    assert all(m["transcript"] for m in starts)
    assert ends[0]["audio_window_end"] == ends[1]["audio_window_start"]
    told = of_type(sent, "TurnInfo")
    assert all(a["turn_index"] <= b["turn_index"] for a, b in pairwise(told))
    assert all("trigger" in m for m in ends)
    assert not any("trigger" in m for m in told if m["event"] != "EndOfTurn")


def test_an_eager_end_that_stands() -> None:
    sent = play(flux(f"{RAW}&eager_eot_threshold=0.5"), *PCM, CLOSE)
    assert [kind for kind, _, _ in turns(sent)] == [
        "StartOfTurn", "EagerEndOfTurn", "EndOfTurn",
    ] * 2  # fmt: skip


def test_an_eager_end_after_which_the_speaker_goes_on() -> None:
    script = Script([(2.0, 0.5), (1.5, 1.5)])
    protocol = flux(f"{RAW}&eager_eot_threshold=0.5")
    sent = play(protocol, *pieces(script.pcm), CLOSE, engine=script.answer)
    kinds = [kind for kind, _, _ in turns(sent)]
    assert kinds == ["StartOfTurn", "EagerEndOfTurn", "TurnResumed", "EagerEndOfTurn", "EndOfTurn"]
    assert turns(sent)[-1] == ("EndOfTurn", 0, ALL)


def test_a_turn_of_low_confidence_waits_for_the_timeout() -> None:
    def doubtful(window: Any) -> Hypothesis:
        words = vendors.SCRIPT.answer(window).words
        return Hypothesis(window, tuple(replace(word, confidence=0.65) for word in words))

    asked = f"{RAW}&eot_threshold=0.9&eot_timeout_ms=900"
    told = play(flux(asked), *PCM, CLOSE, engine=doubtful)
    ends = [m for m in told if m.get("event") == "EndOfTurn"]
    assert {m["trigger"] for m in ends} == {"timeout"}
    assert " ".join(m["transcript"] for m in ends) == ALL


def test_the_client_ends_a_turn() -> None:
    protocol = flux()
    sent = play(protocol, *PCM[:25], {"type": "ForceEndTurn"}, {"type": "ForceEndTurn"})
    ends = [m for m in sent if m.get("event") == "EndOfTurn"]
    assert [(m["trigger"], m["transcript"]) for m in ends] == [("manual", "w0 w1 w2 w3 w4 w5")]
    rest = play(protocol, *PCM[25:], CLOSE)
    assert turns(rest)[-1] == ("EndOfTurn", 1, "w6 w7 w8 w9 w10")


def test_a_late_engine_gives_the_same_turns() -> None:
    protocol = flux(f"{RAW}&eager_eot_threshold=0.5")
    play(protocol, *PCM, CLOSE, answered=False)
    vendors.answer(protocol)
    sent = drain(protocol)
    ends = [m["transcript"] for m in sent if m.get("event") == "EndOfTurn"]
    assert " ".join(ends) == ALL
    assert len(ends) == 2


def test_configure() -> None:
    protocol = flux(f"{RAW}&keyterm=Ada")
    changed = {"type": "Configure", "thresholds": {"eot_threshold": 0.8}, "keyterms": ["Turing"]}
    (success,) = of_type(play(protocol, changed), "ConfigureSuccess")
    assert success["thresholds"] == {"eot_threshold": 0.8, "eot_timeout_ms": 5000}
    assert success["keyterms"] == ["Turing"]
    eager = {"type": "Configure", "thresholds": {"eager_eot_threshold": 0.4}}
    assert play(protocol, eager)[0]["thresholds"]["eager_eot_threshold"] == 0.4
    assert protocol.session.settings.endpointing_ms == 300
    for wrong in ({"eot_threshold": 7}, {"mood": 1}, {"eot_threshold": "much"}, 7):
        (failure,) = play(protocol, {"type": "Configure", "thresholds": wrong})
        assert failure["type"] == "ConfigureFailure"
    (failure,) = play(protocol, {"type": "Configure", "keyterms": ["x"] * 501})
    assert failure["type"] == "ConfigureFailure"
    (error,) = play(protocol, "no JSON")
    assert error["code"] == "UNPARSABLE_CLIENT_MESSAGE"


@pytest.mark.parametrize(
    "asked",
    ["eot_threshold=2", "eager_eot_threshold=x", "eot_timeout_ms=1", "redact=pci",
     "multichannel=true&channels=2", "language_hint=xx"],
)  # fmt: skip
def test_what_is_refused(asked: str) -> None:
    with pytest.raises(PeerError):
        flux(f"{RAW}&{asked}")


def test_languages() -> None:
    assert flux(f"{RAW}&language_hint=de").session.settings.language == "de"
    assert flux(f"{RAW}&language_hint=de&language_hint=en").session.settings.language in (
        "auto",
        "en",
    )
    multi = RAW.replace("-en", "-multi")
    assert flux(multi).session.settings.language == "auto"
    ended = [m for m in play(flux(multi), *PCM, CLOSE) if m.get("event") == "EndOfTurn"]
    assert ended[0]["languages"] == ["en"]


def test_warnings_come_first() -> None:
    sent = play(flux(f"{RAW}&numerals=true"))
    assert [m["type"] for m in sent] == ["Connected", "Warning"]
    assert sent[1]["code"] == "NUMERALS_NOT_SUPPORTED"
