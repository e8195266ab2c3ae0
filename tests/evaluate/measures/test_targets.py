"""A target is met or not, and only spoken of where it was measured."""

from stream.evaluate.measures.targets import targets

SUITES = {
    "speech": {
        "kinds": {"read": {"price_of_streaming": 0.4}, "phone": {"price_of_streaming": 0.6}},
        "stability": {"normalised_erasure": 0.15},
        "latency_ms": {"word_to_commit": {"p50": 2001, "count": 3}},
    },
    "silence": {"kinds": {"silence": {"words_per_hour": {"streamed": 0.0}}}},
}


def test_what_was_measured():
    found = {row["target"]: row["met"] for row in targets({"suites": SUITES, "violations": 0})}
    assert found == {
        "price of streaming, read speech": True,
        "price of streaming, phone speech": False,
        "words an hour, silence": True,
        "normalised erasure, speech": True,
        "violations: committed words that changed, samples not accounted for": True,
        "end of a word → committed, ms at the median": False,
    }


def test_a_system_without_measurements_has_its_commits_checked():
    (row,) = targets({"suites": {}, "violations": 2})
    assert (row["measured"], row["met"]) == (2, False)


def test_without_pacing_flicker_is_not_reported():
    found = targets({"suites": SUITES, "violations": 0, "pace": "fast"})
    assert not any("erasure" in row["target"] for row in found)
