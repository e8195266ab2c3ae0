"""What key terms are worth: how many are found, and what becomes of the other words.

The terms are the rarer words that the model gets wrong without them, all given for every recording,
so that in each most of them are not said: what they spoil there shows, too.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import jiwer

from stream.bench.margins import BATCH, Spoken, read_spoken
from stream.core.windows import DecodingOptions
from stream.engine.whisper_transcriber import WhisperTranscriber
from stream.evaluate.measures.scoring import normalised

LEAST_LETTERS = 5
MOST_FREQUENT = 2
"""A term is said at most so often in all recordings."""
MOST_TERMS = 60


@dataclass(frozen=True, slots=True)
class TermRow:
    """What was found, with so many terms to expect."""

    terms: int
    found: int
    said: int
    """How often a term was said."""
    word_error_rate: float
    """Percent, of all words."""
    other_error_rate: float
    """Percent, of the words that are no terms."""


def run(data: Path, model: str = "base", limit: int | None = 40) -> None:
    """Print the table and one JSON line for the longest LibriSpeech recordings of `dev.jsonl`.

    Parameters
    ----------
    data
        The folder that holds `dev.jsonl`.
    model
        Its name.
    limit
        How many recordings; all without.
    """
    spoken = read_spoken(data / "dev.jsonl", limit)
    transcriber = WhisperTranscriber(model)
    references = [normalised(one.text) for one in spoken]
    plain = transcripts(transcriber, spoken, ())
    terms = missed_words(references, plain)
    rows = [
        score(references, plain, terms, given=0),
        score(references, transcripts(transcriber, spoken, terms), terms, given=len(terms)),
    ]
    print("| terms given | found | WER % | WER % of other words |\n|---|---|---|---|")
    for row in rows:
        found = f"{row.found} of {row.said}"
        rates = f"{row.word_error_rate:.2f} | {row.other_error_rate:.2f}"
        print(f"| {row.terms} | {found} | {rates} |")
    print(json.dumps({"terms": [asdict(row) for row in rows]}))


def transcripts(
    transcriber: WhisperTranscriber, spoken: Sequence[Spoken], terms: Sequence[str]
) -> list[str]:
    """Return the normalised text of each recording, heard with these terms."""
    options = DecodingOptions(keyterms=tuple(terms))
    windows = [replace(one.window, options=options) for one in spoken]
    heard = [
        hypothesis
        for i in range(0, len(windows), BATCH)
        for hypothesis in transcriber.transcribe(windows[i : i + BATCH])
    ]
    return [normalised("".join(word.text for word in one.words)) for one in heard]


def missed_words(references: Sequence[str], heard: Sequence[str]) -> list[str]:
    """Return the rarer words that were taken for others."""
    frequency = Counter(word for text in references for word in text.split())
    missed = set()
    for reference, chunks in aligned(references, heard):
        for chunk in chunks:
            if chunk.type == "substitute":
                missed |= {*reference[chunk.ref_start_idx : chunk.ref_end_idx]}
    rare = [w for w in missed if len(w) >= LEAST_LETTERS and frequency[w] <= MOST_FREQUENT]
    return sorted(rare)[:MOST_TERMS]


def score(
    references: Sequence[str], heard: Sequence[str], terms: Sequence[str], given: int
) -> TermRow:
    """Count the terms that were found, and the errors of all words and of the others."""
    found = said = 0
    for reference, chunks in aligned(references, heard):
        for chunk in chunks:
            here = [w for w in reference[chunk.ref_start_idx : chunk.ref_end_idx] if w in terms]
            said += len(here)
            found += len(here) * (chunk.type == "equal")
    return TermRow(
        terms=given,
        found=found,
        said=said,
        word_error_rate=100 * jiwer.wer([*references], [*heard]),
        other_error_rate=100 * jiwer.wer(without(references, terms), without(heard, terms)),
    )


def aligned(
    references: Sequence[str], heard: Sequence[str]
) -> list[tuple[list[str], list[jiwer.AlignmentChunk]]]:
    """Return the words of each reference, and how they match what was heard."""
    output = jiwer.process_words([*references], [*heard])
    return list(zip(output.references, output.alignments, strict=True))


def without(texts: Sequence[str], terms: Sequence[str]) -> list[str]:
    """Return the texts less the terms."""
    return [" ".join(word for word in text.split() if word not in terms) for text in texts]
