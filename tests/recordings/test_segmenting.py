"""Sentences, pauses, and what is too long."""

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Word
from stream.recordings.segmenting import MAX_SEGMENT_S, Segmenter


def words(text: str, start_s: float = 0.0, each_s: float = 0.5) -> list[Word]:
    said = []
    for i, part in enumerate(text.split()):
        first = round((start_s + i * each_s) * SAMPLE_RATE)
        said.append(Word(f" {part}", first, first + round(0.4 * SAMPLE_RATE), 0.9))
    return said


def texts(segmenter: Segmenter, *batches: list[Word]) -> list[str]:
    segments = [s for batch in batches for s in segmenter.receive(batch, "en")]
    return [s.text for s in segments + segmenter.receive_end()]


def test_a_sentence_is_a_segment() -> None:
    said = words("It was the best. Was it the worst? It was!")
    assert texts(Segmenter(), said) == ["It was the best.", "Was it the worst?", "It was!"]


def test_abbreviations_end_no_sentence() -> None:
    assert texts(Segmenter(), words("So Mr. Lorry said. Yes.")) == ["So Mr. Lorry said.", "Yes."]


def test_a_pause_ends_a_segment() -> None:
    assert texts(Segmenter(), words("and then"), words("nothing more", 3.0)) == [
        "and then",
        "nothing more",
    ]


def test_long_passages_are_divided_at_a_comma() -> None:
    said = words("word " * 30 + "comma, " + "word " * 30)
    first, *rest = texts(Segmenter(), said)
    assert first.endswith("comma,")
    assert all(len(text.split()) * 0.5 <= MAX_SEGMENT_S + 1 for text in [first, *rest])


def test_words_may_come_one_by_one() -> None:
    said = words("It was the best of times. " * 5)
    assert texts(Segmenter(), *([word] for word in said)) == texts(Segmenter(), said)


def test_no_words_give_nothing() -> None:
    assert texts(Segmenter()) == []
