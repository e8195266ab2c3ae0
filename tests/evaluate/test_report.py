"""The tables and the JSON line say the same."""

import io
import json

import pytest
from distil_stream_client import Final, Latency
from rich.console import Console

from stream.evaluate import went_well
from stream.evaluate.playback import Played
from stream.evaluate.recordings import Recording
from stream.evaluate.report import Result, as_json, print_tables, write_report


def result(text, streamed, offline=None, kind="read", **fields):
    recording = Recording("a.wav", kind, "corpus", text, read=lambda: None)
    latency = Latency(endpoint_ms=500, total_ms=700)
    final = Final(channel=0, utterance=0, start=0, end=2, text=streamed, latency=latency)
    return Result(Played(recording, 60.0, [final], **fields), offline)


RESULTS = [
    result("ape bee cat dog emu", "Ape, bee; cat dock emu bat.", "ape bee cat"),
    result("fox gnu hen ibis jay", "fox gnu hen ibis jay kid", "fox gnu hen ibis jay"),
    result(None, "what is this"),
    result("", "boo", kind="noise"),
]


def test_totals():
    summary = as_json(RESULTS)
    assert summary["words"] == 10
    assert summary["streamed"] == {"wer": 30.0, "substitutions": 1, "deletions": 0, "insertions": 2}
    assert summary["offline"] == {"wer": 20.0, "substitutions": 0, "deletions": 2, "insertions": 0}
    assert summary["difference"] == 10.0
    assert summary["latency_ms"]["after_speech"]["p50"] == 700
    assert summary["latency_ms"]["beyond_endpoint"]["p50"] == 200
    json.dumps(summary)


def test_words_invented_in_noise_do_not_count_against_speech():
    assert as_json(RESULTS)["words_invented"] == 1
    assert as_json(RESULTS[:2])["streamed"] == as_json(RESULTS)["streamed"]


@pytest.mark.parametrize("width", [80, 140])
def test_tables_show_the_groups_and_what_went_wrong(width):
    output = io.StringIO()
    odd = result("a", "b", violations=["committed 'a' became 'b'"], failure="It broke.")
    print_tables([*RESULTS, odd], Console(file=output, width=width))
    text = output.getvalue()
    assert "total" in text or width == 80
    assert "committed 'a' became 'b'" in text
    assert "It broke." in text


def test_the_report_has_a_line_for_each_recording(tmp_path):
    write_report(RESULTS, tmp_path / "report.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert [line["text"] for line in lines] == [r.played.recording.text for r in RESULTS]
    assert lines[0]["streamed"]["substitutions"] == 1
    assert lines[2]["streamed"] is None


def test_a_run_went_well_when_promises_were_kept_and_silence_stayed_silent():
    assert went_well(result("a", "b"))
    assert not went_well(result("a", "a", violations=["committed 'a' became 'b'"]))
    assert not went_well(result("a", "a", failure="It broke."))
    assert not went_well(result("", "boo", kind="silence"))
    assert went_well(result("", "", kind="silence"))
