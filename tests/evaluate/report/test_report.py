"""The tables, the page and the JSON line say the same."""

import io
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

from stream.evaluate.material.recordings import Recording, Turn
from stream.evaluate.measures.record import Finished, Stamped, TimedWord, Transcript
from stream.evaluate.playback import Played
from stream.evaluate.report.html import page
from stream.evaluate.report.repeats import repeats_json
from stream.evaluate.report.results import Result, Score, as_json, write_json
from stream.evaluate.report.tables import print_tables
from tests.evaluate.shown import began, finished, over, shown


def result(text, streamed, offline=None, *, suite="speech", condition="", kind="read", **fields):
    recording = Recording(
        "a.wav", kind, "corpus", text, lambda: None, suite=suite, condition=condition
    )
    words = streamed.split()
    timed = [TimedWord(w, 1 + i / 10, 1.1 + i / 10, 0.9) for i, w in enumerate(words)]
    final = Finished((0, 0), streamed, tuple(timed), True, {"decode": 20.0})
    events = [began(1.2, 1.0), shown(1.5, words[0] if words else "", "boo"), over(2.4, 2.0)]
    played = Played(recording, 60.0, True, [*events, Stamped(2.5, final)], **fields)
    return Result(played, {} if offline is None else {"same-model": (Transcript(offline),)})


RESULTS = [
    result("ape bee cat dog emu", "Ape, bee; cat dock emu bat.", "ape bee cat"),
    result("fox gnu hen ibis jay", "fox gnu hen ibis jay kid", "fox gnu hen ibis jay"),
    result(None, "what is this"),
    result("", "boo", kind="silence", suite="silence", condition="busy"),
    result("ape bee cat dog emu", "ape bee", "ape bee", suite="noise-levels", condition="20 dB"),
    result("ape bee cat dog emu", "ape", "ape", suite="noise-levels", condition="0 dB"),
]
SUMMARY = {"command": "evaluate", "manifest": "set", "model": "base", **as_json(RESULTS)}
SUMMARY["cost"] = [{"system": "streamed", "suite": "speech", "audio_s": 60.0, "peak_mib": 300}]


def test_totals():
    total = SUMMARY["suites"]["speech"]["total"]
    assert total["recordings"] == 3
    assert total["words"] == 10
    streamed, offline = total["streamed"], total["same-model"]
    assert (streamed["wer"], streamed["substitutions"], streamed["insertions"]) == (30.0, 1, 2)
    assert (offline["wer"], offline["deletions"]) == (20.0, 2)
    assert total["price_of_streaming"] == 10.0
    assert streamed["insertion_rate"] == 20.0
    json.dumps(SUMMARY)


def test_words_invented_do_not_count_against_speech():
    silence = SUMMARY["suites"]["silence"]
    assert silence["total"]["words_invented"] == {"streamed": 1}
    assert silence["groups"]["busy"]["words_per_hour"] == {"streamed": 60.0}
    assert "latency_ms" not in silence
    assert Score.of(RESULTS[:2]).errors == Score.of(RESULTS[:4]).errors


def test_latency_and_stability_are_those_of_the_suite():
    suite = SUMMARY["suites"]["noise-levels"]
    assert suite["latency_ms"]["speech_end_to_final"]["p50"] == 500
    assert suite["latency_ms"]["word_times_from"] == "finals"
    assert suite["latency_ms"]["by_server"]["decode"]["p50"] == 20
    assert suite["stability"]["final_words"] == 3
    assert suite["stability"]["normalised_erasure"] == pytest.approx(2 / 3, abs=1e-4)
    assert suite["stability"]["erased_by_age"] == [[0, 0.0, 2]]  # replaced by the final, at 1 s
    (found,) = suite["calibration"]["bins"]
    assert (found["words"], found["right"]) == (3, 1.0)


def test_without_pacing_latencies_are_not_reported():
    fast = result("a", "a")
    fast.played.real_time = False
    found = as_json([fast])["suites"]["speech"]["latency_ms"]
    assert found["word_to_final"] == {"count": 0}
    assert found["word_times_from"] is None


@pytest.mark.parametrize("width", [80, 160])
def test_tables_show_the_groups_and_the_failures(width):
    output = io.StringIO()
    odd = result("a", "b", failure="It broke.")
    results = [*RESULTS, odd]
    print_tables(
        {**as_json(results), "cost": SUMMARY["cost"]}, results, Console(file=output, width=width)
    )
    text = output.getvalue()
    assert "It broke." in text
    assert "20 dB" in text or width == 80
    assert "p95" in text


def test_the_page_is_complete_and_loads_from_no_other_host():
    odd = [result("a", "<b>", failure="It <broke>.")]
    text = page(SUMMARY, RESULTS) + page(as_json(odd), odd)
    assert text.count("<svg") >= 6
    assert "It &lt;broke&gt;." in text
    assert "<b>&lt;b&gt;</b>" in text
    assert not re.search(r"https?:|src=|url\(|<script|<link|@import", text)


def test_the_page_of_silence_only():
    silent = [RESULTS[3]]
    assert "busy" in page({"manifest": None, **as_json(silent)}, silent)


