"""The choice between ways, with ways that are made slow and ways that are made wrong."""

import json
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from stream.engine.checkpoints.dims import WhisperDims
from stream.engine.network import choosing, int8_attention
from stream.engine.network.choosing import (
    Choice,
    cache_key,
    choice_file,
    choose_ways,
    fastest,
    measure_ways,
    processor,
)
from stream.engine.network.layers import Decoder, Encoder
from stream.engine.network.ways import DEFAULT_WAYS, FLOAT32_WAYS, OPERATIONS, Way
from stream.engine.network.whisper import Whisper

DIMS = WhisperDims(
    n_mels=8,
    d_model=128,
    encoder_layers=1,
    encoder_heads=2,
    decoder_layers=2,
    decoder_heads=2,
    encoder_ffn=256,
    decoder_ffn=256,
    vocab_size=400,
)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    encoder, decoder = Encoder(DIMS), Decoder(DIMS)
    nn.init.normal_(encoder.embed_positions.weight)
    nn.init.normal_(decoder.embed_tokens.weight)
    nn.init.normal_(decoder.embed_positions.weight)
    return encoder.requires_grad_(False), decoder.requires_grad_(False)


class Broken:
    """Passes all on to a part of the network, after `before` and through `after`."""

    def __init__(self, part, before, after):
        self._part, self._before, self._after = part, before, after

    def __call__(self, *args):
        self._before()
        return self._after(self._part(*args))

    def attend(self, *args):
        self._before()
        found = self._part.attend(*args)
        return (self._after(found[0]), found[1]) if isinstance(found, tuple) else self._after(found)


