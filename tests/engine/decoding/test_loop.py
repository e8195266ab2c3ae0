from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.engine.decoding.logit_filters import TimestampRules, filters_for
from stream.engine.decoding.loop import DecodeRequest, DecodeResult, decode, row_groups
from stream.engine.decoding.rows import Ending
from stream.engine.network.features import log_mel
from stream.engine.network.whisper import Whisper
from tests.engine.nonsense import SMALL, VOCABULARY, nonsense_model

HEADS = ((0, 1), (1, 2))
BUDGET = 20
ROWS = 8


@pytest.fixture(scope="module")
def model() -> Whisper:
    return nonsense_model(seed=1)


@pytest.fixture(scope="module")
def encoded(model: Whisper) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    n_frames = torch.tensor([80, 60, 44, 80, 20, 33, 71, 52])
    audio = model.encode(torch.randn(ROWS, SMALL.n_mels, 80), n_frames)
    return audio, (n_frames + 1) // 2


def run(model, encoded, rows=range(ROWS), **changes) -> list[DecodeResult]:
    audio, n_positions = encoded
    requests = [request(**{k: v[i] for k, v in changes.items()}) for i in rows]
    rows = list(rows)
    return decode(model, VOCABULARY, audio[rows], n_positions[rows], requests, HEADS)


def request(**changes) -> DecodeRequest:
    return DecodeRequest(**{"max_new_tokens": BUDGET, **changes})


@pytest.fixture(scope="module")
def greedy(model, encoded) -> list[DecodeResult]:
    results = run(model, encoded)
    assert len({result.tokens for result in results}) == ROWS
    assert {Ending.END_OF_TEXT, Ending.BUDGET} <= {result.ending for result in results}
    return results


def draft_of(kind: str, right: tuple[int, ...], where: int) -> tuple[int, ...]:
    where %= len(right) + 1
    return {
        "empty": (),
        "right": right,
        "short": right[:where],
        "wrong": (*right[:where], 11, *right[where + 1 :]),
        "shifted": right[1:],
        "too long": right + tuple(range(BUDGET)),
        "ended": (*right[:where], VOCABULARY.end_of_text, *right[where:]),
        "not a token": (*right[:where], SMALL.vocab_size, -1),
    }[kind]


KINDS = ("empty", "right", "short", "wrong", "shifted", "too long", "ended", "not a token")


@pytest.mark.slow
@given(
    rows=st.sampled_from([(0,), (4,), (2, 0, 6), tuple(range(ROWS))]),
    kinds=st.lists(st.sampled_from(KINDS), min_size=ROWS, max_size=ROWS),
    where=st.integers(0, BUDGET),
)
@settings(max_examples=60, deadline=None)
def test_a_draft_never_changes_the_words(model, encoded, greedy, rows, kinds, where):
    drafts = [
        draft_of(kind, result.tokens, where) for kind, result in zip(kinds, greedy, strict=True)
    ]
    for i, result in zip(rows, run(model, encoded, rows, draft=drafts), strict=True):
        assert result.tokens == greedy[i].tokens
        assert result.ending is greedy[i].ending
        np.testing.assert_allclose(result.log_probabilities, greedy[i].log_probabilities, atol=1e-4)
        np.testing.assert_allclose(result.attention, greedy[i].attention, atol=1e-5)
        assert result.accepted <= min(result.drafted, BUDGET)


def test_a_correct_draft_takes_one_pass(model, encoded, greedy):
    for i, result in enumerate(run(model, encoded, draft=[r.tokens for r in greedy])):
        assert result.accepted == result.drafted
        if result.ending is Ending.END_OF_TEXT:
            assert result.passes == 1
            assert greedy[i].passes == len(greedy[i].tokens) + 1


@pytest.mark.slow
@given(rows=st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=ROWS, unique=True))
@settings(max_examples=25, deadline=None)
def test_a_row_has_the_same_tokens_alone_and_in_any_batch(model, encoded, greedy, rows):
    assert [r.tokens for r in run(model, encoded, rows)] == [greedy[i].tokens for i in rows]


def test_attention_has_a_line_for_each_choice(encoded, greedy):
    for result, n_positions in zip(greedy, encoded[1].tolist(), strict=True):
        assert result.attention.shape == (len(HEADS), len(result.log_probabilities), n_positions)
        np.testing.assert_allclose(result.attention.sum(-1), 1, atol=1e-4)


