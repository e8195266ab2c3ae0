"""Compares the teacher alone, the teacher with the student's drafts, and the student alone.

The three systems transcribe the same windows in turns, so that other load on the machine slows all
alike. Each recording is one window, or several if it is longer than Whisper's 30 s, and is
transcribed like a window of the server.
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
"""Names of the conditions of recordings, and the names that the suites give them."""


@dataclass(slots=True)
class Counts:
    """The counts of one system under one condition; sums up batches."""

    errors: WordErrors = field(default_factory=WordErrors)
    repeated: Repetitions = field(default_factory=Repetitions)
    """Repeated 5-grams."""
    windows: int = 0
    different: int = 0
    """Windows whose tokens are not the teacher's."""
    tokens: int = 0
    passes: int = 0
    drafted: int = 0
    accepted: int = 0
    decode_s: float = 0.0

    def add(self, other: "Counts") -> None:
        """Add other counts."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    def as_json(self) -> dict[str, Any]:
        """Return the counts, and the rates that follow from them."""
        return {
            "wer": round(self.errors.rate, 2),
            "insertion_rate": round(self.errors.insertion_rate, 2),
            "words": self.errors.words,
            **{k: v for k, v in asdict(self.errors).items() if k != "words"},
            "repeated_5grams": self.repeated.transcript - self.repeated.reference,
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
    """The counts of one system with one batch size under one condition."""

    condition: str
    batch: int
    system: str
    counts: Counts

    def as_json(self) -> dict[str, Any]:
        """Return the result as one row."""
        row = {"condition": self.condition, "batch": self.batch, "system": self.system}
        return {**row, **self.counts.as_json()}


class Systems:
    """The three systems that are compared: teacher, teacher with the student's drafts, student."""

    def __init__(
        self, teacher: Checkpoint, student: Checkpoint, precision: Precision | None
    ) -> None:
        """Load the systems and warm them up.

        Raises:
            UsageError: the student was not made from this teacher.
        """
        self.systems = {
            TEACHER: WhisperTranscriber(teacher, precision),
            ASSISTED: WhisperTranscriber(teacher, precision, assistant=student),
            STUDENT: WhisperTranscriber(student, precision),
        }
        for system in self.systems.values():
            system.warm_up()

    def bytes_of_weights(self) -> dict[str, int]:
        """Return the bytes of the weights of each system."""
        return {
            name: weight_bytes(system.recognizer.model, system.recognizer.assistant)
            for name, system in self.systems.items()
        }

    def transcribe(
        self, recordings: Sequence[Recording], batch: int
    ) -> Iterator[dict[str, Counts]]:
        """Transcribe all recordings with all systems.

        Yields the counts by system: first for each batch of windows, then the word errors of each
        recording.
        """
        references = [recording.text for recording in recordings]
        windows: list[Window] = []
        owners: list[int] = []
        for i, recording in enumerate(recordings):
            for piece in pieces(at_16_khz(recording.read())):
                windows.append(as_window(len(windows), piece))
                owners.append(i)
        texts = {name: [""] * len(recordings) for name in self.systems}
        for first in range(0, len(windows), batch):
            chosen = windows[first : first + batch]
            found = {name: system.transcribe(chosen) for name, system in self.systems.items()}
            for name, hypotheses in found.items():
                for i, hypothesis in zip(owners[first : first + batch], hypotheses, strict=True):
                    texts[name][i] += text_of(hypothesis)
            yield {name: counted(hypotheses, found[TEACHER]) for name, hypotheses in found.items()}
        for name, transcripts in texts.items():
            for reference, text in zip(references, transcripts, strict=True):
                if reference is not None:
                    errors = word_errors(reference, text)
                    again = repetitions(normalised(reference), normalised(text))
                    yield {name: Counts(errors=errors, repeated=again)}


def counted(found: Sequence[Hypothesis], teachers: Sequence[Hypothesis]) -> Counts:
    """Return the counts of a batch of hypotheses, compared with the teacher's hypotheses.

    Each hypothesis of a batch has the decoding time of the whole batch.
    """
    return Counts(
        windows=len(found),
        different=sum(tokens_of(h) != tokens_of(t) for h, t in zip(found, teachers, strict=True)),
        tokens=sum(len(tokens_of(h)) for h in found),
        passes=sum(h.timing.decoder_passes for h in found),
        drafted=sum(h.timing.drafted_tokens for h in found),
        accepted=sum(h.timing.accepted_tokens for h in found),
        decode_s=found[0].timing.decode_ms / 1000,
    )


def tokens_of(hypothesis: Hypothesis) -> tuple[int, ...]:
    """Return the tokens of the words of a hypothesis."""
    return tuple(token for word in hypothesis.words for token in word.tokens)


def text_of(hypothesis: Hypothesis) -> str:
    """Return the text of a hypothesis."""
    return "".join(word.text for word in hypothesis.words)


def under_conditions(
    recordings: Sequence[Recording], noises: Sequence[Recording], seed: int = 0
) -> dict[str, list[Recording]]:
    """Return the recordings under each condition of `CONDITIONS`.

    Args:
        recordings: recordings of speech.
        noises: recordings of noise; if there are none, noise is generated.
        seed: seed of all random choices.
    """
    everything = [
        *(replace(recording, condition="clean") for recording in recordings),
        *over_telephone(recordings, seed),
        *in_noise(recordings, noises or made_sounds(1, seed), seed),
    ]
    return {
        name: [one for one in everything if one.condition == condition]
        for name, condition in CONDITIONS.items()
    }


def compare(
    systems: Systems, recordings: dict[str, list[Recording]], batch: int
) -> Iterator[Result]:
    """Yield the result of each system under each condition.

    Args:
        systems: the systems.
        recordings: recordings by the name of the condition.
        batch: windows that are transcribed at once.
    """
    for condition, changed in recordings.items():
        totals = {name: Counts() for name in systems.systems}
        for added in systems.transcribe(changed, batch):
            for name, counts in added.items():
                totals[name].add(counts)
        for name, counts in totals.items():
            yield Result(condition, batch, name, counts)
