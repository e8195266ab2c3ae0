from dataclasses import replace

import pytest
import torch

from stream.core.windows import Hypothesis, Window, WindowKind
from stream.engine.checkpoints.checkpoint import Checkpoint
from stream.engine.decoding.assistant import Assistant, ProposalGain, draft_cost
from stream.engine.decoding.loop import decode
from stream.engine.network.whisper import Whisper
from stream.engine.whisper_transcriber import WhisperTranscriber
from stream.errors import UsageError
from tests.engine.decoding.test_loop import BUDGET, HEADS, ROWS, request
from tests.engine.nonsense import SMALL, VOCABULARY, nonsense_model


@pytest.fixture(autouse=True)
def _drafts_for_every_batch(monkeypatch) -> None:
    monkeypatch.setattr("stream.engine.decoding.assistant.MOST_ROWS", ROWS)


@pytest.fixture(scope="module")
def teacher() -> Whisper:
    return nonsense_model(seed=1)


@pytest.fixture(scope="module", params=["the teacher itself", "a stranger"])
def student(request, teacher) -> Whisper:
    return teacher if request.param == "the teacher itself" else nonsense_model(seed=9)


@pytest.fixture(scope="module")
def audio() -> torch.Tensor:
    torch.manual_seed(2)
    return torch.randn(ROWS, 40, SMALL.d_model)


def run(teacher, audio, rows, student=None, drafts=None):
    n_positions = torch.tensor([40 - row for row in rows])
    requests = [request(draft=drafts[row] if drafts else ()) for row in rows]
    rows = list(rows)
    assistant = Assistant(student, audio[rows], n_positions) if student else None
    return decode(
        teacher, VOCABULARY, audio[rows], n_positions, requests, HEADS, assistant=assistant
    )


@pytest.mark.parametrize("batch", [1, 3, ROWS])
def test_the_words_are_the_teachers_own(teacher, student, audio, batch):
    alone = run(teacher, audio, range(batch))
    assisted = run(teacher, audio, range(batch), student)
    for one, other in zip(alone, assisted, strict=True):
        assert one.tokens == other.tokens
        assert one.ending == other.ending
        assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-4)


def test_a_draft_and_an_assistant_go_together(teacher, student, audio):
    alone = run(teacher, audio, range(ROWS))
    drafts = [(*result.tokens[:i], 11) for i, result in enumerate(alone)]
    assisted = run(teacher, audio, range(ROWS), student, drafts)
    assert [r.tokens for r in assisted] == [r.tokens for r in alone]


def test_a_mostly_right_assistant_saves_passes(teacher, audio):
    alone = run(teacher, audio, [0])[0]
    assisted = run(teacher, audio, [0], teacher)[0]
    assert assisted.accepted == assisted.drafted > 0
    assert assisted.passes < alone.passes / 2
    assert alone.passes <= BUDGET + 1


def test_rows_that_ended_before_a_proposal_are_not_confused_with_others(teacher, audio):
    budgets = [1, 1, *[BUDGET] * (ROWS - 2)]
    n_positions = torch.tensor([40 - row for row in range(ROWS)])
    requests = [replace(request(), max_new_tokens=budget) for budget in budgets]
    assistant = Assistant(teacher, audio, n_positions)
    results = decode(teacher, VOCABULARY, audio, n_positions, requests, HEADS, assistant=assistant)
    assert all(result.accepted == result.drafted for result in results)
    assert sum(result.drafted for result in results) > 0


def test_with_accepted_drafts_the_assistant_is_not_run(teacher, audio, monkeypatch):
    heard = []
    student = nonsense_model(seed=9)
    prefill = student.prefill_cache
    monkeypatch.setattr(student, "prefill_cache", lambda *args: heard.append(1) or prefill(*args))
    alone = run(teacher, audio, [0])[0]
    run(teacher, audio, [0], student, [alone.tokens])
    assert heard == []
    run(teacher, audio, [0], student)
    assert heard == [1]


def test_a_batch_for_which_drafts_do_not_pay_has_none(teacher, audio, monkeypatch):
    monkeypatch.setattr("stream.engine.decoding.assistant.MOST_ROWS", 2)
    assert all(result.drafted > 0 for result in run(teacher, audio, range(2), teacher))
    assert all(result.drafted == 0 for result in run(teacher, audio, range(3), teacher))


def proposal(acceptance, draft_cost):
    worth, n, right = ProposalGain(3, draft_cost), 0, 3 * acceptance
    while worth.another(right) and n < 100:
        worth.add(right)
        n, right = n + 1, right * acceptance
    return n


@pytest.mark.parametrize(
    ("acceptance", "fewest", "most"),
    [(0.0, 0, 0), (0.2, 0, 0), (0.6, 1, 2), (0.9, 4, 6), (1, 100, 100)],
)
def test_a_proposal_is_as_long_as_it_saves_time(acceptance, fewest, most):
    assert fewest <= proposal(acceptance, 0.3) <= most


@pytest.mark.parametrize("acceptance", [0.45, 0.8, 0.9])
def test_drafts_that_take_more_time_are_shorter(acceptance):
    assert proposal(acceptance, 0.47) < proposal(acceptance, 0.35)


def test_rows_make_a_draft_dearer_on_the_cpu_alone():
    assert draft_cost(1, "cpu") < draft_cost(8, "cpu")
    assert draft_cost(1, "cuda") == draft_cost(8, "cuda")


def test_a_mostly_wrong_assistant_is_used_less_and_less(teacher, audio):
    result = run(teacher, audio, [0], nonsense_model(seed=9))[0]
    assert result.accepted < result.drafted / 2
    assert result.drafted < BUDGET


def first_and_last(checkpoint: Checkpoint) -> Checkpoint:
    """An untrained student: the teacher with its first and last decoder layer alone."""
    last = checkpoint.dims.decoder_layers - 1
    state = {}
    for name, weight in checkpoint.state.items():
        _, found, layer = name.partition(".decoder.layers.")
        number, _, rest = layer.partition(".")
        if not found:
            state[name] = weight
        elif int(number) in (0, last):
            state[f"model.decoder.layers.{int(number) // last}.{rest}"] = weight
    dims = replace(checkpoint.dims, decoder_layers=2)
    return replace(checkpoint, name="student", dims=dims, state=state, alignment_heads=())


def tokens_of(hypothesis: Hypothesis) -> list[int]:
    return [token for word in hypothesis.words for token in word.tokens]


@pytest.mark.model
def test_a_student_does_not_change_its_teachers_encoder(tiny_checkpoint, speech):
    windows = [
        Window("s", i, 0, i, WindowKind.FINAL, at, speech[at : at + 80_000], ((at, at + 80_000),))
        for i, at in enumerate(range(16_000, 400_000, 80_000))
    ]
    alone = WhisperTranscriber(tiny_checkpoint)
    student = first_and_last(tiny_checkpoint)
    assisted = WhisperTranscriber(tiny_checkpoint, assistant=student)
    assert assisted.recognizer.assistant.encoder is assisted.recognizer.model.encoder
    expected = alone.transcribe(windows)
    heard = assisted.transcribe(windows)
    assert [tokens_of(h) for h in heard] == [tokens_of(h) for h in expected]
    assert sum(h.timing.drafted_tokens for h in heard) > 0


@pytest.mark.model
def test_an_assistant_of_other_tokens_is_refused(tiny_checkpoint, base_checkpoint):
    with pytest.raises(UsageError, match=r"tiny\.en cannot assist base: their vocabularies differ"):
        WhisperTranscriber(base_checkpoint, assistant=tiny_checkpoint)