def test_the_json_holds_every_event(tmp_path):
    write_json(SUMMARY, RESULTS, tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["suites"] == SUMMARY["suites"]
    assert [r["text"] for r in report["recordings"]] == [r.played.recording.text for r in RESULTS]
    first = report["recordings"][0]
    assert first["errors"]["streamed"]["substitutions"] == 1
    assert [e["event"] for e in first["events"]] == [
        "SpeechBegan", "Shown", "SpeechOver", "Finished"
    ]  # fmt: skip


def test_a_run_passes_if_no_commit_changed_and_silence_has_no_words():
    assert result("a", "b").went_well()
    assert not result("a", "b", failure="It broke.").went_well()
    assert not result("", "boo", kind="silence").went_well()
    assert result("", "", kind="silence").went_well()
    broken = result("a", "a")
    broken.played.events.insert(0, shown(1, "not a"))
    assert not broken.went_well()


def calls(streamed, repeat=0):
    """A recording of two channels: what each said, and its transcript."""
    recording = Recording(
        "call.wav", "phone", "corpus", "ape bee cat dog", lambda: None,
        text_by_channel=("ape bee", "cat dog"), repeat=repeat,
    )  # fmt: skip
    events = [finished(2 - i, text, (1.0,), (i, 0)) for i, text in enumerate(streamed)]
    return Result(Played(recording, 60.0, True, events), {"same-model": offline("ape bee", "cat")})


def offline(*texts):
    return tuple(Transcript(text) for text in texts)


def test_channels_are_scored_apart_in_whatever_order_their_finals_come():
    total = as_json([calls(["ape bee", "cat dog"])])["suites"]["speech"]["total"]
    assert (total["words"], total["streamed"]["wer"]) == (4, 0.0)
    assert (total["same-model"]["deletions"], total["price_of_streaming"]) == (1, -25.0)
    # A word on the channel of the other speaker is wrong twice.
    swapped = as_json([calls(["ape", "bee cat dog"])])["suites"]["speech"]["total"]["streamed"]
    assert (swapped["deletions"], swapped["insertions"]) == (1, 1)


def test_words_outside_of_turns_and_loops_need_no_text():
    recording = Recording(
        "meeting.wav", "conversational", "corpus", None, lambda: None, turns=(Turn(1.0, 2.0),)
    )
    words = [TimedWord(w, s, s + 0.2) for w, s in (("so", 1.5), ("no", 5.0), ("no", 5.3))]
    final = Finished((0, 0), "so no no no", (*words, TimedWord("no", 5.6, 5.8)))
    heard = Transcript("so", (words[0],))
    found = Result(Played(recording, 60.0, True, [Stamped(6.0, final)]), {"same-model": (heard,)})
    summary = as_json([found])
    total = summary["suites"]["speech"]["total"]
    assert total["inventions"]["streamed"] == {
        "recognised": 4, "inserted": 0, "outside": 3, "looped": 1
    }  # fmt: skip
    assert total["inventions"]["same-model"]["outside"] == 0
    output = io.StringIO()
    print_tables(summary, [found], Console(file=output, width=200))
    for text in (output.getvalue(), page(summary, [found])):
        assert "were not spoken" in text


def test_each_channel_has_its_own_turns():
    recording = Recording(
        "call.wav", "phone", "corpus", "ape bee", lambda: None,
        text_by_channel=("ape", "bee"), turns=(Turn(1.0, 2.0, 0), Turn(5.0, 6.0, 1)),
    )  # fmt: skip
    events = [finished(7.0, "ape", (2.0,)), finished(7.0, "bee", (2.0,), (1, 0))]
    found = Result(Played(recording, 60.0, True, events))
    assert found.inventions()["streamed"].outside == 1
    mixed = replace(recording, text_by_channel=())
    assert Result(Played(mixed, 60.0, True, events)).inventions()["streamed"].outside == 0


def test_repeats_are_summed_up_as_means_with_their_standard_error():
    results = [calls(["ape bee", "cat dog"]), calls(["ape bee cub", "cat"], repeat=1)]
    found = repeats_json(results)
    assert found["count"] == 2
    total = found["suites"]["speech"]["scores"]["total"]
    assert total["streamed"]["wer"] == {"mean": 25.0, "error": 25.0}
    assert total["streamed"]["insertions"] == {"mean": 0.5, "error": 0.5}
    assert total["same-model"]["wer"] == {"mean": 25.0, "error": 0.0}
    assert total["price_of_streaming"] == {"mean": 0.0, "error": 25.0}
    medians = found["suites"]["speech"]["median_ms"]
    assert medians["word_to_final"] == {"mean": 500.0, "error": 0.0}


def test_repeats_are_in_the_tables_and_on_the_page():
    results = [calls(["ape bee", "cat dog"]), calls(["ape bee cub", "cat"], repeat=1)]
    summary = {**as_json(results), "repeats": repeats_json(results)}
    output = io.StringIO()
    print_tables(summary, results, Console(file=output, width=200))
    for text in (output.getvalue(), page(summary, results)):
        assert "means of 2 repeats" in text
        assert "25.00 ± 25.00" in text
        assert "500 ± 0" in text
