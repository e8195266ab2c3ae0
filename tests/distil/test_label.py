import json

import numpy as np
import pytest
import soundfile
import torch
import torch.nn.functional as F

from stream.distil.examples import LINES, Examples
from stream.distil.label import CHUNK, Labeller, label_passages, read_job, recipe_of
from stream.distil.passages import read_passages
from stream.engine.decoding.rows import Ending
from stream.engine.network.features import log_mel
from stream.engine.network.whisper import Whisper
from tests.distil.small import OPENING, small_teacher


@pytest.fixture(scope="module")
def teacher():
    return small_teacher()


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Five passages of noise in one file: 1 to 3 seconds each."""
    folder = tmp_path_factory.mktemp("speech")
    soundfile.write(folder / "a.flac", np.random.default_rng(0).normal(0, 0.1, 160_000), 16_000)
    starts = (0, 1, 3, 6, 8)
    lines = [
        {
            "audio": "a.flac",
            "start": a,
            "end": b,
            "speaker": "anna",
            "text": "yes indeed" if a else None,
        }
        for a, b in zip(starts, (*starts[1:], 9.5), strict=True)
    ]
    path = folder / "manifest.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def label(manifest, teacher, folder, variants, batch=3, until=None, precision="float32"):
    labeller = Labeller(teacher, recipe_of(teacher, manifest, precision=precision))
    for done in label_passages(read_passages(manifest), labeller, folder, variants, batch):
        if until is not None and done >= until:
            return None
    return Examples(folder)


def said(folder):
    """Without how sure the teacher was, whose last digit depends on the batch."""
    return [(e.passage, e.variant, e.n_positions, e.tokens, e.ending) for e in folder.examples]


@pytest.mark.slow
def test_labels_are_the_teachers_tokens_and_encoder_output(manifest, teacher, tmp_path):
    folder = label(manifest, teacher, tmp_path, variants=2)
    assert [(e.variant, e.passage) for e in folder.examples] == [
        (variant, passage) for variant in (0, 1) for passage in range(5)
    ]
    assert {e.run for e in folder.examples} == {0}
    assert [e.words for e in folder.examples] == [None, 2, 2, 2, 2, *[None] * 5]
    assert folder.recipe.opening == tuple(teacher.tokenizer.token_to_id(t) for t in OPENING)
    network = Whisper.from_checkpoint(teacher, "cpu", "float32")
    opening = list(folder.recipe.opening)
    for i, example in enumerate(folder.examples):
        assert example.n_positions >= 400  # 8 s are encoded at least
        audio = torch.from_numpy(folder.audio(i).astype(np.float32))[None]
        tokens = torch.tensor([[*opening, *example.tokens]])
        cache = network.prefill_cache(audio, torch.tensor([example.n_positions]), 64)
        logits = network.decode(tokens, torch.tensor([tokens.shape[1]]), cache)
        hidden = torch.from_numpy(folder.hidden(i).astype(np.float32))
        again = network.decoder.project(hidden)
        torch.testing.assert_close(again, logits[0, len(opening) - 1 :], atol=0.02, rtol=0)


@pytest.mark.slow
def test_in_int8_the_teacher_has_the_encoder_of_the_server(manifest, teacher, tmp_path):
    folder = label(manifest, teacher, tmp_path, variants=1, batch=8, precision="int8")
    server = Whisper.from_checkpoint(teacher, "cpu", "int8")
    for i, passage in enumerate(read_passages(manifest)):
        job = read_job(passage, i, 0, seed=0)
        mel = log_mel(
            F.pad(torch.from_numpy(job.samples), (0, job.n_encoded - len(job.samples))),
            teacher.dims.n_mels,
        )
        audio = server.encode(mel[None], torch.tensor([mel.shape[1]]))[0]
        assert np.array_equal(folder.audio(i), audio.half().numpy())


@pytest.mark.slow
def test_batches_change_no_label(manifest, teacher, tmp_path):
    one = label(manifest, teacher, tmp_path / "one", variants=2, batch=1)
    many = label(manifest, teacher, tmp_path / "many", variants=2, batch=8)
    assert said(one) == said(many)


@pytest.mark.slow
def test_more_variants_may_be_asked_for_later(manifest, teacher, tmp_path):
    label(manifest, teacher, tmp_path / "grown", variants=1)
    grown = label(manifest, teacher, tmp_path / "grown", variants=3)
    whole = label(manifest, teacher, tmp_path / "whole", variants=3)
    assert said(grown) == said(whole)
    assert len(whole.examples) == 15 < CHUNK


@pytest.mark.slow
def test_a_run_that_is_stopped_leaves_whole_examples(manifest, teacher, tmp_path):
    label(manifest, teacher, tmp_path / "stopped", variants=1, until=2)
    assert (tmp_path / "stopped" / LINES).read_text() == ""
    stopped = label(manifest, teacher, tmp_path / "stopped", variants=1)
    assert said(stopped) == said(label(manifest, teacher, tmp_path / "whole", variants=1))


def test_an_unusual_end_is_logged(manifest, teacher, tmp_path):
    folder = label(manifest, teacher, tmp_path, variants=1)
    assert {e.ending for e in folder.examples} <= {ending.value for ending in Ending}


def test_only_a_whole_passage_has_a_reference(manifest):
    passage = read_passages(manifest)[2]
    assert read_job(passage, 2, 0, seed=0).reference == "yes indeed"
    assert read_job(passage, 2, 1, seed=0).reference is None


def test_timestamps_are_trained_if_requested(teacher, manifest):
    # A vocabulary of 49 tokens has no room for timestamps, but the opening shows what is asked for.
    recipe = recipe_of(teacher, manifest, timestamps=True)
    assert teacher.vocabulary.no_timestamps not in recipe.opening
    assert Labeller(teacher, recipe).timestamps