def test_suppressed_tokens_are_never_chosen(greedy):
    for result in greedy:
        assert not {*result.tokens} & {*VOCABULARY.suppressed, *range(41, 60)}
        assert result.tokens[0] not in VOCABULARY.suppressed_at_start


def test_the_prompt_is_read_and_bounded(model, encoded, greedy):
    prompted = run(model, encoded, prompt=[(1, 2, 9)] * ROWS)
    assert [r.tokens for r in prompted] != [r.tokens for r in greedy]
    long = run(model, encoded, prompt=[tuple(range(40)) * 3] * ROWS)
    tail = run(model, encoded, prompt=[(tuple(range(40)) * 3)[-31:]] * ROWS)
    assert [r.tokens for r in long] == [r.tokens for r in tail]


def test_rows_with_and_without_prompts_and_drafts_mix(model, encoded, greedy):
    prompts = [(1, 2, 9) if i % 2 else () for i in range(ROWS)]
    prompted = run(model, encoded, prompt=[(1, 2, 9)] * ROWS)
    expected = [prompted[i].tokens if i % 2 else greedy[i].tokens for i in range(ROWS)]
    drafts = [tokens[: i + 1] for i, tokens in enumerate(expected)]
    mixed = run(model, encoded, prompt=prompts, draft=drafts)
    assert [r.tokens for r in mixed] == expected


def test_the_language_is_detected_if_requested(model, encoded):
    heard = [r.language for r in run(model, encoded, language=["auto"] * ROWS)]
    assert {*heard} <= {*VOCABULARY.languages}
    mixed = run(model, encoded, language=["de", *["auto"] * (ROWS - 1)])
    assert [r.language for r in mixed] == ["de", *heard[1:]]
    named = run(model, encoded, language=heard)
    assert [r.tokens for r in run(model, encoded, language=["auto"] * ROWS)] == [
        r.tokens for r in named
    ]


def test_the_expected_language_is_held_on_to(model, encoded):
    auto = ["auto"] * ROWS
    heard = [r.language for r in run(model, encoded, language=auto)]
    swayed = 0
    for code in VOCABULARY.languages:
        expecting = run(model, encoded, language=auto, expected_language=[code] * ROWS)
        languages = [r.language for r in expecting]
        assert all(now in (code, then) for now, then in zip(languages, heard, strict=True))
        swayed += languages != heard
    assert swayed
    unknown = run(model, encoded, language=auto, expected_language=["xx"] * ROWS)
    assert [r.language for r in unknown] == heard


def test_rules_of_a_row_change_its_words_but_not_their_probabilities(model, encoded, greedy):
    class Prefer:
        def apply(self, logits, before):
            logits[:, 8] += 100

    told = run(model, encoded, rules=[(Prefer(),), *[()] * (ROWS - 1)])
    assert set(told[0].tokens) == {8}
    assert all(p < -0.5 for p in told[0].log_probabilities)
    assert [r.tokens for r in told[1:]] == [r.tokens for r in greedy[1:]]


def test_a_language_that_the_model_lacks_is_refused(model, encoded):
    with pytest.raises(ValueError, match="no language 'xx'"):
        run(model, encoded, language=["xx"] * ROWS)


def test_the_task_is_told(model, encoded, greedy):
    translated = run(model, encoded, task=["translate"] * ROWS)
    assert [r.tokens for r in translated] != [r.tokens for r in greedy]


def test_samples_are_drawn_alike_every_time_and_in_any_batch(model, encoded, greedy):
    audio, n_positions = encoded

    def sample(rows):
        requests = [request() for _ in rows]
        return [
            r.tokens
            for r in decode(
                model, VOCABULARY, audio[rows], n_positions[rows], requests, temperature=0.9
            )
        ]

    everything = sample(list(range(ROWS)))
    assert everything == sample(list(range(ROWS)))
    assert [everything[3]] == sample([3])
    assert everything != [r.tokens for r in greedy]


def test_a_loop_ends_the_decoding_of_its_row(model, encoded, greedy):
    looping = Whisper(SMALL).requires_grad_(False).eval()
    looping.load_state_dict(model.state_dict())
    looping.decoder.layer_norm.weight.zero_()
    looping.decoder.layer_norm.bias.fill_(1)
    looping.decoder.project.weight.zero_()
    looping.decoder.project.weight[9] = 1  # says 9, and 9 again
    result = run(looping, encoded, rows=[0])[0]
    assert result.ending is Ending.LOOP
    assert {*result.tokens} == {9}
    assert len(result.tokens) < BUDGET


