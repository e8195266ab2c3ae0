"""The network is the one that is shipped; the gate runs it while there is something to hear."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.endpointing import Endpointer, Onset
from stream.core.events import SpeechEnded, SpeechStarted
from stream.core.session import Session
from stream.core.settings import StreamSettings
from stream.core.silero import Silero, SileroWeights
from stream.core.silero_gate import WINDOW_SAMPLES, SileroGate
from stream.engine.checkpoints.silero_weights import read_weights, weights_file


@pytest.fixture(scope="module")
def weights() -> SileroWeights:
    path = weights_file()
    if path is None:
        pytest.skip("silero-vad, which holds the weights, is not installed")
    return read_weights(path)[16_000]


def windows(samples):
    whole = samples[: len(samples) // WINDOW_SAMPLES * WINDOW_SAMPLES]
    return whole.reshape(-1, WINDOW_SAMPLES).astype(np.float32)


def answers(gate, samples):
    return np.array([gate.is_speech(window) for window in windows(samples)])


def noise(seconds, dbfs):
    return np.random.default_rng(0).standard_normal(round(seconds * 16_000)) * 10 ** (dbfs / 20)


@pytest.mark.slow
def test_probabilities_are_those_of_the_shipped_network(weights, speech):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import torch

        shipped = torch.jit.load(str(weights_file())).eval()
    for rate, every in ((16_000, 1), (8_000, 2)):
        network = Silero(read_weights(weights_file())[rate])
        shipped.reset_states()
        with torch.no_grad():
            for window in windows(speech[: 20 * 16_000])[:, ::every]:
                theirs = float(shipped(torch.from_numpy(window.copy())[None], rate))
                assert network.probability(window) == pytest.approx(theirs, abs=1e-4)


def test_windows_of_a_batch_are_judged_independently(weights, speech):
    heard = windows(np.concatenate([np.zeros(48_000, np.float32), speech[: 12 * 16_000]]))
    alone, together = Silero(weights), Silero(weights)
    one_by_one = [alone.probability(window) for window in heard]
    in_parts = [together.probabilities(part) for part in np.array_split(heard, 7)]
    np.testing.assert_allclose(np.concatenate(in_parts), one_by_one, atol=1e-4)
    gate, gate_of_many = SileroGate(weights), SileroGate(weights)
    answers_of_many = [
        a for part in np.array_split(heard, 5) for a in gate_of_many.are_speech(part)
    ]
    assert answers_of_many == [gate.is_speech(window) for window in heard]
    assert gate_of_many.windows_judged == gate.windows_judged


@pytest.mark.parametrize("samples", [np.zeros(32_000), np.full(32_000, 1.0), noise(2, 40)])
def test_probabilities_stay_probabilities(weights, samples):
    network = Silero(weights)
    assert all(0 <= network.probability(window) <= 1 for window in windows(samples))


def test_the_network_does_not_run_in_silence_and_steady_noise(weights):
    for samples in (np.zeros(16_000 * 60), noise(60, -60), noise(60, -40)):
        gate = SileroGate(weights)
        assert not answers(gate, samples).any()
        assert gate.windows_judged < 0.05 * len(windows(samples))


def test_noise_that_the_first_gate_lets_pass_is_no_speech(weights):
    samples = noise(30, -60)
    for at in range(16_000, len(samples) - 8_000, 24_000):  # half a second of loud noise, often
        samples[at : at + 8_000] += noise(0.5, -20)
    gate = SileroGate(weights)
    assert answers(gate, samples).mean() < 0.02
    assert gate.windows_judged > len(windows(samples)) / 4


@pytest.mark.slow
def test_a_detector_that_was_paused_gives_the_same_results(weights, speech):
    """Once awake, the gate's answers are those of a network that heard everything."""
    samples = np.concatenate([np.zeros(16_000 * 5, np.float32), speech])
    awake = SileroGate(weights)
    awake._awake = len(windows(samples)) + 1
    slept = SileroGate(weights)
    assert (answers(awake, samples) == answers(slept, samples)).mean() > 0.99
    assert slept.windows_judged < awake.windows_judged


@pytest.mark.slow
@pytest.mark.parametrize("gain_db", [0, -10, -20, -30])
def test_quiet_speech_is_recognised_like_loud_speech(weights, speech, gain_db):
    loud = answers(SileroGate(weights), speech)
    quiet = answers(SileroGate(weights), speech * 10 ** (gain_db / 20))
    assert loud.mean() > 0.6
    assert quiet.mean() > 0.9 * loud.mean()  # at -30 dB, most of it is below -65 dBFS


def test_a_stream_may_begin_in_the_middle_of_a_word(weights, speech):
    loud = int(np.argmax(np.abs(speech) > 0.1))
    endpointer = Endpointer(300, 90, 500, WINDOW_SAMPLES)
    heard = map(endpointer.feed, answers(SileroGate(weights), speech[loud : loud + 32_000]))
    first = next(event for event in heard if isinstance(event, Onset))
    assert first.speech_sample < 0.2 * 16_000


def test_a_short_word_after_long_silence_is_complete(weights, speech):
    """A second of speech amid silence: the utterance begins before it, by the pre-roll."""
    begin = int(np.argmax(np.abs(speech) > 0.05))
    word = speech[begin : begin + 8_000]
    samples = np.concatenate([np.zeros(16_000 * 10), word, np.zeros(16_000 * 2)])
    endpointer = Endpointer(300, 90, 500, WINDOW_SAMPLES)
    events = [endpointer.feed(answer) for answer in answers(SileroGate(weights), samples)]
    onset, endpoint = (event for event in events if event)
    assert onset.start_sample <= 16_000 * 10
    assert endpoint.speech_end_sample >= 16_000 * 10 + 0.8 * len(word)


@pytest.mark.slow
@given(st.lists(st.integers(1, 40_000), max_size=6))
@settings(max_examples=10, deadline=None)
def test_pieces_make_no_difference_to_a_session(weights, speech, pieces):
    data = (speech[: 8 * 16_000] * 32_767).astype("<i2").tobytes()

    def spoken(cuts):
        session = Session("s", StreamSettings(), detector=lambda sample_rate: SileroGate(weights))
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            session.receive_audio(data[start:end])
        session.receive_eof()
        return [e for e in session.events_to_send() if isinstance(e, SpeechStarted | SpeechEnded)]

    whole = spoken([])
    assert whole
    assert spoken(np.minimum(np.cumsum(pieces), len(data)).astype(int).tolist()) == whole
