import json
import random
import shutil
from itertools import islice

import pytest
import soundfile

from stream.distil.passages import read_passages
from stream.distil.speak import passages, speak, wordnet_sentences
from stream.errors import UsageError

DATA = """  1 This is the licence of what follows | and "no part of it at all"
0001 29 v 01 burp 0 001 @ 00 v 0000 | expel gas from the (full) stomach; "In China it is polite"
0002 29 v 01 hum 0 001 @ 00 v 0000 | hum; "She hummed a tune, and left!"; "100000 of them were here"
0003 29 v 01 nod 0 001 @ 00 v 0000 | what the USA does to the others; "He said yes"
"""


@pytest.fixture
def wordnet(tmp_path):
    for part in ("noun", "adj", "adv"):
        (tmp_path / f"data.{part}").write_text("")
    (tmp_path / "data.verb").write_text(DATA)
    return tmp_path


def test_sentences_are_those_that_can_be_read_in_one_way(wordnet):
    examples, definitions = wordnet_sentences(wordnet)
    assert examples == ["In China it is polite", "She hummed a tune, and left!"]
    assert definitions == ["expel gas from the stomach"]


def test_passages_are_of_whole_sentences(wordnet):
    sentences = wordnet_sentences(wordnet)
    whole = {
        "In China it is polite.",
        "She hummed a tune, and left!",
        "Expel gas from the stomach.",
    }
    for text in islice(passages(*sentences, random.Random(0)), 20):
        assert 8 <= len(text.split()) < 40 + 6
        rest = text
        for sentence in whole:
            rest = rest.replace(sentence, "")
        assert not rest.strip()
    again = [list(islice(passages(*sentences, random.Random(3)), 5)) for _ in range(2)]
    assert again[0] == again[1]


@pytest.mark.skipif(not shutil.which("flite"), reason="needs flite")
def test_what_is_spoken_can_be_labelled(wordnet, tmp_path):
    manifest = speak(wordnet, tmp_path / "out", 2, seed=1)
    found = read_passages(manifest)
    texts = [json.loads(line)["text"] for line in manifest.read_text().splitlines()]
    assert [passage.text for passage in found] == texts
    for passage in found:
        info = soundfile.info(passage.audio)
        assert info.samplerate == 16_000
        assert 1 < info.duration < 30
    assert sorted(path.suffix for path in manifest.parent.iterdir()) == [".flac", ".flac", ".jsonl"]


def test_a_folder_without_wordnet_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no WordNet"):
        speak(tmp_path, tmp_path / "out", 1, seed=0)
