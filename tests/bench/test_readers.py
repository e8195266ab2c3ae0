"""Many readers of one room, and what they cost."""

import asyncio
import json

import pytest
import soundfile

from stream.bench.readers import Reader, run
from tests.clients import recording


@pytest.mark.slow
def test_every_reader_gets_every_final(tmp_path, capsys):
    path = tmp_path / "said.wav"
    soundfile.write(path, recording.samples(), 16_000)
    run(path, readers=[3])
    row = json.loads(capsys.readouterr().out.splitlines()[-1])["readers"][0]
    assert (row["readers"], row["finals"], row["delivered"]) == (3, 2, 1.0)
    assert 0 <= row["median_ms"] <= row["p95_ms"] <= row["worst_ms"]
    assert row["server_cpu"] > 0


async def test_a_final_counts_for_scores_regardless_of_its_cut():
    final = b'data: {"type":"final","line":1,"speaker":"Ada","start":0.0,"end":1.0,"text":"hi"}\n\n'
    nothing = final.replace(b'"hi"', b'""')
    data = (nothing + final) * 2
    for size in (1, 7, len(data)):
        reader = Reader(b"")
        for at in range(0, len(data), size):
            reader.data_received(data[at : at + size])
        assert len(reader.finals) == 2
    assert max(reader.finals) <= asyncio.get_running_loop().time()
