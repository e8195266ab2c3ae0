"""Streams that say nothing are counted."""

import json

import pytest

from stream.bench.idle import run


@pytest.mark.slow
def test_the_command_prints_a_table_and_a_line_of_json(capsys):
    run(streams=5, sending=2, seconds=1.0)
    *shown, last = capsys.readouterr().out.splitlines()
    connected, sending = json.loads(last)["rows"]
    assert "idle streams" in shown[0]
    assert (connected["state"], connected["streams"]) == ("connected", 5)
    assert (sending["state"], sending["streams"]) == ("sending silence", 2)
    assert connected["cpu_cores"] >= 0
    assert sending["loop_late_p99_ms"] >= 0
