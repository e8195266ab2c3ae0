"""Where lines end and how wide they are, held against uniseg on whole texts."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from uniseg.linebreak import line_break_breakables

from stream.core.line_breaking import (
    after_spaces,
    break_positions,
    cluster_starts,
    columns,
    join_texts,
    smallest_parts,
    space_between,
)

TEXTS = st.text("ab1 .,!?-’“”«»()（）。、「」字っカ한é\u0301नस्ते👩👧\u200d🇩🇪$%\u3000ก", max_size=40)


@given(TEXTS)
def test_the_fast_implementation_gives_the_results_of_the_rules(text: str) -> None:
    allowed = list(line_break_breakables(text))
    found = break_positions(text, range(1, len(text)))
    for at in found:
        behind = after_spaces(text, at, len(text) - 1)
        assert allowed[behind] or text[behind].isspace()
    clusters = cluster_starts(text)
    for at in range(1, len(text)):
        if allowed[at] and at in clusters and not text[at].isspace():
            assert at in found


@given(TEXTS)
@example("?\u094d\u0924")  # a virama without a letter before it
def test_no_character_is_broken(text: str) -> None:
    borders = cluster_starts(text)
    found = break_positions(text, range(1, len(text)))
    assert {at for at in found if not text[at - 1].isspace()} <= borders
    for most in (2, 10, 21):
        parts = smallest_parts(text, most)
        assert "".join(parts) == text
        assert all(columns(part.strip()) <= most for part in parts)


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("plain", 5),
        ("é", 1),
        ("e\u0301", 1),
        ("字", 2),
        ("ｗ", 2),
        ("ｶﾞ", 2),
        ("한국", 4),
        ("\u1112\u1161\u11ab", 2),
        ("👨\u200d👩\u200d👧\u200d👦", 2),
        ("🇨🇭", 2),
        ("स्त्री", 2),
        ("ที่", 1),
        ("a\u200bb", 2),
        ("", 0),
    ],
)
def test_width(text: str, width: int) -> None:
    assert columns(text) == width


@pytest.mark.parametrize(
    ("before", "after", "between"),
    [
        ("Yes.", "No.", " "),
        ("はい。", "いいえ。", ""),
        ("「はい」", "Yes", ""),
        ("你好", "再见", " "),
        ("안녕하세요.", "네.", " "),
        ("ครับ", "ค่ะ", " "),
        ("नमस्ते।", "हाँ।", " "),
        ("", "Yes", ""),
        ("Yes", "", ""),
    ],
)
def test_between_two_sentences(before: str, after: str, between: str) -> None:
    assert space_between(before, after) == between
    assert join_texts([before, after]) == before + between + after
