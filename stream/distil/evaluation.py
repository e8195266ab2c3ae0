"""What a student buys: the teacher alone, with the student's drafts, and the student alone.

The three hear the same windows in turn, so that a busy machine is as hard on each. Every recording
is a window of its own, or several where it is longer than Whisper hears, and goes through all that
a window of the server goes through.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from stream.core.windows import Hypothesis, Window
from stream.distil.weight_bytes import weight_bytes
from stream.engine.checkpoints.checkpoint import Checkpoint
from stream.engine.network.whisper import Precision
from stream.engine.whisper_transcriber import WhisperTranscriber
from stream.evaluate.adapters.offline_text import pieces
from stream.evaluate.material.recordings import Recording, at_16_khz
from stream.evaluate.material.sounds import made_sounds
from stream.evaluate.material.suites import in_noise, over_telephone
from stream.evaluate.material.windows import as_window
from stream.evaluate.measures.hallucination import Repetitions, repetitions
from stream.evaluate.measures.scoring import WordErrors, normalised, word_errors

TEACHER, ASSISTED, STUDENT = "teacher", "teacher with student", "student"
CONDITIONS = {"clean": "clean", "phone": "0 % loss", "10 dB": "10 dB", "0 dB": "0 dB"}
"""Our names of what is done to recordings before they are heard, and those of the suites."""


@dataclass(slots=True)
class Tally:
    """What one system did under one condition; adds up over batches."""

    errors: WordErrors = field(default_factory=WordErrors)
    repeated: Repetitions = field(default_factory=Repetitions)
    """5-grams that had been said before."""
    windows: int = 0
    different: int = 0
    """Windows whose tokens are not the teacher's."""
    tokens: int = 0
    passes: int = 0
    drafted: int = 0
    accepted: int = 0
    decode_s: float = 0.0

    def add(self, other: "Tally") -> None:
        """Add another's."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    def as_json(self) -> dict[str, Any]:
        """Return the figures, and what follows from them."""
        return {
            "wer": round(self.errors.rate, 2),
            "insertion_rate": round(self.errors.insertion_rate, 2),
            "words": self.errors.words,
            **{k: v for k, v in asdict(self.errors).items() if k != "words"},
            "repeated_5grams": self.repeated.heard - self.repeated.said,
            "windows": self.windows,
            "different": self.different,
            "tokens": self.tokens,
            "tokens_per_s": round(self.tokens / self.decode_s, 1) if self.decode_s else None,
            "tokens_per_pass": round(self.tokens / max(self.passes, 1), 2),
            "accepted_percent": round(100 * self.accepted / self.drafted, 1)
            if self.drafted
            else None,
            "decode_s": round(self.decode_s, 2),
        }


@dataclass(frozen=True, slots=True)
class Result:
    """What one system did, in batches of one size, under one condition."""

    condition: str
    batch: int
    system: str
    tally: Tally

    def as_json(self) -> dict[str, Any]:
        """Return all of it in a row."""
        row = {"condition": self.condition, "batch": self.batch, "system": self.system}
        return {**row, **self.tally.as_json()}


class Contest:
    """The three systems, loaded."""

    def __init__(
        self, teacher: Checkpoint, student: Checkpoint, precision: Precision | None
    ) -> None:
        """Load them; raises `UsageError` where the student is no student of this teacher."""
        self.systems = {
            TEACHER: WhisperTranscriber(teacher, precision),
            ASSISTED: WhisperTranscriber(teacher, precision, assistant=student),
            STUDENT: WhisperTranscriber(student, precision),
        }
        for system in self.systems.values():
            system.warm_up()

    def bytes_of_weights(self) -> dict[str, int]:
        """Memory that the weights of each system take."""
        return {
            name: weight_bytes(system.recognizer.model, system.recognizer.assistant)
            for name, system in self.systems.items()
        }

    def hold(self, recordings: Sequence[Recording], batch: int) -> Iterator[dict[str, Tally]]:
        """Let every system transcribe every recording; yields what a batch of windows added."""
        references = [recording.text for recording in recordings]
        windows: list[Window] = []
        whose: list[int] = []
        for i, recording in enumerate(recordings):
            for piece in pieces(at_16_khz(recording.read())):
                windows.append(as_window(len(windows), piece))
                whose.append(i)
        texts = {name: [""] * len(recordings) for name in self.systems}
        for first in range(0, len(windows), batch):
            chosen = windows[first : first + batch]
            heard = {name: system.transcribe(chosen) for name, system in self.systems.items()}
            for name, hypotheses in heard.items():
                for i, hypothesis in zip(whose[first : first + batch], hypotheses, strict=True):
                    texts[name][i] += text_of(hypothesis)
            yield {name: counted(hypotheses, heard[TEACHER]) for name, hypotheses in heard.items()}
        for name, said in texts.items():
            for reference, text in zip(references, said, strict=True):
                if reference is not None:
                    errors = word_errors(reference, text)
                    again = repetitions(normalised(reference), normalised(text))
                    yield {name: Tally(errors=errors, repeated=again)}


def counted(heard: Sequence[Hypothesis], teachers: Sequence[Hypothesis]) -> Tally:
    """Count what a batch took and gave; its decoding is timed once for all of it."""
    return Tally(
        windows=len(heard),
        different=sum(tokens_of(h) != tokens_of(t) for h, t in zip(heard, teachers, strict=True)),
        tokens=sum(len(tokens_of(h)) for h in heard),
        passes=sum(h.timing.decoder_passes for h in heard),
        drafted=sum(h.timing.drafted_tokens for h in heard),
        accepted=sum(h.timing.accepted_tokens for h in heard),
        decode_s=heard[0].timing.decode_ms / 1000,
    )


def tokens_of(hypothesis: Hypothesis) -> tuple[int, ...]:
    """The tokens of a hypothesis' words."""
    return tuple(token for word in hypothesis.words for token in word.tokens)


def text_of(hypothesis: Hypothesis) -> str:
    """The words of a hypothesis."""
    return "".join(word.text for word in hypothesis.words)


def under_conditions(
    recordings: Sequence[Recording], noises: Sequence[Recording], seed: int = 0
) -> dict[str, list[Recording]]:
    """Return the recordings under each condition; noise is of `noises`, or made."""
    everything = [
        *(replace(recording, condition="clean") for recording in recordings),
        *over_telephone(recordings, seed),
        *in_noise(recordings, noises or made_sounds(1, seed), seed),
    ]
    return {
        name: [one for one in everything if one.condition == condition]
        for name, condition in CONDITIONS.items()
    }


def hold_contest(
    contest: Contest, recordings: dict[str, list[Recording]], batch: int
) -> Iterator[Result]:
    """Yield what each system did under each condition."""
    for condition, heard in recordings.items():
        tallies = {name: Tally() for name in contest.systems}
        for added in contest.hold(heard, batch):
            for name, tally in added.items():
                tallies[name].add(tally)
        for name, tally in tallies.items():
            yield Result(condition, batch, name, tally)
