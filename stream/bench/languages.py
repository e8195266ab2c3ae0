"""What `language: "auto"` makes of speech in many languages, streamed.

Robots speak the first article of the Universal Declaration of Human Rights, and people the prompts
of a telephone system. Each language is streamed alone, then one after another in one stream: how
many finals are in the language that was spoken, and are all their characters whole?
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stream.bench.audio_clock import Memory
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
from stream.evaluate.material.mixing import chance
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
"""Of espeak-ng, where they are not named like the language."""
PEOPLE = ("en", "es", "fr", "it", "ru")
PEOPLE_S = 12.0
TO_AND_FRO = (("en", "es"), ("ru", "fr"))
"""Languages that two people speak by turns."""
GAP_S = 0.9
"""Between two utterances: more than endpointing waits."""
FLOOR_DBFS = -60.0
BROKEN = "\ufffd"
CHUNK_BYTES = SAMPLE_RATE // 10 * 2

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Said:
    """A stretch of speech, (n_samples,) at 16 kHz, and its language."""

    language: str
    samples: Samples


@dataclass(frozen=True, slots=True)
class LanguageRow:
    """What the finals of one stream said their language was."""

    stream: str
    finals: int
    right: int
    """Those in the language that was spoken where they are."""
    heard: dict[str, int]
    """How often each language was reported."""
    switches: int
    """How often the reported language changed from one final to the next."""
    spoken_switches: int
    broken: int
    """Events with a character that is not whole."""


def run(model: str = "base", only: str = "", verbose: bool = False) -> None:
    """Print the table and one JSON line.

    Parameters
    ----------
    model
        Its name; one that knows many languages.
    only
        Stream only what has this in its name, such as "people".
    verbose
        Print what was heard, too.
    """
    memory = Memory(WhisperTranscriber(model, device="cpu"))
    print("| stream | finals | right | reported | switches | broken |")
    print("|---|---|---|---|---|---|")
    rows = []
    for name, said in streams():
        if only not in name:
            continue
        finals, broken = streamed(name, said, memory)
        row = judge(name, said, finals, broken)
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


def streams() -> Iterator[tuple[str, list[Said]]]:
    """Yield each language alone, then streams whose language changes."""
    robots = {language: robot(language) for language in TEXTS}
    people = {}
    for language in PEOPLE:
        try:
            people[language] = person(language)
        except UsageError as error:
            print(f"| a person, {language}: left out: {error} |")
    for language, said in robots.items():
        yield f"robot, {language}", said
    for language, said in people.items():
        yield f"person, {language}", said
    halves = [half for one in zip(*people.values(), strict=True) for half in one]
    if halves:
        yield "people, in turn", halves
    for first, second in TO_AND_FRO:
        if {first, second} <= people.keys():
            (a, b), (c, d) = people[first], people[second]
            yield f"people, {first} and {second} to and fro", [a, c, b, d]


def robot(language: str) -> list[Said]:
    """Return the two sentences of a language."""
    voice = VOICES.get(language, language)
    return [Said(language, at_16_khz(speak(text, voice, 150)[0])) for text in TEXTS[language]]


def person(language: str) -> list[Said]:
    """Return two stretches of a person's prompts: the longer ones, for they are sentences."""
    longest = sorted(prompts(language), key=lambda prompt: -len(prompt.text))
    found: list[Said] = []
    taken = iter(p for p in longest if len(p.text) < 120)
    for _ in range(2):
        pieces: list[Samples] = []
        while sum(map(len, pieces)) < PEOPLE_S * SAMPLE_RATE / 2:
            audio, _ = joined([next(taken)], [0.25])
            pieces.append(at_16_khz(audio))
        found.append(Said(language, np.concatenate(pieces)))
    return found


def streamed(name: str, said: Sequence[Said], memory: Memory) -> tuple[list[Final], int]:
    """Return a stream's finals, and how many events held a broken character."""
    settings = StreamSettings(language="auto")
    session = Session(name, settings, SessionTuning(), choose_detector("silero"))
    data = to_int16(sound(name, said)).tobytes()
    heard: list[Event] = []
    for first in range(0, len(data), CHUNK_BYTES):
        session.receive_audio(data[first : first + CHUNK_BYTES])
        heard += answered(session, memory)
    session.receive_eof()
    heard += answered(session, memory)
    finals = [event for event in heard if isinstance(event, Final) and event.words]
    return finals, sum(map(is_broken, heard))


def answered(session: Session, memory: Memory) -> list[Event]:
    """Answer all windows that are due, and return what the session sends."""
    while windows := session.windows_to_transcribe():
        for window in windows:
            session.receive_hypothesis(memory.hear(window))
    return session.events_to_send()


def sound(name: str, said: Sequence[Said]) -> Samples:
    """Return a stream's samples: each stretch and the gap after it, in a quiet room."""
    gap = np.zeros(round(GAP_S * SAMPLE_RATE), np.float32)
    samples = np.concatenate([gap, *(part for one in said for part in (one.samples, gap))])
    return samples + noise(len(samples), 0.5, FLOOR_DBFS, chance(0, name)).astype(np.float32)


def is_broken(event: Event) -> bool:
    """Tell whether a reader would see a character that is none."""
    match event:
        case Partial():
            texts = [text_of(event.committed), text_of(event.tentative)]
        case Final():
            texts = [text_of(event.words)]
        case _:
            return False
    return any(BROKEN in text or any("\ud800" <= c <= "\udfff" for c in text) for text in texts)


def judge(name: str, said: Sequence[Said], finals: Sequence[Final], broken: int) -> LanguageRow:
    """Compare the languages of the finals with what was spoken in the middle of each."""
    gap = round(GAP_S * SAMPLE_RATE)
    ends = np.cumsum([gap + len(one.samples) for one in said])

    def spoken_in(final: Final) -> str:
        middle = (final.start_sample + final.end_sample) // 2
        return said[min(int(np.searchsorted(ends, middle)), len(said) - 1)].language

    reported = [final.language for final in finals]
    return LanguageRow(
        stream=name,
        finals=len(finals),
        right=sum(final.language == spoken_in(final) for final in finals),
        heard=dict(Counter(reported).most_common()),
        switches=changes(reported),
        spoken_switches=changes([one.language for one in said]),
        broken=broken,
    )


def changes(languages: Iterable[str]) -> int:
    """Count how often a language is not the one before it."""
    return sum(one != other for one, other in pairwise(languages))
