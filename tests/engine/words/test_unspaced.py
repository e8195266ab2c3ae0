"""Text of scripts without spaces through a whole session, whatever token a window ends on."""

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.audio import SAMPLE_RATE
from stream.core.events import Final, Partial
from stream.core.transcript import text_of
from stream.core.windows import Hypothesis
from stream.engine.decoding.rows import DecodeResult, Ending
from stream.engine.words.alignment import SAMPLES_PER_POSITION
from stream.engine.words.coverage import AudioSpan
from stream.engine.words.reading import read
from tests.core.rehearsal import a_session, check_promises

LEAD_S, TOKEN_S = 0.5, 0.3
END_OF_TEXT = 50_257

texts = st.lists(
    st.sampled_from(
        [
            "你好",
            "世",
            "界。",
            "を",
            "か\u3099",
            "ありがとう",
            "ที่",
            "นี่",
            "กำ",
            "麒麟",
            "🦒",
            "iPhone",
            "、",
        ]
    ),
    min_size=1,
    unique=True,  # what is said twice within a second is told apart by its time alone
).map("".join)


def heard(window, tokens, decode, begins_s):
    """What a model hears that says the tokens evenly over the speech, of those in the window."""
    first, last = window.start_sample / SAMPLE_RATE, window.end_sample / SAMPLE_RATE
    chosen = [i for i, at in enumerate(begins_s) if first <= at < last]
    n_positions = len(window.samples) // SAMPLES_PER_POSITION
    attention = np.full((1, len(chosen) + 1, n_positions), 1e-6, np.float32)
    for row, i in enumerate([*chosen, None]):
        at = begins_s[i] - first if i is not None else last - first
        place = min(round(at * 50), n_positions - 1)
        attention[0, row, max(0, place - 6) : place + 7] = 1.0 / 13  # as wide as a phoneme
    scores = (-0.1,) * (len(chosen) + 1)
    result = DecodeResult(
        tuple(tokens[i] for i in chosen), scores, "zh", 0.0, Ending.END_OF_TEXT, 1, 0, 0, attention
    )
    span = AudioSpan(window, window.start_sample, ())
    return Hypothesis(window, read(span, result, decode, END_OF_TEXT).words, "zh")


def stream(tokens, decode, hop_s):
    n = round(TOKEN_S * len(tokens) * SAMPLE_RATE)
    tone = 0.5 * np.sign(np.sin(2 * np.pi * 200 * np.arange(n) / SAMPLE_RATE))
    samples = np.pad(tone, round(LEAD_S * SAMPLE_RATE))
    begins_s = [LEAD_S + TOKEN_S * i for i in range(len(tokens))]
    session, events = a_session(language="zh"), []
    data = (samples * 32_767).astype("<i2").tobytes()
    step = round(hop_s * SAMPLE_RATE) * 2

    def answer():
        while windows := session.windows_to_transcribe():
            for window in windows:
                session.receive_hypothesis(heard(window, tokens, decode, begins_s))

    for start in range(0, len(data), step):
        session.receive_audio(data[start : start + step])
        answer()
        events.extend(session.events_to_send())
    session.receive_eof()
    answer()
    return events + session.events_to_send()


class Spelling:
    """The tokenizer of a model."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def encode(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, tokens):
        return self.tokenizer.decode(list(tokens), skip_special_tokens=False)


@pytest.fixture(scope="module")
def spelling(base_checkpoint):
    return Spelling(base_checkpoint.tokenizer)


@pytest.mark.model
@given(text=texts, hop_s=st.sampled_from([0.1, 0.37, 1.0]))
@settings(deadline=None, max_examples=60)
def test_every_character_comes_once_and_none_is_cut(spelling, text, hop_s):
    events = stream(spelling.encode(text), spelling.decode, hop_s)
    check_promises(events)
    final = "".join(text_of(event.words) for event in events if isinstance(event, Final))
    assert final == text
    boundaries = {0, *(match.end() for match in regex.finditer(r"\X", text))}
    for event in events:
        if isinstance(event, Partial):
            committed = text_of(event.committed)
            assert text.startswith(committed)
            assert len(committed) in boundaries
            assert "\ufffd" not in committed + text_of(event.tentative)


@pytest.mark.model
@given(st.lists(st.integers(0, END_OF_TEXT - 1), min_size=1, max_size=20))
@settings(deadline=None, max_examples=60)
def test_no_tokens_make_a_broken_character_anywhere(spelling, tokens):
    events = stream(tokens, spelling.decode, 0.4)
    check_promises(events)
    for event in events:
        if isinstance(event, Partial | Final):
            words = event.words if isinstance(event, Final) else event.committed + event.tentative
            assert "\ufffd" not in text_of(words)
            text_of(words).encode()  # no half of a surrogate pair
