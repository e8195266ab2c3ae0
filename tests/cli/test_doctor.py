import json

import pytest

from stream.cli.doctor import counted, doctor, what_to_change
from stream.engine.capacity import Capacity
from stream.engine.network.ways import OPERATIONS

SLOW = Capacity(partial_s=2.0, final_s=4.0, cores=1)


@pytest.mark.model
def test_the_doctor_shows_the_ways_their_speeds_and_what_this_machine_carries(
    capsys, monkeypatch, tmp_path
):
    monkeypatch.setenv("DISTIL_STREAM_CACHE", str(tmp_path))
    doctor(model="tiny.en", as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["ways"].keys() == OPERATIONS.keys()
    assert found["cores"] >= 1
    assert 0 < found["partial_s"] < found["final_s"]
    assert found["streams"] > 0
    doctor(model="tiny.en")
    view = capsys.readouterr().out
    assert found["processor"] in view
    assert all(operation in view for operation in OPERATIONS)
    assert "With tiny.en this machine can serve" in view


def test_less_than_one_stream_is_a_sentence():
    assert counted(0.21) == "less than one live stream (0.21)"
    assert counted(1.9) == "one live stream"
    assert counted(4.99) == "4 live streams"


def test_advice_is_a_command_that_works():
    advice = what_to_change("base", SLOW)
    assert any("make run MODEL=tiny.en" in line for line in advice)
    assert any("--partial-hop-ms 2000" in line for line in advice)
    assert any("More cores" in line for line in advice)


def test_the_smallest_model_gets_no_advice_for_a_smaller_one():
    assert not any("MODEL=" in line for line in what_to_change("tiny.en", SLOW))
