"""`bench languages`: measures language detection (`language: "auto"`) in streams.

The speech is the first article of the Universal Declaration of Human Rights, spoken by espeak-ng,
and the prompts of a telephone system, spoken by people. Each language is streamed alone, then
several languages one after another in one stream. Counted are the finals in the language that was
spoken, and the events with an incomplete character.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stream.bench.audio_clock import CachedTranscriber
from stream.bench.speech.espeak import speak
from stream.bench.speech.prompts import joined, prompts
from stream.core.audio import SAMPLE_RATE
from stream.core.events import Event, Final, Partial
from stream.core.session import Session
from stream.core.settings import SessionTuning, StreamSettings
from stream.core.transcript import text_of
from stream.engine.voice_detectors import choose_detector
from stream.engine.whisper_transcriber import WhisperTranscriber
from stream.errors import UsageError
from stream.evaluate.material.mixing import seeded_rng
from stream.evaluate.material.recordings import at_16_khz, to_int16
from stream.evaluate.material.sounds import noise

TEXTS = {
    "en": (
        "All human beings are born free and equal in dignity and rights.",
        "They are endowed with reason and conscience and should act towards one another in a "
        "spirit of brotherhood.",
    ),
    "de": (
        "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
        "Sie sind mit Vernunft und Gewissen begabt und sollen einander im Geiste der "
        "Brüderlichkeit begegnen.",
    ),
    "fr": (
        "Tous les êtres humains naissent libres et égaux en dignité et en droits.",
        "Ils sont doués de raison et de conscience et doivent agir les uns envers les autres "
        "dans un esprit de fraternité.",
    ),
    "es": (
        "Todos los seres humanos nacen libres e iguales en dignidad y derechos.",
        "Dotados como están de razón y conciencia, deben comportarse fraternalmente los unos con "
        "los otros.",
    ),
    "it": (
        "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti.",
        "Essi sono dotati di ragione e di coscienza e devono agire gli uni verso gli altri in "
        "spirito di fratellanza.",
    ),
    "pt": (
        "Todos os seres humanos nascem livres e iguais em dignidade e em direitos.",
        "Dotados de razão e de consciência, devem agir uns para com os outros em espírito de "
        "fraternidade.",
    ),
    "nl": (
        "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren.",
        "Zij zijn begiftigd met verstand en geweten, en behoren zich jegens elkander in een geest "
        "van broederschap te gedragen.",
    ),
    "pl": (
        "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw.",
        "Są oni obdarzeni rozumem i sumieniem i powinni postępować wobec innych w duchu "
        "braterstwa.",
    ),
    "ru": (
        "Все люди рождаются свободными и равными в своем достоинстве и правах.",
        "Они наделены разумом и совестью и должны поступать в отношении друг друга в духе "
        "братства.",
    ),
    "zh": (
        "人人生而自由，在尊严和权利上一律平等。",
        "他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    ),
    "ja": (
        "すべての にんげんは、うまれながらにして じゆうであり、"
        "そんげんと けんりとに ついて びょうどうである。",
        "にんげんは、りせいと りょうしんとを さずけられており、"
        "たがいに こうどうしなければならない。",
    ),
}
"""The first article, in two sentences; Japanese in kana, which espeak-ng can read."""
VOICES = {"en": "en-gb", "fr": "fr-fr", "zh": "cmn"}
"""Voices of espeak-ng whose names differ from the language code."""
PEOPLE = ("en", "es", "fr", "it", "ru")
PEOPLE_S = 12.0
TO_AND_FRO = (("en", "es"), ("ru", "fr"))
"""Pairs of languages that alternate within one stream."""
GAP_S = 0.9
"""Seconds between two utterances: longer than the silence that ends an utterance."""
FLOOR_DBFS = -60.0
BROKEN = "\ufffd"
CHUNK_BYTES = SAMPLE_RATE // 10 * 2

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Speech:
    """Speech in one language, (n_samples,) at 16 kHz."""

    language: str
    samples: Samples


@dataclass(frozen=True, slots=True)
class LanguageRow:
    """The languages that the finals of one stream report."""

    stream: str
    finals: int
    right: int
    """Finals that report the language that was spoken at their middle."""
    heard: dict[str, int]
    """Number of finals by reported language."""
    switches: int
    """Number of times that the reported language changed from one final to the next."""
    spoken_switches: int
    """Number of times that the spoken language changed."""
    broken: int
    """Events with an incomplete character."""


def run(model: str = "base", only: str = "", verbose: bool = False) -> None:
    """Print the reported languages of each stream as a table, and one JSON line.

    Parameters
    ----------
    model
        Name of the model, which must be multilingual.
    only
        Run only the streams whose names contain this text, such as "people".
    verbose
        Also print the text of each final.
    """
    cached = CachedTranscriber(WhisperTranscriber(model, device="cpu"))
    print("| stream | finals | right | reported | switches | broken |")
    print("|---|---|---|---|---|---|")
    rows = []
    for name, speech in streams():
        if only not in name:
            continue
        finals, broken = streamed(name, speech, cached)
        row = judge(name, speech, finals, broken)
        rows.append(row)
        reported = ", ".join(f"{n} × {language}" for language, n in row.heard.items())
        print(
            f"| {name} | {row.finals} | {row.right} | {reported} "
            f"| {row.switches} of {row.spoken_switches} | {row.broken} |",
            flush=True,
        )
        if verbose:
            for final in finals:
                print(f"    {final.language}: {text_of(final.words)}")
    print(json.dumps({"languages": [asdict(row) for row in rows]}))


def streams() -> Iterator[tuple[str, list[Speech]]]:
    """Yield the name and the speech of each stream: one language, then changing languages."""
    robots = {language: robot(language) for language in TEXTS}
    people = {}
    for language in PEOPLE:
        try:
            people[language] = person(language)
        except UsageError as error:
            print(f"| a person, {language}: left out: {error} |")
    for language, speech in robots.items():
        yield f"robot, {language}", speech
    for language, speech in people.items():
        yield f"person, {language}", speech
    halves = [half for one in zip(*people.values(), strict=True) for half in one]
    if halves:
        yield "people, in turn", halves
    for first, second in TO_AND_FRO:
        if {first, second} <= people.keys():
            (a, b), (c, d) = people[first], people[second]
            yield f"people, {first} and {second} to and fro", [a, c, b, d]


def robot(language: str) -> list[Speech]:
    """Return the two sentences of a language, spoken by espeak-ng."""
    voice = VOICES.get(language, language)
    return [Speech(language, at_16_khz(speak(text, voice, 150)[0])) for text in TEXTS[language]]


def person(language: str) -> list[Speech]:
    """Return two utterances made of a person's longest prompts, which are whole sentences."""
    longest = sorted(prompts(language), key=lambda prompt: -len(prompt.text))
    found: list[Speech] = []
    taken = iter(p for p in longest if len(p.text) < 120)
    for _ in range(2):
        pieces: list[Samples] = []
        while sum(map(len, pieces)) < PEOPLE_S * SAMPLE_RATE / 2:
            audio, _ = joined([next(taken)], [0.25])
            pieces.append(at_16_khz(audio))
        found.append(Speech(language, np.concatenate(pieces)))
    return found


