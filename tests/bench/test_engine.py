"""What is timed takes turns, and a draft that changes a token is found."""

import json

import pytest
import soundfile

from stream.bench.engine import differences, measure, run
from stream.bench.rivals.contenders import Contender, WindowResult
from tests.engine.windows import a_window

WINDOWS = (a_window(1), a_window(2))


class FakeSystem:
    """Returns the same tokens for every call, and records the order of the calls."""

    def __init__(self, name, turns, *tokens, decode_ms=None):
        self.name, self.turns, self.tokens, self.decode_ms = name, turns, tokens, decode_ms

    def __call__(self, windows):
        self.turns.append(self.name)
        own = {"passes": 2, "drafted": 3, "accepted": 1, "decode_ms": self.decode_ms}
        return [WindowResult(f"it says {t}", (t,), **own) for t in self.tokens]


def fake_systems():
    turns = []
    ours = FakeSystem("ours", turns, 7, 8, decode_ms=30.0)
    batched = FakeSystem("batched", turns, 7, 9, decode_ms=20.0)
    theirs = FakeSystem("theirs", turns, 7, 9)
    oracle = FakeSystem("oracle", turns, 7, 7)
    return turns, [
        Contender("ours", "int8", 1, "right", ours, WINDOWS, ((7,), (8,))),
        Contender("ours", "int8", 8, "right", batched, WINDOWS, ((7,), (8,))),
        Contender("faster-whisper", "int8", 1, "none", theirs, WINDOWS),
        Contender("transformers", "float32", 1, "none", oracle, WINDOWS),
    ]


def test_all_systems_take_turns_after_a_warm_up_round():
    turns, contenders = fake_systems()
    list(measure(contenders, 1.0, rounds=2))
    assert turns == ["ours", "batched", "theirs", "oracle"] * 3


def test_a_changed_committed_token_is_counted_only_for_systems_that_commit():
    _, contenders = fake_systems()
    rows = list(measure(contenders, 1.0, rounds=1))
    assert [row.changed for row in rows] == [0, 1, None, None]


def test_ratios_and_shares():
    _, contenders = fake_systems()
    ours, batched, baseline, oracle = measure(contenders, 1.0, rounds=3)
    assert (ours.decode_ms, ours.batch_ratio) == (30, 1)
    assert (batched.decode_ms, batched.batch_ratio) == (20, 1.5)
    assert (baseline.decode_ms, baseline.batch_ratio) == (None, None)
    assert ours.wall_ratio > 0
    assert baseline.wall_ratio == baseline.cpu_ratio == 1
    assert (ours.passes, ours.drafted, ours.accepted) == (2, 6, 2)
    assert oracle.word_differences == 0
    assert ours.word_differences == pytest.approx(100 / 6, abs=0.01)


def test_without_other_systems_there_is_no_ratio():
    _, contenders = fake_systems()
    ours, _ = measure(contenders[:2], 1.0, rounds=1)
    assert ours.wall_ratio is ours.cpu_ratio is ours.word_differences is None


def test_spelling_is_no_difference():
    assert differences([WindowResult("Hello, World")], [WindowResult("hello world")]) == 0


@pytest.mark.model
def test_the_command_prints_tables_and_a_line_of_json(speech, tmp_path, capsys):
    soundfile.write(tmp_path / "opening.wav", speech[:80_000], 16_000)
    cut = {"audio": "opening.wav", "text": "it was the best of times", "seconds": 5.0}
    (tmp_path / "long.jsonl").write_text(json.dumps({"cuts": [cut, cut]}))
    status = run(
        tmp_path,
        "tiny.en",
        assistant="tiny.en",
        lengths=(2.0,),
        batches=(1, 2),
        precisions=("float32",),
        windows=2,
        rounds=1,
        others=False,
    )
    *shown, last = capsys.readouterr().out.splitlines()
    summary = json.loads(last)
    assert status == summary["changed"] == 0
    assert "windows of 2 s" in shown[0]
    assert len(summary["rows"]) == 2 * 4 + 2 + 1
    right = next(row for row in summary["rows"] if row["draft"] == "right")
    assert right["accepted"] == right["drafted"] > 0
    assert right["passes"] == 1
