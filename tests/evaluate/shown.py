"""Records of events, written down by hand."""

from stream.evaluate.measures.record import (
    Finished,
    Shown,
    SpeechBegan,
    SpeechOver,
    Stamped,
    TimedWord,
)

FIRST = (0, 0)


def shown(at_s, committed, tentative="", utterance=FIRST):
    return Stamped(at_s, Shown(utterance, tuple(committed.split()), tuple(tentative.split())))


def finished(at_s, text, ends_s=(), utterance=FIRST, by_silence=True):
    """Each word lasts 0.1 s; its confidence is 0.95."""
    words = [TimedWord(w, e - 0.1, e, 0.95) for w, e in zip(text.split(), ends_s, strict=False)]
    return Stamped(at_s, Finished(utterance, text, tuple(words), by_silence))


def began(at_s, time_s, utterance=FIRST):
    return Stamped(at_s, SpeechBegan(utterance, time_s))


def over(at_s, time_s, utterance=FIRST):
    return Stamped(at_s, SpeechOver(utterance, time_s))
