"""Labels of speakers: the names that people have, in any script, as one line of text.

A label is shown in captions, subtitles and terminals beside other people's words. So what would
break the line, turn the direction of what follows or show nothing at all is refused; everything
that belongs to a name is taken, in the normalisation form NFC and with each space as U+0020.
"""

import unicodedata

import regex

MAX_LABEL_LENGTH = 80
"""Characters (code points) of a label."""

SPACE = regex.compile(r"\p{Zs}")

JOINED_SCRIPTS = r"[[\p{L}\p{M}]--[\p{Latin}\p{Greek}\p{Cyrillic}\p{Han}\p{Kana}\p{Hira}\p{Hang}]]"
"""Letters and marks of the scripts in which a joiner changes how letters are joined: Arabic and its
relatives, those of South and South-East Asia, Mongolian and others."""

REFUSED = regex.compile(
    r"(?V1)[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Noncharacter_Code_Point}]"
    # Of the invisible characters of format, those are taken that belong to what is before them:
    r"|[\p{Cf}--["
    r"\u200e\u200f\u061c"  # marks of direction, which turn nothing but themselves
    r"\p{Grapheme_Cluster_Break=Prepend}\u180e\U00013430-\U0001343f"  # signs of one script each
    r"\u200b-\u200d\U000e0020-\U000e007f]]"
    rf"|(?<!{JOINED_SCRIPTS})\u200b"  # a break of words, where nobody writes spaces
    rf"|(?<!{JOINED_SCRIPTS}|[\p{{Extended_Pictographic}}\p{{Emoji_Modifier}}\ufe0f])\u200d"
    rf"|(?<!{JOINED_SCRIPTS})\u200c"
    r"|(?<!\U0001f3f4[\U000e0020-\U000e007e]*)[\U000e0020-\U000e007f]"  # of a flag
)

SEEN = regex.compile(
    r"(?V1)[[\p{L}\p{N}\p{P}\p{S}\p{Cn}]--[\u115f\u1160\u3164\uffa0\u2800]]"  # fillers are blank
)


def label_of(text: str) -> str:
    """Return the label that a text stands for.

    Raises:
        ValueError: it is none; the message is a sentence.
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
