import logging
from dataclasses import replace

import pytest
import torch

from stream.engine import capacity, cores
from stream.engine.capacity import Capacity, measure_capacity
from stream.engine.model_families import warn_if_too_slow
from stream.engine.network.whisper import Whisper
from tests.engine.nonsense import SMALL


def test_a_second_of_speech_takes_its_partials_and_its_share_of_a_final():
    cost = Capacity(partial_s=0.3, final_s=0.4, cores=2)
    assert cost.load() == pytest.approx(0.4)
    assert cost.load(partial_hop_ms=500) == pytest.approx(0.7)
    assert cost.streams() == pytest.approx(3)
    assert cost.streams(partial_hop_ms=2000) == pytest.approx(4.8)


def test_a_quota_below_one_core_counts_as_a_fraction(monkeypatch, nonsense):
    monkeypatch.setattr(cores, "cpu_quota", lambda folder: 0.5)
    assert measure_capacity(nonsense).cores == 0.5


def test_smt_siblings_count_as_one_core(monkeypatch, nonsense):
    monkeypatch.setattr(cores, "cpu_quota", lambda folder: None)
    monkeypatch.setattr(cores, "whole_cores", lambda cpus: 4)
    assert measure_capacity(nonsense).cores == 4


def test_a_final_costs_more_than_a_partial_with_its_draft(nonsense):
    """The passes of the decoder are counted, and not their time, which is not to be relied on."""
    passes = []
    read = nonsense.read

    def counted(tokens, *rest):
        passes.append(tokens.shape[1])
        return read(tokens, *rest)

    nonsense.read = counted
    capacity.partial(nonsense)
    assert passes == [37, 1, 1, 1]
    passes.clear()
    capacity.final(nonsense)
    assert passes == [4] + [1] * 36


def test_a_machine_too_slow_for_one_stream_gets_advice(caplog):
    with caplog.at_level(logging.WARNING):
        warn_if_too_slow("base", Capacity(partial_s=2.0, final_s=4.0, cores=2))
    assert "too slow for one live stream with base" in caplog.text
    assert "takes about 3.0 CPU seconds, and there are 2 cores" in caplog.text
    assert "make run MODEL=tiny.en" in caplog.text


def test_a_fast_machine_gets_no_advice(caplog):
    with caplog.at_level(logging.INFO):
        warn_if_too_slow("base", Capacity(partial_s=0.3, final_s=0.6, cores=2))
    assert not caplog.text


def test_no_smaller_model_is_suggested_for_the_smallest(caplog):
    warn_if_too_slow("tiny.en", Capacity(partial_s=2.0, final_s=4.0, cores=2))
    assert "make run" not in caplog.text


@pytest.fixture
def nonsense():
    """A small network whose encoder takes the twelve seconds of a window."""
    torch.manual_seed(0)
    model = Whisper(replace(SMALL, n_mels=80, max_positions=1500)).requires_grad_(False).eval()
    for parameter in model.parameters():
        parameter.normal_(0, 0.1)
    return model
