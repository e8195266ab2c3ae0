"""More text for a student to learn: sentences of WordNet, read by the voices of flite.

Hours of recorded speech hold few words, and a small decoder soon knows its examples by heart. A
synthesizer reads any text a hundred times faster than it is heard, and the teacher, which labels
what it hears as it does all speech, understands flite's voices well. The encoder is frozen, so no
voice is learnt; words are.
"""

import json
import random
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import soundfile

from stream.errors import UsageError

VOICES = ("awb", "rms", "slt", "awb", "rms", "slt", "kal16")
"""Those of flite that are at 16 kHz; the last is a robot's, and the rarest."""
PITCH_HZ, STRETCH = (85.0, 150.0), (0.8, 1.15)
HIGHER = {"slt": 1.5}
WORDS = (8, 40)
"""In a passage, which sentences fill to this at least."""
EXAMPLE_SHARE = 0.6
"""Sentences that are WordNet's examples; the others are its definitions."""
SPEAKABLE = re.compile(r"[A-Za-z0-9 ,.'?!;:-]+")
UNSPEAKABLE = re.compile(r"\d{5}|[A-Z]{3}")


def wordnet_sentences(folder: Path) -> tuple[list[str], list[str]]:
    """Return the examples and the definitions that WordNet's files give (Miller 1995).

    Raises:
        UsageError: the folder holds no WordNet.
    """
    examples: list[str] = []
    definitions: list[str] = []
    for part in ("noun", "verb", "adj", "adv"):
        try:
            lines = (folder / f"data.{part}").read_text("latin-1").splitlines()
        except OSError as error:
            raise UsageError(
                f"{folder} holds no WordNet ({error.strerror}); Debian has it as wordnet-base."
            ) from error
        for line in lines:
            _, found, gloss = line.partition(" | ")
            if line.startswith("  ") or not found:  # the licence
                continue
            examples += re.findall(r'"([^"]+)"', gloss)
            plain = re.sub(r"\s*\([^)]*\)\s*", " ", re.split(r'[;]\s*"|"', gloss.strip())[0])
            definitions.append(plain.strip(" ;:"))
    return speakable(examples, 4), speakable(definitions, 5)


def speakable(sentences: list[str], least_words: int) -> list[str]:
    """Leave out what is short, or has signs and abbreviations that may be read in many ways."""
    return [
        sentence
        for sentence in sentences
        if len(sentence.split()) >= least_words
        and SPEAKABLE.fullmatch(sentence)
        and not UNSPEAKABLE.search(sentence)
    ]


def passages(examples: list[str], definitions: list[str], rng: random.Random) -> Iterator[str]:
    """Yield passages of sentences by chance, without end."""
    while True:
        wanted, text = rng.randint(*WORDS), ""
        while len(text.split()) < wanted:
            sentence = rng.choice(examples if rng.random() < EXAMPLE_SHARE else definitions).strip()
            sentence = sentence[0].upper() + sentence[1:]
            if sentence[-1] not in ".?!":
                sentence = sentence.rstrip(",;:") + "."
            text = f"{text} {sentence}".strip()
        yield text


def speak(wordnet: Path, out: Path, count: int, seed: int) -> Path:
    """Let flite read so many passages; returns their manifest, `speech.jsonl` in the folder.

    Raises:
        UsageError: there is no WordNet, or no flite.
    """
    rng = random.Random(seed)
    texts = passages(*wordnet_sentences(wordnet), rng)
    out.mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(count):
        text, voice = next(texts), rng.choice(VOICES)
        stretch, pitch_hz = rng.uniform(*STRETCH), HIGHER.get(voice, 1.0) * rng.uniform(*PITCH_HZ)
        path = out / f"{number}.flac"
        read_aloud(text, voice, stretch, pitch_hz, path)
        lines.append({"audio": path.name, "text": text, "speaker": voice})
    manifest = out / "speech.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return manifest


def read_aloud(text: str, voice: str, stretch: float, pitch_hz: float, path: Path) -> None:
    """Let flite read a text into a sound file, so much slower than it would, at a mean pitch."""
    settings = {"duration_stretch": f"{stretch:.2f}", "int_f0_target_mean": f"{pitch_hz:.0f}"}
    options = [word for name, value in settings.items() for word in ("--setf", f"{name}={value}")]
    wav = path.with_suffix(".wav")
    try:
        subprocess.run(["flite", "-voice", voice, *options, "-t", text, "-o", wav], check=True)
    except FileNotFoundError:
        raise UsageError("flite, which reads the text, is not installed.") from None
    samples, rate = soundfile.read(wav, dtype="int16")
    soundfile.write(path, samples, rate)
    wav.unlink()
