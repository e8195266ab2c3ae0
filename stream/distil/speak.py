"""Synthesises sentences of WordNet or of books with flite, as additional training data.

Hours of recorded speech have few different words, and a small decoder soon overfits. A synthesiser
reads any text a hundred times faster than real time, and the teacher, which labels synthetic speech
like all speech, recognises flite's voices well. The encoder is frozen, so the student learns the
words and not the voices.
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
"""The voices of flite at 16 kHz, repeated by their frequency; the last one sounds robotic."""
PITCH_HZ, STRETCH = (85.0, 150.0), (0.8, 1.15)
HIGHER = {"slt": 1.5}
"""Factor of the pitch, by voice."""
WORDS = (8, 40)
"""Fewest and most words of a passage: a number in this range is drawn, and whole sentences are
added until it is reached. Sentences of books with more words than the most are left out."""
EXAMPLE_SHARE = 0.6
"""Share of WordNet's examples among the sentences drawn; the others are its definitions."""
DRAWN = 16
"""Sentences that are drawn for each one that is read: the one with the largest share of new words
is chosen."""
SPEAKABLE = re.compile(r"[A-Za-z0-9 ,.'?!;:-]+")
SENTENCE_END = re.compile(r"(?<=[.?!])(?<!Mr\.)(?<!Mrs\.)(?<!Dr\.)(?<!St\.)\s+(?=[A-Z'])")
UNSPEAKABLE = re.compile(r"\d{5}|[A-Z]{3}")


def wordnet_sentences(folder: Path) -> tuple[list[str], list[str]]:
    """Return the examples and the definitions in WordNet's files (Miller 1995).

    Those that are too short or not `speakable` are left out.

    Raises:
        UsageError: the folder does not have WordNet's files.
    """
    examples: list[str] = []
    definitions: list[str] = []
    for part in ("noun", "verb", "adj", "adv"):
        try:
            lines = (folder / f"data.{part}").read_text("latin-1").splitlines()
        except OSError as error:
            raise UsageError(
                f"WordNet is not in {folder} ({error.strerror}); apt install wordnet-base."
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
    """Return the sentences with enough words and without ambiguous symbols and abbreviations."""
    return [
        sentence
        for sentence in sentences
        if len(sentence.split()) >= least_words
        and SPEAKABLE.fullmatch(sentence)
        and not UNSPEAKABLE.search(sentence)
    ]


def random_wordnet(folder: Path, rng: random.Random) -> Iterator[str]:
    """Yield random sentences of WordNet, without end; sentences with new words come earlier."""
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
    """Return the different words of a sentence, in lower case."""
    return {word.strip(".,?!;:'") for word in sentence.lower().split()}


def book_sentences(books: Sequence[Path]) -> list[str]:
    """Return the sentences of plain text in order, without those that are ambiguous to read.

    Raises:
        UsageError: a file is not text, or there is no sentence to read.
    """
    found: list[str] = []
    for book in books:
        try:
            text = book.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{book} cannot be read as text in UTF-8: {error}.") from error
        text = re.sub(r'["_“”]', "", text.replace("’", "'"))
        text = re.sub(r"(\w)\s*--+\s*", r"\1, ", text)  # a dash after a word is a pause
        text = text.replace("--", " ")  # a dash after a full stop adds no pause
        for paragraph in re.split(r"\n\s*\n", text):
            found += SENTENCE_END.split(" ".join(paragraph.split()))
    sentences = [
        sentence
        for sentence in speakable(found, 4)
        if sentence[-1] in ".?!" and len(sentence.split()) <= WORDS[1]
    ]
    if not sentences:
        raise UsageError(f"There is no sentence to read in {', '.join(map(str, books))}.")
    return sentences


def from_random_start(sentences: Sequence[str], rng: random.Random) -> Iterator[str]:
    """Yield sentences in order from a random one on, again and again."""
    first = rng.randrange(len(sentences))
    return cycle([*sentences[first:], *sentences[:first]])


def passages(sentences: Iterator[str], rng: random.Random) -> Iterator[str]:
    """Join sentences to passages of random length, and yield them without end."""
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
    """Synthesise passages with flite; return their manifest, `speech.jsonl` in the folder.

    Args:
        wordnet: folder of WordNet's files, which are read if there are no books.
        books: files of plain text.
        out: folder to write.
        count: number of passages.
        seed: seed of all random choices.

    Raises:
        UsageError: WordNet or flite is not installed, or the books have no sentence to read.
    """
    rng = random.Random(seed)
    if books:
        chosen = from_random_start(book_sentences(books), rng)
    else:
        chosen = random_wordnet(wordnet, rng)
    texts = passages(chosen, rng)
    out.mkdir(parents=True, exist_ok=True)
    manifest = out / "speech.jsonl"
    with manifest.open("w", buffering=1) as lines:  # complete lines remain if it is stopped
        for number, text in enumerate(islice(texts, count)):
            voice, stretch = rng.choice(VOICES), rng.uniform(*STRETCH)
            pitch_hz = HIGHER.get(voice, 1.0) * rng.uniform(*PITCH_HZ)
            path = out / f"{number}.flac"
            read_aloud(text, voice, stretch, pitch_hz, path)
            lines.write(json.dumps({"audio": path.name, "text": text, "speaker": voice}) + "\n")
    return manifest


def read_aloud(text: str, voice: str, stretch: float, pitch_hz: float, path: Path) -> None:
    """Synthesise a text with flite into a FLAC file.

    Args:
        text: the text.
        voice: one of `VOICES`.
        stretch: factor of the duration.
        pitch_hz: mean pitch.
        path: file to write.

    Raises:
        UsageError: flite is not installed.
    """
    settings = {"duration_stretch": f"{stretch:.2f}", "int_f0_target_mean": f"{pitch_hz:.0f}"}
    options = [word for name, value in settings.items() for word in ("--setf", f"{name}={value}")]
    wav = path.with_suffix(".wav")
    try:
        subprocess.run(["flite", "-voice", voice, *options, "-t", text, "-o", wav], check=True)
    except FileNotFoundError:
        raise UsageError("flite is not installed: apt install flite.") from None
    samples, rate = soundfile.read(wav, dtype="int16")
    soundfile.write(path, samples, rate)
    wav.unlink()
