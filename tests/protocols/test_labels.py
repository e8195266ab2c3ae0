"""Labels of speakers: the names that people have, and what would spoil other people's lines."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.protocols.labels import MAX_LABEL_LENGTH, label_of

FAMILY = "👩🏽\u200d🚒 и 👨\u200d👩\u200d👧\u200d👦"
WALES = "🏴\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f"


@pytest.mark.parametrize(
    "name",
    [
        "佐藤 花子",
        "می\u200cنا رضایی",  # Persian, with a non-joiner
        "ක\u0dca\u200dෂමා",  # Sinhala, Malayalam and Bengali, with joiners
        "വിനോദ\u0d4d\u200d",
        "র\u200d\u09cdযাব",
        "श्री नन्दिनी",
        "ហេង\u200bសំរិន",  # Khmer, with a break of words that is not seen
        "ᠲᠡᠮᠦᠵᠢᠨ\u180eᠠ",
        "\u200fשרה",  # copied with a mark of direction, which turns nothing else
        "Nguyễn Văn Đức",
        "Seán O’Brien-Łukasz, Jr. (№ 7)",
        "𰻞",
        FAMILY,
        WALES,
        "☎️ 12*#",
    ],
)
def test_names_of_people_are_accepted(name: str) -> None:
    assert label_of(name) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("佐藤\u3000花子", "佐藤 花子"),
        ("Jean\u00a0Paul\u202fII", "Jean Paul II"),
        ("\u2003Ada\u2009 ", "Ada"),
        ("Zoe\u0308", "Zoë"),
        ("\u1100\u1161\u11a8", "각"),
        ("\ufeffAda", "Ada"),
    ],
)
def test_all_spaces_are_a_space_and_accents_are_composed(text: str, label: str) -> None:
    assert label_of(text) == label


@pytest.mark.parametrize(
    "text",
    [
        "Ada\nGrace",
        "Ada\tGrace",
        "Ada\u0085",
        "Ada\x1b[31m",
        "Ada\u2028Grace",
        "\u202bAda",
        "Ada \u202d",
        "\u2067Ada",
        "Ad\u200ca",
        "Ad\u200da",
        "A\u200bda",
        "佐\u200d藤",
        "A\u00adda",
        "\u2060Ada",
        "A\U000e0067",
        "\ue123",
        "\ufdd0",
    ],
)
def test_unknown_keys_are_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"U\+[0-9A-F]{4,5} \(.+\) is not allowed"):
        label_of(text)


@pytest.mark.parametrize(
    "text", ["", " ", "\u3000\u00a0", "\u0301", "\u3164", "\u2800 ", "\u200e", "\ufe0f", "x" * 81]
)
def test_blank_and_long_ones(text: str) -> None:
    with pytest.raises(ValueError, match="use 1 to 80 characters, one of them visible"):
        label_of(text)


def test_the_length_is_that_of_the_label() -> None:
    assert len(label_of("e\u0301" * MAX_LABEL_LENGTH)) == MAX_LABEL_LENGTH
    assert label_of(f" {'字' * MAX_LABEL_LENGTH} ") == "字" * MAX_LABEL_LENGTH


@given(st.text(max_size=90))
def test_a_label_is_one_line_and_keeps_its_text(text: str) -> None:
    try:
        label = label_of(text)
    except ValueError:
        return
    assert label_of(label) == label
    assert label.splitlines() == [label]
    assert 1 <= len(label.strip()) <= MAX_LABEL_LENGTH
    assert not {unicodedata.bidirectional(c) for c in label} & {
        *("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    }