def test_attention_beyond_the_speech_ends_a_row(model, encoded):
    result = run(model, encoded, rows=[0], speech_positions=[-1])[0]
    assert result.ending is Ending.PAST_SPEECH
    assert len(result.tokens) < BUDGET


NO, TEXT, END = VOCABULARY.timestamp_begin, 9, VOCABULARY.end_of_text


@pytest.mark.parametrize(
    ("said", "allowed"),
    [
        ((), {*range(49, 60)}),  # opens with a timestamp
        ((50,), {*range(40), END}),  # then text, or the end
        ((50, TEXT), {*range(41), *range(51, 60)}),  # then anything later
        ((50, TEXT, 53), {END, *range(53, 60)}),  # a closed segment: the next opens, or the end
        ((50, TEXT, 53, 53), {*range(41)}),  # opened: text
    ],
)
def test_timestamps_come_in_pairs_and_never_go_back(said, allowed):
    logits = torch.zeros(1, SMALL.vocab_size)
    logits[:, 41:49] = -torch.inf  # special tokens are forbidden by another rule
    logits[:, NO:] = -9  # unlikely, or they would win over text
    TimestampRules(VOCABULARY).apply(logits, [said])
    assert {*torch.isfinite(logits[0]).nonzero()[:, 0].tolist()} == allowed


def test_timestamps_win_where_together_they_are_likelier_than_any_text():
    logits = torch.zeros(1, SMALL.vocab_size)
    TimestampRules(VOCABULARY).apply(logits, [(50, TEXT)])
    assert torch.isinf(logits[0, :NO]).all()


def test_filters_distinguish_positions():
    logits = torch.zeros(3, SMALL.vocab_size)
    before = [(), (1,), ()]
    for rule in filters_for(VOCABULARY, timestamps=False, device=logits.device):
        rule.apply(logits, before)
    assert torch.isinf(logits[:, 49:]).all()
    assert torch.isinf(logits[[0, 2]][:, [7, 40]]).all()
    assert torch.isfinite(logits[1, [7, 40]]).all()


@pytest.mark.model
def test_real_drafts_are_verified_in_few_passes(tiny_checkpoint, speech):
    whisper = Whisper.from_checkpoint(tiny_checkpoint, "cpu", "int8")
    seconds = (3, 5, 8)
    silence = np.zeros(16_000, np.float32)
    windows = [np.concatenate([speech[: s * 16_000], silence]) for s in seconds]
    mels = [log_mel(torch.from_numpy(window), 80) for window in windows]
    n_frames = torch.tensor([mel.shape[1] for mel in mels])
    batch = torch.nn.utils.rnn.pad_sequence([mel.T for mel in mels], batch_first=True)
    audio = whisper.encode(batch.transpose(1, 2), n_frames)

    def heard(drafts):
        requests = [DecodeRequest(max_new_tokens=60, draft=draft) for draft in drafts]
        vocabulary = tiny_checkpoint.vocabulary
        return decode(whisper, vocabulary, audio, (n_frames + 1) // 2, requests)

    plain = heard([(), (), ()])
    assert "best of times" in tiny_checkpoint.tokenizer.decode(plain[0].tokens)
    drafted = heard([plain[0].tokens, plain[1].tokens[:4], (11, *plain[2].tokens)])
    assert [r.tokens for r in drafted] == [r.tokens for r in plain]
    assert drafted[0].passes == 1
    assert [r.accepted for r in drafted[:2]] == [len(plain[0].tokens), 4]
    # A token too many at the beginning of a draft does not cost the rest of it.
    assert drafted[2].accepted > 0.8 * len(plain[2].tokens)
    assert drafted[2].passes < plain[2].passes / 3


def test_a_few_tokens_are_chosen_at_a_time():
    rows = [SimpleNamespace(columns=lambda n=n: range(n)) for n in (5, 11, 1, 40, 3, 13)]
    parts = list(row_groups(rows, 16))
    assert [(first, [len(row.columns()) for row in few]) for first, few in parts] == [
        (0, [5, 11]),
        (2, [1]),
        (3, [40]),
        (4, [3, 13]),
    ]
