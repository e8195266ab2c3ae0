"""The scripted transcriber hears whole words of its script, where the script has them."""

from hypothesis import given
from hypothesis import strategies as st

from stream.engine.scripted import ScriptedTranscriber, counting
from tests.engine.windows import a_window

SCRIPT = counting(10)


@given(start=st.integers(0, 160_000), n_samples=st.integers(0, 80_000))
def test_the_scripted_transcriber_returns_the_words_inside_the_window(
    start: int, n_samples: int
) -> None:
    window = a_window(start_sample=start, n_samples=n_samples)
    (hypothesis,) = ScriptedTranscriber(SCRIPT).transcribe([window])
    heard = set(hypothesis.words)
    for word in SCRIPT:
        inside = start <= word.start_sample and word.end_sample <= window.end_sample
        assert (word in heard) == inside


def test_answers_in_order() -> None:
    windows = [a_window(id) for id in range(3)]
    answers = ScriptedTranscriber(SCRIPT).transcribe(windows)
    assert [hypothesis.window for hypothesis in answers] == windows
