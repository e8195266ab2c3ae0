import numpy as np
import pytest
from torch import nn

from stream.core.audio import SAMPLE_RATE
from stream.distil.evaluation import (
    ASSISTED,
    CONDITIONS,
    STUDENT,
    TEACHER,
    Counts,
    Systems,
    compare,
    under_conditions,
)
from stream.distil.student import untrained
from stream.distil.weight_bytes import weight_bytes
from stream.engine.network.quantization import Int8Linear
from stream.evaluate.material.recordings import Audio, Recording, to_int16
from stream.evaluate.measures.hallucination import Repetitions
from stream.evaluate.measures.scoring import WordErrors


def recording(samples, text="yes", name="a.wav"):
    audio = Audio(to_int16(samples), SAMPLE_RATE)
    return Recording(name, "read", "here", text, lambda: audio)


def test_figures_follow_from_what_was_counted():
    counts = Counts(decode_s=2.0, tokens=30, passes=10, drafted=40, accepted=25, windows=2)
    counts.add(
        Counts(WordErrors(10, 1, 0, 1), Repetitions(transcript=3, reference=1), decode_s=1.0)
    )
    found = counts.as_json()
    assert (found["wer"], found["insertion_rate"], found["repeated_5grams"]) == (20, 10, 2)
    assert (found["tokens_per_s"], found["tokens_per_pass"]) == (10, 3)
    assert found["accepted_percent"] == 62.5
    assert Counts().as_json()["accepted_percent"] is None


@pytest.mark.slow
def test_every_condition_changes_every_recording():
    rng = np.random.default_rng(0)
    speech = [recording(rng.normal(0, 0.1, SAMPLE_RATE), name=f"{i}.wav") for i in range(2)]
    found = under_conditions(speech, [])
    assert {name: len(heard) for name, heard in found.items()} == dict.fromkeys(CONDITIONS, 2)
    clean = speech[0].read().samples
    assert np.array_equal(found["clean"][0].read().samples, clean)
    assert found["phone"][0].read().rate == 8000
    assert not np.array_equal(found["0 dB"][0].read().samples, clean)


def test_weights_that_are_shared_count_once():
    linear = nn.Linear(4, 8)
    both = nn.ModuleList([linear, linear, Int8Linear(linear.weight, linear.bias)])
    assert weight_bytes(linear) == 4 * (32 + 8)
    assert weight_bytes(both, linear, None) == 4 * (32 + 8) + 32


@pytest.mark.model
@pytest.mark.parametrize("batch", [1, 3])
def test_drafts_change_no_word_and_the_student_is_scored_alone(base_checkpoint, speech, batch):
    heard = [
        recording(speech[at : at + 4 * SAMPLE_RATE], name=f"{at}.wav")
        for at in range(0, 12 * SAMPLE_RATE, 4 * SAMPLE_RATE)
    ]
    systems = Systems(base_checkpoint, untrained(base_checkpoint, "untrained", 2), "int8")
    results = {row.system: row.counts for row in compare(systems, {"clean": heard}, batch)}
    assert results[ASSISTED].different == 0
    assert results[ASSISTED].tokens == results[TEACHER].tokens > 0
    assert results[ASSISTED].drafted > 0
    assert results[STUDENT].different == 3  # it has learnt nothing
    sizes = systems.bytes_of_weights()
    assert sizes[STUDENT] < sizes[TEACHER] < sizes[ASSISTED] < sizes[STUDENT] + sizes[TEACHER]
