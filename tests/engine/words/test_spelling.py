import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from stream.engine.words.spelling import UNSPACED, graphemes, split_words, spoken_tokens


def spelled(*texts: str):
    """A tokenizer of whole texts: token i is the i-th."""
    return lambda tokens: "".join(texts[token] for token in tokens)


def in_bytes(*pieces: bytes):
    """A tokenizer of bytes, as Whisper's is."""
    return lambda tokens: b"".join(pieces[token] for token in tokens).decode("utf-8", "replace")


def words_of(*texts: str):
    return [piece.text for piece in split_words(range(len(texts)), spelled(*texts))]


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([" It", " was", " the", " best"], [" It", " was", " the", " best"]),
        ([" un", "believ", "able", "."], [" unbelievable."]),
        ([" well", "-", "known", ",", " yes"], [" well-known,", " yes"]),
        ([" he", " said", ' "', "No", '!"', " and"], [" he", " said", ' "No!"', " and"]),
        ([" 1", ",", "000", " -", " 2"], [" 1,000", " - 2"]),
        ([" don", "'t"], [" don't"]),
        (["Hello", " there"], ["Hello", " there"]),
        ([" wait", " ..."], [" wait", " ..."]),
        ([" Мос", "ква"], [" Москва"]),
        ([" 안", "녕"], [" 안녕"]),
        ([], []),
    ],
)
def test_words_end_at_spaces_and_keep_their_punctuation(texts, words):
    assert words_of(*texts) == words


def test_scripts_without_spaces_are_split_into_characters():
    assert words_of("你", "好", ",", "世", "。") == ["你", "好,", "世。"]


def test_the_script_decides_and_not_the_language():
    assert words_of(" I", " said", " 你", "好", " to", " her") == [
        " I",
        " said",
        " 你",
        "好",
        " to",
        " her",
    ]
    assert words_of("我", "的", "i", "Phone", "在") == ["我", "的", "iPhone", "在"]


def test_a_mark_stays_with_its_letter():
    assert words_of("ก", "ำ", "ท", "ี่") == ["กำ", "ที่"]
    assert words_of("か", "\u3099", "く") == ["か\u3099", "く"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (" hello", [" hello"]),
        ("你好,", ["你", "好,"]),
        (" 你好", [" 你", "好"]),
        ("「你好」", ["「你", "好」"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("我的iPhone", ["我", "的", "iPhone"]),
        ("", []),
    ],
)
def test_a_word_of_a_script_without_spaces_is_divided(text, parts):
    assert graphemes(text) == parts


def test_a_word_that_the_end_cuts_through_is_marked():
    ends = "你".encode()
    decode = in_bytes(ends[:2], ends[2:], " né".encode()[:-1])
    assert [p.text for p in split_words([0, 1, 2], decode)] == ["你", " n\ufffd"]


def test_a_broken_byte_costs_no_more_than_itself():
    decode = in_bytes(b" one", b"\xff", b" two", b" three")
    pieces = split_words([0, 1, 2, 3], decode)
    assert "".join(piece.text for piece in pieces) == " one two three"
    assert [token for piece in pieces for token in piece.tokens] == [0, 1, 2, 3]


def test_a_closing_punctuation_mark_takes_no_time():
    (piece,) = split_words(range(3), spelled(" Yes", "!", '"'))
    assert spoken_tokens(piece, spelled(" Yes", "!", '"')) == 1


@given(st.lists(st.sampled_from("你好ทกี่ำかな가é,。「」 aB1👩\u200d🚀\u3099")).map("".join))
def test_parts_are_the_word_and_cut_through_no_grapheme(text):
    parts = graphemes(text)
    assert "".join(parts) == text
    boundaries = {m.end() for m in regex.finditer(r"\X", text)}
    end = 0
    for part in parts:
        end += len(part)
        assert end in boundaries
        assert len(UNSPACED.findall(part)) <= len(part)


@pytest.fixture(scope="module")
def tokenizer(base_checkpoint) -> Tokenizer:
    return base_checkpoint.tokenizer


def decoder(tokenizer):
    return lambda tokens: tokenizer.decode(list(tokens), skip_special_tokens=False)


@pytest.mark.model
@given(text=st.text(max_size=30))
@settings(deadline=None)
def test_words_lose_no_token_and_no_character(tokenizer, text):
    decode = decoder(tokenizer)
    tokens = tokenizer.encode(text, add_special_tokens=False).ids
    pieces = split_words(tokens, decode)
    assert [token for piece in pieces for token in piece.tokens] == tokens
    assert "".join(piece.text for piece in pieces) == decode(tokens)
    assert all(1 <= spoken_tokens(piece, decode) <= len(piece.tokens) for piece in pieces)


@pytest.mark.model
@given(st.lists(st.integers(0, 50_256), max_size=30))
@settings(deadline=None)
def test_only_the_last_word_may_be_broken(tokenizer, tokens):
    decode = decoder(tokenizer)
    pieces = split_words(tokens, decode)
    assert [token for piece in pieces for token in piece.tokens] == tokens
    assert not any("\ufffd" in piece.text for piece in pieces[:-1])


@pytest.mark.model
def test_bytes_of_one_character_stay_together(tokenizer):
    tokens = tokenizer.encode("麒麟🦒", add_special_tokens=False).ids
    assert len(tokens) > 3
    assert [p.text for p in split_words(tokens, decoder(tokenizer))] == ["麒", "麟", "🦒"]
