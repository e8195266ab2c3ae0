from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.engine.checkpoints.checkpoint import locate_checkpoint
from stream.engine.checkpoints.dims import WhisperDims
from stream.engine.network.decoder_cache import DecoderCache, closed_up
from stream.engine.network.features import MAX_FRAMES, log_mel
from stream.engine.network.quantization import quantise
from stream.engine.network.whisper import Whisper
from stream.errors import CheckpointError

SMALL = WhisperDims(
    n_mels=8,
    d_model=32,
    encoder_layers=2,
    encoder_heads=4,
    decoder_layers=3,
    decoder_heads=4,
    encoder_ffn=64,
    decoder_ffn=64,
    vocab_size=50,
    max_positions=40,
    max_tokens=24,
)
HEADS = ((2, 3), (1, 0), (1, 2))
TEXT = " It was the best of times, it was the worst of times, it was the age of wisdom,"


@pytest.fixture(scope="module")
def small() -> Whisper:
    """A network with random weights, large enough for its rows to differ."""
    torch.manual_seed(0)
    model = Whisper(SMALL).requires_grad_(False).eval()
    for parameter in model.parameters():
        parameter.normal_(0, 0.3)
    return model


def lengths(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.long)


def prefilled(model: Whisper, mel: torch.Tensor, n_frames: torch.Tensor) -> DecoderCache:
    audio = model.encode(mel, n_frames)
    heads = HEADS if model.dims == SMALL else ()
    return model.prefill_cache(audio, (n_frames + 1) // 2, model.dims.max_tokens, heads)


def assert_same_logits(theirs, ours, samples, tokens):
    mel = log_mel(F.pad(samples, (0, MAX_FRAMES * 160 - len(samples))), ours.dims.n_mels)[None]
    with torch.no_grad():
        expected = theirs(input_features=mel, decoder_input_ids=tokens).logits
    cache = prefilled(ours, mel, lengths(MAX_FRAMES))
    logits = ours.decode(tokens, lengths(tokens.shape[1]), cache)
    torch.testing.assert_close(logits, expected, atol=1e-3, rtol=0)


@pytest.mark.model
@pytest.mark.parametrize("name", ["tiny", "base"])
def test_logits_equal_transformers_on_speech(name, speech, request):
    from transformers import WhisperForConditionalGeneration

    checkpoint = request.getfixturevalue(f"{name}_checkpoint")
    folder, _ = locate_checkpoint(checkpoint.name)
    theirs = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    ours = Whisper.from_checkpoint(checkpoint, precision="float32")
    ids = checkpoint.tokenizer.encode(TEXT).ids  # with the special tokens around it
    assert_same_logits(theirs, ours, torch.from_numpy(speech[:160_000]), torch.tensor([ids]))


@pytest.mark.model
def test_logits_equal_transformers_in_the_shape_of_distil_large_v3(speech, base_checkpoint):
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=51866,
        num_mel_bins=128,
        d_model=1280,
        encoder_layers=4,  # of 32: the others are the same again, and 2.5 GB
        decoder_layers=2,
        encoder_attention_heads=20,
        decoder_attention_heads=20,
        encoder_ffn_dim=5120,
        decoder_ffn_dim=5120,
    )
    theirs = WhisperForConditionalGeneration(config).eval()
    dims = WhisperDims(128, 1280, 4, 20, 2, 20, 5120, 5120, 51866)
    checkpoint = replace(base_checkpoint, dims=dims, state=theirs.state_dict())
    ours = Whisper.from_checkpoint(checkpoint, precision="float32")
    tokens = torch.tensor([[50258, 50259, 50360, 50364, 867, 11, 1204]])
    assert_same_logits(theirs, ours, torch.from_numpy(speech[:160_000]), tokens)


