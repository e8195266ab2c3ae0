import json
import random
import shutil
from itertools import islice

import pytest
import soundfile

from stream.distil.passages import read_passages
from stream.distil.speak import (
    book_sentences,
    from_random_start,
    passages,
    random_wordnet,
    speak,
    wordnet_sentences,
)
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
    whole = {
        "In China it is polite.",
        "She hummed a tune, and left!",
        "Expel gas from the stomach.",
    }

    def some(seed: int, count: int) -> list[str]:
        rng = random.Random(seed)
        return list(islice(passages(random_wordnet(wordnet, rng), rng), count))

    for text in some(0, 20):
        assert 8 <= len(text.split()) < 40 + 6
        rest = text
        for sentence in whole:
            rest = rest.replace(sentence, "")
        assert not rest.strip()
    assert some(3, 5) == some(3, 5) != some(4, 5)


def test_a_sentence_with_more_new_words_is_read_sooner(tmp_path):
    for part in ("noun", "adj", "adv"):
        (tmp_path / f"data.{part}").write_text("")
    common = [f'say no such thing {i}; "you say it so {"so " * i}"' for i in range(60)]
    rare = [f'say no such thing {i}; "quinces {i} marmalade {i}{i}"' for i in range(5)]
    lines = [f"0001 29 v 01 say 0 001 @ 00 v 0000 | {gloss}\n" for gloss in (*common, *rare)]
    (tmp_path / "data.verb").write_text("".join(lines))
    said = list(islice(random_wordnet(tmp_path, random.Random(0)), 16))
    assert sum("quinces" in sentence for sentence in said) > 16 * 5 / 65 * 2


def test_sentences_of_a_book_come_in_order(tmp_path):
    book = tmp_path / "book.txt"
    book.write_text(
        "CHAPTER THE FIRST\n\nMr. Bennet was so odd a mixture -- of _quick_\nparts, she said! "
        "“It is a truth, is it not?”--But he said that it’s all one.\n\nIn 1234567 years, never. "
        f"The {'long ' * 40} sentence ends. Not one. The last sentence of all is this."
    )
    sentences = book_sentences([book])
    assert sentences == [
        "Mr. Bennet was so odd a mixture, of quick parts, she said!",
        "It is a truth, is it not?",
        "But he said that it's all one.",
        "The last sentence of all is this.",
    ]
    said = list(islice(from_random_start(sentences, random.Random(1)), 8))
    assert said[:4] == said[4:]
    first = sentences.index(said[0])
    assert said[:4] == sentences[first:] + sentences[:first]


def test_a_book_without_a_sentence_is_refused(tmp_path):
    book = tmp_path / "book.txt"
    book.write_text("CHAPTER THE FIRST\n")
    with pytest.raises(UsageError, match=r"no sentence to read in .*book.txt"):
        book_sentences([book])
    book.write_bytes(b"\xff\xfe not text")
    with pytest.raises(UsageError, match=r"book\.txt cannot be read as text in UTF-8"):
        book_sentences([book])
    with pytest.raises(UsageError, match=r"none\.txt cannot be read as text"):
        book_sentences([tmp_path / "none.txt"])


@pytest.mark.skipif(not shutil.which("flite"), reason="needs flite")
def test_spoken_passages_can_be_labelled(wordnet, tmp_path):
    manifest = speak(wordnet, (), tmp_path / "out", 2, seed=1)
    found = read_passages(manifest)
    texts = [json.loads(line)["text"] for line in manifest.read_text().splitlines()]
    assert [passage.text for passage in found] == texts
    for passage in found:
        info = soundfile.info(passage.audio)
        assert info.samplerate == 16_000
        assert 1 < info.duration < 30
    assert sorted(path.suffix for path in manifest.parent.iterdir()) == [".flac", ".flac", ".jsonl"]


def test_a_folder_without_wordnet_is_refused(tmp_path):
    with pytest.raises(UsageError, match="WordNet is not in"):
        speak(tmp_path, (), tmp_path / "out", 1, seed=0)
