"""`distil-stream distil`: one command for each step from a teacher to a student."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from stream.distil.settings import TrainingSettings
from stream.errors import UsageError

app = App(name="distil", help="Make a small, fast student of a Whisper model.", sort_key=5)


@app.command
def init(
    out: Path,
    *,
    teacher: str = "base",
    layers: int = 2,
    language: str = "en",
) -> None:
    """Make an untrained student: a copy of its teacher with fewer decoder layers.

    Parameters
    ----------
    out
        Folder of the student.
    teacher
        Name or folder of the model.
    layers
        Number of decoder layers that are copied: the first, the last, and evenly between them.
    language
        Language that the student will transcribe.
    """
    from stream.distil.student import save_checkpoint, untrained
    from stream.engine.checkpoints.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(teacher)
    student = untrained(checkpoint, out.name, layers, language)
    save_checkpoint(student, out)
    print(f"{out}: {student.source}")


@app.command
def speak(
    out: Path,
    *,
    count: int,
    text: tuple[Path, ...] = (),
    wordnet: Path = Path("/usr/share/wordnet"),
    seed: int = 1,
) -> None:
    """Synthesise speech from text with flite; text has more different words than recorded speech.

    Parameters
    ----------
    out
        Folder of the sound files and their manifest, `speech.jsonl`.
    count
        Number of passages, of about 12 s each.
    text
        Files of plain English text, such as books or texts of your subject; they are read from a
        random sentence on. May be repeated. Without it, sentences of WordNet are read.
    wordnet
        Folder of WordNet's files, as in Debian's package wordnet-base.
    seed
        Seed of all random choices.
    """
    from stream.distil.speak import speak as speak_passages

    print(speak_passages(wordnet, text, out, count, seed))


@app.command
def label(
    manifest: Path,
    out: Path,
    *,
    teacher: str = "base",
    variants: int = 2,
    language: str = "en",
    timestamps: Annotated[bool, Parameter(negative=())] = False,
    max_wer: float = 10.0,
    batch: int = 16,
    precision: Literal["float32", "bfloat16", "int8"] = "float32",
    device: str | None = None,
    seed: int = 0,
) -> None:
    """Transcribe speech with the teacher; the transcripts are the training data of a student.

    A command that was stopped continues where it ended. The number of variants can be raised later.

    Parameters
    ----------
    manifest
        JSON lines: audio, and optionally start, end (seconds), text, speaker.
    out
        Folder of the labelled examples: about 0.8 MB each for base.
    teacher
        Name or folder of the model.
    variants
        Windows to make of each passage: the passage as it is, then others that are cut at random,
        with more or less silence, in noise, over a telephone, faster or slower.
    language
        Language of the speech.
    timestamps
        Train timestamps, too.
    max_wer
        Word error rate, in percent, above which a label is not used for training; this command
        only counts such labels.
    batch
        Windows that are transcribed at once.
    precision
        Precision of the encoder. bfloat16 takes half the time if the processor supports it. int8
        runs on the CPU only and takes even less; its output is what the student gets in a server.
    device
        Device, such as cuda; the default is cuda if it is available.
    seed
        Seed of all random choices.
    """
    from stream.distil.examples import Examples
    from stream.distil.label import Labeller, label_passages, recipe_of
    from stream.distil.passages import read_passages
    from stream.distil.tables import labelling, print_selection
    from stream.engine.checkpoints.checkpoint import load_checkpoint

    passages = read_passages(manifest)
    checkpoint = load_checkpoint(teacher)
    recipe = recipe_of(
        checkpoint,
        manifest,
        language=language,
        timestamps=timestamps,
        seed=seed,
        precision=precision,
    )
    device = chosen_device(device)
    if precision == "int8" and device != "cpu":
        raise UsageError(f"int8 runs on the CPU only; choose bfloat16 on {device}.")
    labeller = Labeller(checkpoint, recipe, language, device)
    windows = label_passages(passages, labeller, out, variants, batch)
    labelling(windows, variants * len(passages))
    print_selection(Examples(out), max_wer)


@app.command
def train(
    student: Path,
    out: Path,
    *examples: Path,
    settings: Annotated[TrainingSettings, Parameter(name="*")],
    save_every: int = 100,
    validate_every: int = 500,
    device: str | None = None,
) -> None:
    """Train a student on its teacher's labels. A run that was stopped continues where it ended.

    Parameters
    ----------
    student
        Folder of a student, made by `init` or by an earlier run.
    out
        Folder of the run: checkpoint, student, journal and plot.
    examples
        Folders of labelled examples.
    save_every
        Steps from one checkpoint to the next.
    validate_every
        Steps from one validation on the held-out examples to the next.
    device
        Device, such as cuda; the default is cuda if it is available.
    """
    from stream.distil.examples import read_recipe
    from stream.distil.run import train as run_training
    from stream.engine.checkpoints.checkpoint import load_checkpoint

    if not examples:
        raise UsageError("Name a folder of labelled examples after the folder of the run.")
    run_training(
        load_checkpoint(read_recipe(examples[0]).teacher),
        load_checkpoint(str(student)),
        examples,
        out,
        settings,
        device=chosen_device(device),
        save_every=save_every,
        validate_every=validate_every,
    )


@app.command
def pack(student: Path, out: Path) -> None:
    """Write a student's decoder layers, and the tokens that it drafts with, into one file.

    This package contains such a file for `distil-base.en`; all other weights are those of the
    teacher. The command prints the SHA-256 of the file, with which
    `stream/engine/checkpoints/students.py` checks it.

    Parameters
    ----------
    student
        Folder of a student, such as `run/student`.
    out
        File, such as stream/engine/checkpoints/weights/distil-base.en.safetensors.
    """
    import hashlib

    from stream.distil.student import packed
    from stream.engine.checkpoints.checkpoint import load_checkpoint

    data = packed(load_checkpoint(str(student)))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(data)
    print(f"{hashlib.sha256(data).hexdigest()}  {out}")


@app.command
def evaluate(
    *manifests: Path,
    teacher: str = "base",
    student: str = "distil-base.en",
    condition: tuple[Literal["clean", "phone", "10 dB", "0 dB"], ...] = ("clean",),
    noise: Path | None = None,
    batch: tuple[int, ...] = (1, 8),
    limit: int | None = None,
    precision: Literal["int8", "float32", "float16", "bfloat16"] | None = None,
    seed: int = 0,
) -> int:
    """Compare the teacher, the teacher with its student's drafts, and the student.

    The exit status is 1 if the drafts changed a word. The last line is JSON.

    Parameters
    ----------
    manifests
        Recordings: JSON lines of audio and text, as for `distil-stream evaluate`.
    teacher
        Name or folder of the model.
    student
        Name or folder of the student.
    condition
        How recordings are changed: not (clean), by a telephone line (phone), or by noise of this
        signal-to-noise ratio. May be repeated.
    noise
        Manifest of noise to mix with; without it, noise is generated.
    batch
        Windows decoded at once; may be repeated.
    limit
        Number of recordings of each manifest; the default is all.
    precision
        Precision of the weights; the default is that of the server.
    seed
        Seed of the noise.
    """
    import json

    from stream.distil.evaluation import ASSISTED, Systems, compare, under_conditions
    from stream.distil.tables import print_comparison
    from stream.engine.checkpoints.checkpoint import load_checkpoint
    from stream.evaluate.material.recordings import Recording, read_manifest

    recordings = [
        one
        for manifest in manifests
        for one in [r for r in read_manifest(manifest) if r.suite == "speech"][:limit]
    ]
    noises = read_manifest(noise) if noise else []
    found = under_conditions(recordings, noises, seed)
    chosen: dict[str, list[Recording]] = {name: found[name] for name in condition}
    systems = Systems(load_checkpoint(teacher), load_checkpoint(student), precision)
    results = [row for size in batch for row in compare(systems, chosen, size)]
    print_comparison(results, systems.bytes_of_weights())
    rows = [r.as_json() for r in results]
    print(json.dumps({"distil": rows, "weight_bytes": systems.bytes_of_weights()}))
    return 1 if any(r.counts.different for r in results if r.system == ASSISTED) else 0


def chosen_device(device: str | None) -> str:
    """Return the given device; if it is None, CUDA if it is available, otherwise the CPU."""
    import torch

    return device or ("cuda" if torch.cuda.is_available() else "cpu")