def streamed(
    name: str, speech: Sequence[Speech], cached: CachedTranscriber
) -> tuple[list[Final], int]:
    """Run a stream; return its finals with words, and the number of events with broken text."""
    settings = StreamSettings(language="auto")
    session = Session(name, settings, SessionTuning(), choose_detector("silero"))
    cached.begin(name)
    data = to_int16(sound(name, speech)).tobytes()
    events: list[Event] = []
    for first in range(0, len(data), CHUNK_BYTES):
        session.receive_audio(data[first : first + CHUNK_BYTES])
        events += transcribed(session, cached)
    session.receive_eof()
    events += transcribed(session, cached)
    finals = [event for event in events if isinstance(event, Final) and event.words]
    return finals, sum(map(is_broken, events))


def transcribed(session: Session, cached: CachedTranscriber) -> list[Event]:
    """Transcribe all windows that are due, and return the session's events."""
    while windows := session.windows_to_transcribe():
        for window in windows:
            session.receive_hypothesis(cached.transcribe(window))
    return session.events_to_send()


def sound(name: str, speech: Sequence[Speech]) -> Samples:
    """Return the samples of a stream: all speech with gaps around it, over quiet noise."""
    gap = np.zeros(round(GAP_S * SAMPLE_RATE), np.float32)
    samples = np.concatenate([gap, *(part for one in speech for part in (one.samples, gap))])
    return samples + noise(len(samples), 0.5, FLOOR_DBFS, seeded_rng(0, name)).astype(np.float32)


def is_broken(event: Event) -> bool:
    """Return whether the text of an event has a replacement character or a lone surrogate."""
    match event:
        case Partial():
            texts = [text_of(event.committed), text_of(event.tentative)]
        case Final():
            texts = [text_of(event.words)]
        case _:
            return False
    return any(BROKEN in text or any("\ud800" <= c <= "\udfff" for c in text) for text in texts)


def judge(name: str, speech: Sequence[Speech], finals: Sequence[Final], broken: int) -> LanguageRow:
    """Compare the language of each final with the language that was spoken at its middle."""
    gap = round(GAP_S * SAMPLE_RATE)
    ends = np.cumsum([gap + len(one.samples) for one in speech])

    def spoken_in(final: Final) -> str:
        middle = (final.start_sample + final.end_sample) // 2
        return speech[min(int(np.searchsorted(ends, middle)), len(speech) - 1)].language

    reported = [final.language for final in finals]
    return LanguageRow(
        stream=name,
        finals=len(finals),
        right=sum(final.language == spoken_in(final) for final in finals),
        heard=dict(Counter(reported).most_common()),
        switches=changes(reported),
        spoken_switches=changes([one.language for one in speech]),
        broken=broken,
    )


def changes(languages: Iterable[str]) -> int:
    """Count how often a language differs from the one before it."""
    return sum(one != other for one, other in pairwise(languages))