class Clock:
    """A millisecond passes each time that the clock is read, and a minute in a slow way."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        self.now_s += 0.001
        return self.now_s

    def pass_a_minute(self):
        self.now_s += 60


def altered(operation, way, before=lambda: None, after=lambda x: x):
    """Return an operation with one way that is made slow or wrong."""
    row = operation.ways[way]
    make = row.make
    changed = Way(lambda *args: Broken(make(*args), before, after), row.max_error)
    return replace(operation, ways={**operation.ways, way: changed})


def right_ways(network, name):
    choice = measure_ways(*network, {name: OPERATIONS[name]}, budget_s=0)
    return [way for way in OPERATIONS[name].ways if way not in choice.refused[name]]


NETWORK_OPERATIONS = [name for name in OPERATIONS if name != "threads"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORK_OPERATIONS)
def test_a_slow_way_is_not_chosen_if_another_is_accurate(network, name):
    """However slow all but one of the right ways are, that one is taken."""
    right = right_ways(network, name)
    for way in right:
        clock, operation = Clock(), OPERATIONS[name]
        for other in right:
            if other != way:
                operation = altered(operation, other, before=clock.pass_a_minute)
        choice = measure_ways(*network, {name: operation}, budget_s=0, clock=clock)
        assert choice.ways[name] == way


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORK_OPERATIONS)
def test_a_way_that_is_accurate_in_its_probe_works_in_the_network(network, name):
    """The probe is in inference mode; the network is built of parameters, and is not."""
    mel, n_frames = torch.randn(1, DIMS.n_mels, 200), torch.tensor([200])
    tokens = torch.arange(6)[None]

    def logits(ways):
        torch.manual_seed(0)
        model = Whisper(DIMS)
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.1)
        model.use(ways)
        with torch.inference_mode():
            audio = model.encode(mel, n_frames)
            cache = model.prefill_cache(audio, torch.tensor([audio.shape[1]]), 6)
            return model.decode(tokens, torch.tensor([6]), cache)

    expected = logits(FLOAT32_WAYS)
    for way in right_ways(network, name):
        off = (logits({**FLOAT32_WAYS, name: way}) - expected).norm() / expected.norm()
        assert off < 0.05, way


@pytest.mark.parametrize("name", NETWORK_OPERATIONS)
def test_an_inaccurate_way_is_never_chosen(network, name):
    operation = OPERATIONS[name]
    for way in operation.ways:
        if way != operation.reference:
            broken = altered(operation, way, after=lambda x: x * 1.1)
            choice = measure_ways(*network, {name: broken}, budget_s=0)
            assert choice.ways[name] != way
            assert "its error is 0.1" in choice.refused[name][way]


@pytest.mark.parametrize("name", NETWORK_OPERATIONS)
def test_a_way_that_returns_nan_is_never_chosen(network, name):
    operation = OPERATIONS[name]
    way = next(way for way in operation.ways if way != operation.reference)
    broken = altered(operation, way, after=lambda x: x * torch.nan)
    choice = measure_ways(*network, {name: broken}, budget_s=0)
    assert choice.ways[name] != way


def test_an_operator_that_is_missing_is_passed_over(network):
    def missing(*args):
        raise RuntimeError("no such engine\nand a long trace")

    operation = OPERATIONS["decoder_linear"]
    ways = {**operation.ways, "int8": Way(missing, 0.03)}
    choice = measure_ways(*network, {"decoder_linear": replace(operation, ways=ways)}, budget_s=0)
    assert choice.ways["decoder_linear"] != "int8"
    assert choice.refused["decoder_linear"]["int8"] == "it failed: no such engine"


def test_if_no_way_is_right_the_reference_is_taken_and_said(network, caplog):
    operation = OPERATIONS["cross_attention"]
    for way in operation.ways:
        operation = altered(operation, way, after=lambda x: x * (1 + 1e-5 * (x.shape[1] > 1)))
    choice = measure_ways(*network, {"cross_attention": operation}, budget_s=0)
    assert choice.ways["cross_attention"] == operation.reference
    assert "no way to compute cross_attention is accurate on this machine" in caplog.text


@pytest.mark.parametrize("name", [name for name, one in OPERATIONS.items() if one.rows_alike])
def test_in_the_decoder_a_row_must_not_depend_on_its_neighbours(network, name):
    """The error is within the bound, but a row in a draft has other bits than alone."""

    def depends(x):
        rows = x.shape[1] if x.dim() == 3 else len(x)
        return x * (1 + 1e-5 * (rows > 1))

    operation = OPERATIONS[name]
    way = next(iter(operation.ways))
    choice = measure_ways(*network, {name: altered(operation, way, after=depends)}, budget_s=0)
    assert choice.refused[name][way] == "the result of a row depends on the other rows"
    assert choice.ways[name] != way


def test_another_way_has_to_be_clearly_faster_than_the_default():
    operation = OPERATIONS["encoder_linear"]
    assert fastest(operation, {"compiled": 1.0, "float32": 0.95}) == "compiled"
    assert fastest(operation, {"compiled": 1.0, "float32": 0.89}) == "float32"
    assert fastest(operation, {"compiled": 1.0, "float32": 0.8, "bfloat16": 0.5}) == "bfloat16"
    assert fastest(operation, {"float32": 2.0, "bfloat16": 1.9}) == "bfloat16"


def test_without_a_fast_byte_product_the_encoder_attends_in_floats(network, monkeypatch):
    """What a processor without VNNI does: `torch._int_mm` is a plain loop there."""
    product = torch._int_mm

    clock = Clock()

    def plain_loop(*args, **kwargs):
        clock.pass_a_minute()
        return product(*args, **kwargs)

    monkeypatch.setattr(torch, "_int_mm", plain_loop)
    table = {"encoder_attention": OPERATIONS["encoder_attention"]}
    choice = measure_ways(*network, table, budget_s=0, clock=clock)
    assert choice.ways["encoder_attention"] != "int8"


def test_a_way_that_cannot_win_is_neither_compiled_nor_timed(network):
    def built():
        raise AssertionError("the way was built")

    operation = OPERATIONS["encoder_attention"]
    hopeless = Way(built, 0.03, too_slow=lambda: "it takes 38 times as long")
    table = {"encoder_attention": replace(operation, ways={**operation.ways, "int8": hopeless})}
    choice = measure_ways(*network, table, budget_s=0)
    assert choice.refused["encoder_attention"]["int8"] == "it takes 38 times as long"
    assert "int8" not in choice.ms["encoder_attention"]


def test_a_quick_check_without_result_leaves_the_decision_to_the_timing(network):
    operation = OPERATIONS["encoder_attention"]
    row = replace(operation.ways["float32"], too_slow=lambda: None)
    table = {"encoder_attention": replace(operation, ways={**operation.ways, "float32": row})}
    assert "float32" in measure_ways(*network, table, budget_s=0).ms["encoder_attention"]


@pytest.mark.parametrize(("byte_ms", "float_ms"), [(40.0, 1.0), (1.0, 40.0)])
def test_bytes_are_slow_if_their_product_takes_longer_than_that_of_floats(
    byte_ms, float_ms, monkeypatch
):
    clock = Clock()

    def product(ms):
        def run(first, second):
            clock.now_s += ms / 1000

        return run

    monkeypatch.setattr(torch, "_int_mm", product(byte_ms))
    monkeypatch.setattr(torch, "mm", product(float_ms))
    monkeypatch.setattr(int8_attention.time, "perf_counter", clock)
    reason = int8_attention.why_bytes_are_slow()
    if byte_ms > float_ms:
        assert reason == "torch._int_mm takes 20 times as long as a float32 product"
    else:
        assert reason is None


def test_a_choice_is_stored_and_read_again(network, monkeypatch, tmp_path):
    monkeypatch.setenv("DISTIL_STREAM_CACHE", str(tmp_path))
    made = []
    monkeypatch.setattr(
        choosing, "measure_ways", lambda *args: made.append(args) or Choice(DEFAULT_WAYS, {}, {})
    )
    first, second = choose_ways(*network), choose_ways(*network)
    assert len(made) == 1
    assert first.ways == second.ways == DEFAULT_WAYS
    file = choice_file(cache_key(*network))
    assert json.loads(file.read_text())["ways"] == DEFAULT_WAYS
    for damaged in ("", "[]", "{}", '{"ways": {}, "ms": {}, "refused": {}}', "\x00"):
        file.write_text(damaged)
        assert choose_ways(*network).ways == DEFAULT_WAYS
    assert len(made) == 6


def test_a_choice_of_another_machine_or_quota_is_not_used(network, monkeypatch):
    key = cache_key(*network)
    assert cache_key(*network) == key
    monkeypatch.setattr(choosing, "cpu_quota", lambda folder: 0.5)
    assert cache_key(*network) != key


def test_without_a_writable_folder_only_the_cache_is_lost(network, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DISTIL_STREAM_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(choosing, "measure_ways", lambda *args: Choice(DEFAULT_WAYS, {}, {}))
    assert choose_ways(*network).ways == DEFAULT_WAYS


def test_warnings_of_operators_are_not_shown_at_start(network, monkeypatch, tmp_path):
    """That it is slow is measured; the text is one of sixty lines of C++."""

    def warns(*args):
        warnings.warn("mkldnn_matmul failed, switching to BLAS gemm", stacklevel=1)
        return Choice(DEFAULT_WAYS, {}, {})

    monkeypatch.setenv("DISTIL_STREAM_CACHE", str(tmp_path))
    monkeypatch.setattr(choosing, "measure_ways", warns)
    assert choose_ways(*network).ways == DEFAULT_WAYS  # here a warning is an error


def test_without_a_home_the_ways_are_measured_at_each_start(network, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    for name in ("DISTIL_STREAM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr(choosing, "measure_ways", lambda *args: Choice(DEFAULT_WAYS, {}, {}))
    assert choose_ways(*network).ways == DEFAULT_WAYS


def test_a_choice_for_siblings_is_not_used_on_whole_cores(network, monkeypatch):
    key = cache_key(*network)
    monkeypatch.setattr(choosing, "whole_cores", lambda cpus: 64)
    assert cache_key(*network) != key


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"architecture": "arm64", "cpu_name": "Unknown", "dot": True}, "arm64, DOT"),
        ({"architecture": "arm64", "cpu_name": "Neoverse N1"}, "Neoverse N1"),
        ({"architecture": "x86_64", "avx512_vnni": True, "avx2": True}, "x86_64, AVX512-VNNI AVX2"),
        ({}, "an unknown processor"),
    ],
)
def test_the_name_of_a_processor_has_the_instructions_that_pytorch_reports(
    monkeypatch, facts, name
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: facts)
    assert processor() == name


def test_a_choice_reports_the_times_of_the_other_ways():
    choice = Choice(
        {"encoder_attention": "float32"}, {"encoder_attention": {"int8": 40.0, "float32": 1.0}}, {}
    )
    assert str(choice) == "encoder_attention float32 (int8 40×)"
