"""Prompts are trimmed to their sound and joined where the words say."""

import gzip

import numpy as np
import pytest
import soundfile

from stream.bench.speech.prompts import VOICES, joined, prompts, trimmed
from stream.errors import UsageError
from stream.evaluate.material.recordings import Audio

RATE = 8_000


def burst(before_s, loud_s, after_s):
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 3, round((before_s + loud_s + after_s) * RATE))
    first = round(before_s * RATE)
    samples[first : first + round(loud_s * RATE)] *= 1000
    return samples.astype(np.int16)


@pytest.fixture
def folders(tmp_path):
    sounds, texts = tmp_path / "sounds", tmp_path / "doc"
    (sounds / VOICES["en"] / "digits").mkdir(parents=True)
    (texts / "asterisk-core-sounds-en").mkdir(parents=True)
    lines = "; A list\n\nhello: Hello.\nplease-wait: Please wait.\nbeep: [a tone]\ndigits/1: one\n"
    path = texts / "asterisk-core-sounds-en" / "core-sounds-en.txt.gz"
    path.write_bytes(gzip.compress(lines.encode()))
    for name in ("hello", "please-wait", "beep", "digits/1"):
        soundfile.write(sounds / VOICES["en"] / f"{name}.wav", burst(0.2, 0.5, 0.1), RATE)
    return sounds, texts


def test_words_are_kept_and_numbers_and_tones_are_not(folders):
    assert [prompt.text for prompt in prompts("en", *folders)] == ["Hello", "Please wait"]
    with pytest.raises(UsageError, match="apt install asterisk-core-sounds-fr-wav"):
        prompts("fr", *folders)


def test_the_edges_of_joined_prompts_are_known(folders):
    audio, words = joined(prompts("en", *folders), [0.3, 0.4])
    assert [word.text for word in words] == ["Hello", "Please", "wait"]
    hello, please, wait = words
    assert hello.start_s == pytest.approx(0.3)
    assert hello.end_s == pytest.approx(0.8, abs=0.01)
    assert please.start_s == pytest.approx(1.2, abs=0.01)
    assert wait.end_s == pytest.approx(1.7, abs=0.01)
    assert audio.seconds == wait.end_s


def test_a_telephone_prompt_is_trimmed_to_its_sound():
    assert trimmed(Audio(burst(0.5, 0.4, 0.3), RATE)).seconds == pytest.approx(0.4, abs=0.01)
