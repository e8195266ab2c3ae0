"""The ways in which people and programs write a language."""

import pytest

from stream.core.languages import CODES, ENGLISH_NAMES, language_code

KNOWN = tuple(ENGLISH_NAMES)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("DE", "de"),
        ("de-AT", "de"),
        ("pt_BR", "pt"),
        ("fr_CA.UTF-8", "fr"),
        ("zh-Hant-TW", "zh"),
        ("sr-Latn", "sr"),
        ("YUE-hk", "yue"),
        ("es-419", "es"),
        (" it ", "it"),
        ("AUTO", "auto"),
        ("nb-NO", "no"),
        ("iw", "he"),
        ("fil-PH", "tl"),
        ("jv", "jw"),
        ("German", "de"),
        ("haitian creole", "ht"),
    ],
)
def test_ways_to_write_a_code(text: str, code: str) -> None:
    assert language_code(text, KNOWN) == code


@pytest.mark.parametrize("text", ["xx", "xx-US", "", "english please", "auto-de-fe", "-en", "de"])
def test_special_tokens_that_a_model_lacks_stay_as_text(text: str) -> None:
    assert language_code(text, ("en",)) == text


def test_every_language_is_found_by_its_code_and_its_name() -> None:
    for code, name in ENGLISH_NAMES.items():
        assert language_code(code, KNOWN) == language_code(name, KNOWN) == code
    assert len(CODES) == len(ENGLISH_NAMES)
