"""How soon the page commits a word, worked out from what the probe saw."""

import pytest

from stream.bench.page import figures
from stream.errors import UsageError

RATE = 1000
"""Hertz: a sample a millisecond."""


def frame(at_ms: float, samples: int) -> list[float]:
    return [at_ms, samples]


def shown(came: float, painted: float, committed: int, words: list[float]) -> dict:
    message = {"type": "final", "words": [{"end": end} for end in words]}
    return {"came": came, "painted": painted, "committed": committed, "message": message}


def test_the_parts_of_a_words_latency() -> None:
    """Sound 0 is heard at 5000 ms; one frame leaves 10 ms late, a word is painted in 30."""
    seen = {
        "rate": RATE,
        "sent": [frame(5040, 40), frame(5090, 80), frame(5120, 120)],
        "shown": [shown(5500, 5530, 1, [0.07]), shown(5600, 5616, 2, [0.115])],
    }
    rows = figures(seen)
    assert rows["sound_to_sent"] == pytest.approx([20, 5])
    assert rows["message_to_painted"] == pytest.approx([30, 16])
    assert rows["page"] == pytest.approx([50, 21])
    assert rows["spoken_to_committed"] == pytest.approx([460, 501])


def test_a_message_overtaken_by_the_paint_of_the_next_is_the_one_that_committed() -> None:
    seen = {
        "rate": RATE,
        "sent": [frame(100, 100)],
        "shown": [shown(300, 340, 2, [0.05]), shown(310, 340, 2, [0.06])],
    }
    assert figures(seen)["message_to_painted"] == pytest.approx([40, 40])


def test_words_are_needed() -> None:
    with pytest.raises(UsageError, match="No word was recognised"):
        figures({"rate": RATE, "sent": [frame(1, 1)], "shown": []})
