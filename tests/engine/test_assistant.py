import pytest
import torch

from stream.engine.assistant import Assistant
from stream.engine.decoding import decode
from stream.engine.whisper import Whisper
from tests.engine.nonsense import SMALL, VOCABULARY, nonsense_model
from tests.engine.test_decoding import BUDGET, HEADS, ROWS, request


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
    assistant = Assistant(student, audio[rows], n_positions, SMALL.max_tokens) if student else None
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


def test_an_assistant_that_is_right_saves_passes(teacher, audio):
    alone = run(teacher, audio, [0])[0]
    assisted = run(teacher, audio, [0], teacher)[0]
    assert assisted.accepted == assisted.drafted > 0
    assert assisted.passes < alone.passes / 2
    assert alone.passes <= BUDGET + 1
