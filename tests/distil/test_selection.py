from stream.distil.examples import Example
from stream.distil.selection import histogram, select, word_error_rate


def example(passage, *, variant=0, words=None, errors=None, ending="end of text", sure=-0.2):
    return Example(passage, 0, variant, 8, (1, 2), ending, sure, "text", words, errors)


def test_a_passage_with_wrong_labels_is_dropped_in_every_variant():
    examples = [
        example(0, words=10, errors=1),
        example(1, words=10, errors=2),
        example(0, variant=1),
        example(1, variant=1),
    ]
    found = select(examples, max_wer=10)
    assert found.kept == (0, 2)
    assert (found.far_from_reference, found.rejected) == (2, 0)


def test_untranscribed_passages_are_kept_if_the_teacher_is_confident():
    examples = [example(0), example(1, ending="loop"), example(2, sure=-1.3)]
    found = select(examples, max_wer=10)
    assert found.kept == (0,)
    assert found.rejected == 2


def test_a_label_for_silence_is_all_wrong():
    assert word_error_rate(example(0, words=0, errors=3)) == 300
    assert word_error_rate(example(0, words=0, errors=0)) == 0
    assert word_error_rate(example(0)) is None


def test_the_histogram_counts_all():
    counts = dict(histogram([0, 0, 0.1, 5, 9.9, 49.9, 50, 800]))
    assert counts["0 %"] == 2
    assert counts["0 to 5 %"] == 1
    assert counts["5 to 10 %"] == 2
    assert counts["45 to 50 %"] == 1
    assert counts["50 % and more"] == 2
    assert sum(counts.values()) == 8