@settings(max_examples=12, deadline=None)
@given(frames=st.lists(st.integers(1, 80), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_a_row_is_the_same_alone_and_padded_in_a_batch(small, frames, seed):
    generator = torch.manual_seed(seed)
    n_frames = lengths(*frames)
    mel = torch.randn(len(frames), 8, max(frames), generator=generator)
    tokens = torch.randint(0, 50, (len(frames), 6), generator=generator)
    audio = small.encode(mel, n_frames)
    cache = prefilled(small, mel, n_frames)
    n_new = torch.randint(1, 7, (len(frames),), generator=generator)
    logits = small.decode(tokens, n_new, cache)
    for row, n in enumerate(frames):
        alone = mel[row : row + 1, :, :n]
        positions, new = (n + 1) // 2, int(n_new[row])
        expected = small.encode(alone, lengths(n))
        torch.testing.assert_close(audio[row : row + 1, :positions], expected, atol=1e-4, rtol=0)
        own = prefilled(small, alone, lengths(n))
        expected = small.decode(tokens[row : row + 1, :new], lengths(new), own)
        torch.testing.assert_close(logits[row : row + 1, :new], expected, atol=1e-4, rtol=0)
        torch.testing.assert_close(
            cache.alignment[row : row + 1, :, :new, :positions],
            own.alignment[:, :, :new, :positions],
        )
        assert not cache.alignment[row, :, :new, positions:].any()


@pytest.mark.model
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_speech_has_the_same_text_alone_and_padded_in_a_batch(tiny_checkpoint, speech, precision):
    model = Whisper.from_checkpoint(tiny_checkpoint, precision=precision)
    samples = torch.from_numpy(speech)
    mels = [log_mel(samples[: seconds * 16_000], 80) for seconds in (3, 11, 7)]
    n_frames = lengths(*(mel.shape[1] for mel in mels))
    padded = torch.stack([F.pad(mel, (0, int(n_frames.max()) - mel.shape[1])) for mel in mels])
    tokens = torch.tensor([tiny_checkpoint.tokenizer.encode(TEXT).ids] * 3)
    n_new = lengths(tokens.shape[1], 5, 9)
    logits = model.decode(tokens, n_new, prefilled(model, padded, n_frames))
    for row, mel in enumerate(mels):
        new = int(n_new[row])
        own = prefilled(model, mel[None], n_frames[row : row + 1])
        alone = model.decode(tokens[:1, :new], lengths(new), own)[0]
        if precision == "float32":
            torch.testing.assert_close(logits[row, :new], alone, atol=1e-3, rtol=0)
        assert torch.equal(logits[row, :new].argmax(-1), alone.argmax(-1))


@st.composite
def passes(draw):
    """Per row some tokens; then passes, each with a number of new tokens and of rejected ones."""
    rows = draw(st.integers(1, 3))
    steps = draw(st.lists(st.lists(st.integers(0, 4), min_size=rows, max_size=rows), max_size=5))
    rejected = [[draw(st.integers(0, n)) for n in step] for step in steps]
    return rows, steps, rejected


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(passes())
def test_any_division_into_passes_gives_the_logits_of_one(small, plan):
    """Drafts are appended, verified and cut back; what stays reads as if it had come at once."""
    rows, steps, rejected = plan
    torch.manual_seed(rows)
    mel, n_frames = torch.randn(rows, 8, 30), lengths(*(30, 17, 24)[:rows])
    text = torch.randint(0, 50, (rows, 24))
    whole_cache = prefilled(small, mel, n_frames)
    whole = small.decode(text, torch.full((rows,), 24), whole_cache)
    cache = prefilled(small, mel, n_frames)
    for n_new, cut in zip(steps, rejected, strict=True):
        width = max(n_new)
        if width == 0:
            continue
        start = cache.length.clone()
        tokens = torch.randint(0, 50, (rows, width))  # what is rejected, and padding, is noise
        for row in range(rows):
            kept = n_new[row] - cut[row]
            tokens[row, :kept] = text[row, start[row] : start[row] + kept]
        logits = small.decode(tokens, lengths(*n_new), cache)
        cache.truncate(start + lengths(*n_new) - lengths(*cut))
        for row in range(rows):
            end = int(cache.length[row])
            kept = logits[row, : end - start[row]]
            torch.testing.assert_close(kept, whole[row, start[row] : end], atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(
                cache.alignment[row, :, :end], whole_cache.alignment[row, :, :end]
            )


@pytest.fixture(scope="module")
def quantised() -> Whisper:
    """A random network with Whisper's size of heads, its decoder in int8."""
    torch.manual_seed(4)
    dims = replace(SMALL, d_model=128, encoder_heads=2, decoder_heads=2, max_tokens=96)
    model = Whisper(dims).requires_grad_(False).eval()
    for parameter in model.parameters():
        parameter.normal_(0, 0.1)
    quantise(model.decoder)
    return model


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    passes=st.lists(st.integers(1, 20), min_size=1, max_size=8),
    alone=st.booleans(),
    n_positions=st.integers(1, 37),
)
def test_in_int8_a_draft_gives_the_bits_of_single_tokens(quantised, passes, alone, n_positions):
    torch.manual_seed(sum(passes))
    n_tokens, batch = min(sum(passes), 80), 1 if alone else 3
    audio = torch.randn(batch, 37, 128)
    positions = lengths(*[n_positions, 37, 20][:batch])
    tokens = torch.randint(0, 50, (batch, n_tokens))

    def in_passes(sizes):
        cache = quantised.prefill_cache(audio, positions, 96, ((0, 1), (2, 0)))
        parts = tokens.split(sizes, dim=1)
        n_new = [lengths(*[part.shape[1]] * batch) for part in parts]
        logits = [quantised.decode(*taken, cache) for taken in zip(parts, n_new, strict=True)]
        return torch.cat(logits, dim=1), cache.alignment[:, :, :n_tokens]

    sizes, left = [], n_tokens
    for size in passes:
        sizes.append(min(size, left))
        left -= sizes[-1]
    logits, alignment = in_passes([size for size in sizes if size])
    expected_logits, expected_alignment = in_passes([1] * n_tokens)
    assert torch.equal(logits, expected_logits)
    assert torch.equal(alignment, expected_alignment)


def test_rows_that_are_kept_go_on_as_they_were(small):
    torch.manual_seed(3)
    mel, n_frames = torch.randn(3, 8, 30), lengths(30, 11, 20)
    tokens = torch.randint(0, 50, (3, 5))
    cache = prefilled(small, mel, n_frames)
    small.decode(tokens, lengths(5, 3, 4), cache)
    order = cache.keep([1, 2])
    assert order == [2, 1]
    assert cache.length.tolist() == [4, 3]
    after = small.decode(lengths(7, 7)[:, None], lengths(1, 1), cache)
    for kept, row in enumerate(order):
        own = prefilled(small, mel[row : row + 1], n_frames[row : row + 1])
        n = int(cache.length[kept]) - 1
        small.decode(tokens[row : row + 1, :n], lengths(n), own)
        expected = small.decode(lengths(7)[:, None], lengths(1), own)[0]
        torch.testing.assert_close(after[kept], expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(cache.alignment[0].sum(-1)[:, :5], torch.ones(3, 5))


@pytest.mark.parametrize(
    ("rows", "order"),
    [([0, 1], [0, 1]), ([3], [3]), ([0, 2, 5, 6], [0, 5, 2, 6]), (range(1, 4), [3, 1, 2])],
)
def test_the_last_rows_close_the_gaps(rows, order):
    assert closed_up(rows) == order


def test_a_full_row_beside_one_with_room_keeps_its_last_token(small):
    """Padding is written somewhere, and must not be written over a token."""
    torch.manual_seed(4)
    mel, tokens = torch.randn(2, 8, 20), torch.randint(0, 50, (2, 24))
    cache = prefilled(small, mel, lengths(20, 20))
    small.decode(tokens, lengths(23, 10), cache)
    last = small.decode(tokens[:, 20:], lengths(1, 4), cache)[0, 0]
    assert cache.length.tolist() == [24, 14]
    own = prefilled(small, mel[:1], lengths(20))
    text = torch.cat([tokens[:1, :23], tokens[:1, 20:21]], dim=1)
    expected = small.decode(text, lengths(24), own)[0, -1]
    torch.testing.assert_close(last, expected, atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="25 tokens do not fit a cache of 24"):
        small.decode(tokens[:, :1], lengths(1, 1), cache)


def test_no_alignment_unless_asked(small):
    audio = small.encode(torch.randn(1, 8, 10), lengths(10))
    assert small.prefill_cache(audio, lengths(5), 4).alignment is None


def test_windows_longer_than_the_positions_are_refused(small):
    with pytest.raises(ValueError, match="81 mel frames"):
        small.encode(torch.randn(1, 8, 81), lengths(81))


@pytest.mark.parametrize("max_tokens", [0, 25])
def test_a_cache_beyond_the_positions_is_refused(small, max_tokens):
    with pytest.raises(ValueError, match="max_tokens"):
        small.prefill_cache(torch.zeros(1, 5, 32), lengths(5), max_tokens)


@pytest.mark.model
def test_int8_is_for_the_cpu(tiny_checkpoint):
    with pytest.raises(ValueError, match="float16"):
        Whisper.from_checkpoint(tiny_checkpoint, device="cuda", precision="int8")


@pytest.mark.model
@pytest.mark.parametrize(
    "name", ["model.encoder.conv1.bias", "model.decoder.layers.1.self_attn.k_proj.weight"]
)
def test_every_weight_must_be_there(tiny_checkpoint, name):
    state = {key: tensor for key, tensor in tiny_checkpoint.state.items() if key != name}
    with pytest.raises(CheckpointError, match=r"tiny\.en"):
        Whisper.from_checkpoint(replace(tiny_checkpoint, state=state))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.model
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_rows_of_one_length_use_the_flash_kernel_on_cuda(base_checkpoint, speech, precision):
    from torch.nn.attention import SDPBackend, sdpa_kernel

    model = Whisper.from_checkpoint(base_checkpoint, device="cuda", precision=precision)
    reference = Whisper.from_checkpoint(base_checkpoint, precision="float32")
    mel = log_mel(torch.from_numpy(speech[:160_000]), 80).expand(2, -1, -1)
    tokens = torch.tensor([base_checkpoint.tokenizer.encode(TEXT).ids] * 2)
    n_frames, n_new = lengths(1000, 1000), torch.full((2,), tokens.shape[1])
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):  # raises where that kernel cannot serve
        cache = prefilled(model, mel, n_frames)
        logits = model.decode(tokens, n_new, cache).cpu()
        model.decode(tokens[:, :1], lengths(1, 1), cache)
    expected = reference.decode(tokens, n_new, prefilled(reference, mel, n_frames))
    assert (logits.argmax(-1) == expected.argmax(-1)).float().mean() > 0.9
