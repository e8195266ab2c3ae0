import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.windows import Word
from stream.engine.words.alignment_edges import pauses_of, set_edges

MS = 16
START = 160_000
"""Of the audio, absolute."""


def audio(*spans_ms, length_ms=3000, floor=0.001):
    """Noise that is loud within the spans."""
    samples = np.random.default_rng(0).normal(0, floor, length_ms * MS)
    for start, end in spans_ms:
        samples[start * MS : end * MS] *= 0.2 / floor
    return samples.astype(np.float32)


def words(*spans_ms):
    return [
        Word(f" w{i}", START + a * MS, START + b * MS, 0.9) for i, (a, b) in enumerate(spans_ms)
    ]


def edges_ms(found):
    return [((w.start_sample - START) // MS, (w.end_sample - START) // MS) for w in found]


def test_two_words_are_divided_at_the_pause():
    sound = audio((500, 1000), (1400, 2000))
    found = set_edges(words((500, 800), (1200, 2000)), sound, START)
    assert edges_ms(found) == [(500, 1000), (1400, 2000)]


def test_words_without_a_pause_are_divided_by_attention():
    sound = audio((500, 2000))
    found = set_edges(words((500, 900), (900, 2000)), sound, START)
    assert edges_ms(found) == [(500, 900), (900, 2000)]


def test_the_first_and_the_last_edge_are_sounds():
    sound = audio((500, 2000))
    found = set_edges(words((300, 900), (900, 2300)), sound, START)
    assert edges_ms(found) == [(500, 900), (900, 2000)]


def test_a_distant_pause_separates_no_words():
    sound = audio((200, 1200), (1900, 2900))
    found = set_edges(words((200, 400), (400, 2900)), sound, START)
    assert edges_ms(found)[0] == (200, 400)


def test_in_loud_noise_no_word_is_moved():
    sound = audio((500, 1000), (1400, 2000), floor=0.1)
    placed = words((500, 800), (1200, 2000))
    assert list(set_edges(placed, sound, START)) == placed


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(100), np.zeros(48_000)])
def test_without_words_nothing_is_moved(samples):
    placed = words((0, 0))
    assert list(set_edges(placed, samples.astype(np.float32), START)) == placed
    assert set_edges([], samples.astype(np.float32), START) == ()


@pytest.mark.slow
@given(
    cuts=st.lists(st.integers(0, 3000), min_size=2, max_size=20),
    sounds=st.lists(st.integers(0, 300), min_size=2, max_size=12),
)
def test_words_stay_in_order_and_never_overlap(cuts, sounds):
    sounds = [10 * at for at in sorted(sounds)]
    cuts = sorted(cuts)
    placed = words(*zip(cuts[::2], cuts[1::2], strict=False))
    found = set_edges(placed, audio(*zip(sounds[::2], sounds[1::2], strict=False)), START)
    assert [word.text for word in found] == [word.text for word in placed]
    clock = 0
    for word in found:
        assert clock <= word.start_sample <= word.end_sample
        clock = word.end_sample
    assert not found or found[-1].end_sample <= START + 3000 * MS


def test_pauses_are_found_to_a_hundredth_of_a_second():
    found = pauses_of(audio((500, 1000), (1400, 2000)))
    assert [(a // MS, b // MS) for a, b in found] == [(0, 500), (1000, 1400), (2000, 3000)]
