"""Validates labels of speakers: names in any script, as one line of text.

A label is shown in captions, subtitles and terminals beside the words of other people. So
characters that would break the line, change the direction of the following text or be invisible are
refused. All characters that occur in names are accepted. Labels are in the normalisation form NFC,
and each space in them is U+0020.
"""

import unicodedata

import regex

MAX_LABEL_LENGTH = 80
"""Most characters (code points) of a label."""

SPACE = regex.compile(r"\p{Zs}")

JOINED_SCRIPTS = r"[[\p{L}\p{M}]--[\p{Latin}\p{Greek}\p{Cyrillic}\p{Han}\p{Kana}\p{Hira}\p{Hang}]]"
"""Letters and marks of the scripts in which a joiner affects how letters are joined: Arabic and
related ones, those of South and South-East Asia, Mongolian and others."""

REFUSED = regex.compile(
    r"(?V1)[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Noncharacter_Code_Point}]"
    # Invisible format characters are refused, except these, which are part of the text around them:
    r"|[\p{Cf}--["
    r"\u200e\u200f\u061c"  # direction marks, which do not affect other text
    r"\p{Grapheme_Cluster_Break=Prepend}\u180e\U00013430-\U0001343f"  # signs of single scripts
    r"\u200b-\u200d\U000e0020-\U000e007f]]"
    rf"|(?<!{JOINED_SCRIPTS})\u200b"  # a word break, for scripts without spaces
    rf"|(?<!{JOINED_SCRIPTS}|[\p{{Extended_Pictographic}}\p{{Emoji_Modifier}}\ufe0f])\u200d"
    rf"|(?<!{JOINED_SCRIPTS})\u200c"
    r"|(?<!\U0001f3f4[\U000e0020-\U000e007e]*)[\U000e0020-\U000e007f]"  # tags of a flag
)

SEEN = regex.compile(
    r"(?V1)[[\p{L}\p{N}\p{P}\p{S}\p{Cn}]--[\u115f\u1160\u3164\uffa0\u2800]]"  # fillers are blank
)


def label_of(text: str) -> str:
    """Return the text as a label, normalised.

    Raises:
        ValueError: the text is not a valid label; the message is a sentence with the reason.
    """
    text_in_nfc = unicodedata.normalize("NFC", text).removeprefix("\ufeff")
    label: str = SPACE.sub(" ", text_in_nfc).strip(" ")
    if found := REFUSED.search(label):
        character = found.group()
        name = unicodedata.name(character, "a control character")
        raise ValueError(
            f"A speaker is {text[:99]!r}; U+{ord(character):04X} ({name}) is not allowed: "
            "use letters, marks, digits, punctuation, emoji and spaces."
        )
    if not SEEN.search(label) or len(label) > MAX_LABEL_LENGTH:
        raise ValueError(
            f"A speaker is {text[:99]!r}; use 1 to {MAX_LABEL_LENGTH} characters, "
            "one of them visible."
        )
    return label
