from hypothesis import given
from hypothesis import strategies as st

from stream.core.audio import SAMPLE_RATE
from stream.core.transcript import Transcript, text_of
from stream.core.windows import Word
from stream.engine.words.joining import join


def words(text: str, start_s: float, end_s: float) -> tuple[Word, ...]:
    """Return the words of a text, spread evenly over a time."""
    parts = text.split()
    bounds = [
        round((start_s + (end_s - start_s) * i / len(parts)) * SAMPLE_RATE)
        for i in range(len(parts) + 1)
    ]
    return tuple(
        Word(f" {part}", bounds[i], bounds[i + 1], 0.9, (i,)) for i, part in enumerate(parts)
    )


def test_a_passage_that_was_passed_over_is_joined_in_its_gap():
    whole = words("we have to", 0, 1) + words("work in our presence", 5, 8)
    found = join([whole, words("be there for all and", 1.2, 4), words("next year", 8.5, 9)])
    assert text_of(found) == "we have to be there for all and work in our presence next year"
    starts = [word.start_sample for word in found]
    assert starts == sorted(starts)


def test_a_passage_within_the_context_does_not_make_the_utterance_vanish():
    """The last words that stand are found in the passage; all words after them are new."""
    before = words("for all and we will be able to", 0.5, 4)
    whole = words("we shall", 0, 0.4) + words("work in our presence it was pleasant", 5, 8)
    hypothesis = join([whole, before, words("and", 8.6, 9)])
    transcript = Transcript(before, start_sample=round(4.5 * SAMPLE_RATE))
    transcript.receive(hypothesis, 0, 9 * SAMPLE_RATE)
    transcript.commit_all()
    assert text_of(transcript.committed) == "work in our presence it was pleasant and"


def test_words_without_audio_beside_their_passage_are_not_doubled():
    whole = words("we will", 0, 1) + words("be able to", 1, 1.01) + words("work in", 5, 6)
    passage = words("for all and will be able to", 1.3, 4.8)
    assert text_of(join([whole, passage])) == "we will for all and will be able to work in"
    whole = words("we", 0, 1) + words("work in", 5, 5.02) + words("our presence", 5.1, 6)
    passage = words("work in a room of", 1.3, 4.8)
    assert text_of(join([whole, passage])) == "we work in a room of our presence"


def test_words_with_audio_beside_a_passage_stay_although_it_repeats_them():
    whole = words("never never", 0, 1) + words("say it", 5, 6)
    assert text_of(join([whole, words("say never", 2, 4)])) == "never never say never say it"


@given(
    st.lists(st.floats(0.05, 0.4), min_size=1, max_size=12),
    st.data(),
)
def test_any_division_into_gaps_gives_all_words_in_order(lengths, data):
    at, said = 0.0, []
    for i, length in enumerate(lengths):
        said += words(f"w{i}", at, at + length)
        at += length
    first = data.draw(st.sets(st.sampled_from(range(len(said)))))
    later = [i for i in range(len(said)) if i not in first]
    runs: list[list[Word]] = []
    for i in later:
        if runs and i - 1 in later:
            runs[-1].append(said[i])
        else:
            runs.append([said[i]])
    order = data.draw(st.permutations(runs))
    assert join([[said[i] for i in sorted(first)], *order]) == tuple(said)
