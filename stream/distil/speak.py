"""More text for a student to learn: sentences of WordNet or of books, read by the voices of flite.

Hours of recorded speech hold few words, and a small decoder soon knows its examples by heart. A
synthesizer reads any text a hundred times faster than it is heard, and the teacher, which labels
what it hears as it does all speech, understands flite's voices well. The encoder is frozen, so no
voice is learnt; words are.
"""

import json
import random
import re
import subprocess
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path

import soundfile

from stream.errors import UsageError

VOICES = ("awb", "rms", "slt", "awb", "rms", "slt", "kal16")
"""Those of flite that are at 16 kHz; the last is a robot's, and the rarest."""
PITCH_HZ, STRETCH = (85.0, 150.0), (0.8, 1.15)
HIGHER = {"slt": 1.5}
WORDS = (8, 40)
"""In a passage, which sentences fill to this at least; and of no book is a sentence longer."""
EXAMPLE_SHARE = 0.6
"""Of the sentences drawn, those that are WordNet's examples; the others are its definitions."""
DRAWN = 16
"""So many sentences are drawn for each that is read: that with the most words not read before."""
SPEAKABLE = re.compile(r"[A-Za-z0-9 ,.'?!;:-]+")
SENTENCE_END = re.compile(r"(?<=[.?!])(?<!Mr\.)(?<!Mrs\.)(?<!Dr\.)(?<!St\.)\s+(?=[A-Z'])")
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


def wordnet_by_chance(folder: Path, rng: random.Random) -> Iterator[str]:
    """Yield sentences of WordNet by chance, without end; those with unread words come sooner."""
    examples, definitions = wordnet_sentences(folder)
    read: set[str] = set()

    def unread(sentence: str) -> float:
        words = words_of(sentence)
        return len(words - read) / len(words)

    while True:
        pools = (examples if rng.random() < EXAMPLE_SHARE else definitions for _ in range(DRAWN))
        best = max([rng.choice(pool) for pool in pools], key=unread)
        read |= words_of(best)
        yield best


def words_of(sentence: str) -> set[str]:
    """The words of a sentence."""
    return {word.strip(".,?!;:'") for word in sentence.lower().split()}


def book_sentences(books: Sequence[Path]) -> list[str]:
    """Return the sentences of plain text, in order, those that may be read in many ways left out.

    Raises:
        UsageError: a file is no text, or there is no sentence to read.
    """
    found: list[str] = []
    for book in books:
        try:
            text = book.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{book} cannot be read as text in UTF-8: {error}.") from error
        text = re.sub(r'["_“”]', "", text.replace("’", "'"))
        text = re.sub(r"(\w)\s*--+\s*", r"\1, ", text)  # a dash is a pause,
        text = text.replace("--", " ")  # after a full stop none of its own
        for paragraph in re.split(r"\n\s*\n", text):
            found += SENTENCE_END.split(" ".join(paragraph.split()))
    sentences = [
        sentence
        for sentence in speakable(found, 4)
        if sentence[-1] in ".?!" and len(sentence.split()) <= WORDS[1]
    ]
    if not sentences:
        raise UsageError(f"No sentence to read in {', '.join(map(str, books))}.")
    return sentences


def read_on(sentences: Sequence[str], rng: random.Random) -> Iterator[str]:
    """Yield sentences in order from anywhere on, and all again after the last."""
    first = rng.randrange(len(sentences))
    return cycle([*sentences[first:], *sentences[:first]])


def passages(sentences: Iterator[str], rng: random.Random) -> Iterator[str]:
    """Yield passages of sentences, without end."""
    while True:
        wanted, text = rng.randint(*WORDS), ""
        while len(text.split()) < wanted:
            sentence = next(sentences).strip()
            sentence = sentence[0].upper() + sentence[1:]
            if sentence[-1] not in ".?!":
                sentence = sentence.rstrip(",;:") + "."
            text = f"{text} {sentence}".strip()
        yield text


def speak(wordnet: Path, books: Sequence[Path], out: Path, count: int, seed: int) -> Path:
    """Let flite read so many passages; returns their manifest, `speech.jsonl` in the folder.

    Args:
        wordnet: folder of its files, which are read where there are no books.
        books: files of plain text.
        out: folder to write.
        count: of passages.
        seed: of all chance.

    Raises:
        UsageError: there is no WordNet, no sentence in the books, or no flite.
    """
    rng = random.Random(seed)
    chosen = read_on(book_sentences(books), rng) if books else wordnet_by_chance(wordnet, rng)
    texts = passages(chosen, rng)
    out.mkdir(parents=True, exist_ok=True)
    manifest = out / "speech.jsonl"
    with manifest.open("w", buffering=1) as lines:  # what is done stays, should it be stopped
        for number, text in enumerate(islice(texts, count)):
            voice, stretch = rng.choice(VOICES), rng.uniform(*STRETCH)
            pitch_hz = HIGHER.get(voice, 1.0) * rng.uniform(*PITCH_HZ)
            path = out / f"{number}.flac"
            read_aloud(text, voice, stretch, pitch_hz, path)
            lines.write(json.dumps({"audio": path.name, "text": text, "speaker": voice}) + "\n")
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
