"""`bench terms`: measures the effect of key terms: how many are recognised, and errors elsewhere.

The terms are the rarer words that the model gets wrong without key terms. All of them are given for
every recording, so that most are not spoken in it and errors that they cause are counted, too.
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
"""A term occurs at most this number of times in all recordings together."""
MOST_TERMS = 60


@dataclass(frozen=True, slots=True)
class TermRow:
    """The figures with a number of key terms."""

    terms: int
    """Number of key terms that were given to the model."""
    found: int
    """Occurrences of terms that were recognised."""
    said: int
    """Occurrences of terms in the references."""
    word_error_rate: float
    """Percent, of all words."""
    other_error_rate: float
    """Percent, of the words that are not terms."""


def run(data: Path, model: str = "base", limit: int | None = 40) -> None:
    """Print the table and one JSON line for the longest LibriSpeech recordings of `dev.jsonl`.

    Parameters
    ----------
    data
        Folder with `dev.jsonl`.
    model
        Name of the model.
    limit
        Number of recordings; `none` for all.
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
    """Return the normalised transcript of each recording, with these key terms."""
    options = DecodingOptions(keyterms=tuple(terms))
    windows = [replace(one.window, options=options) for one in spoken]
    hypotheses = [
        hypothesis
        for i in range(0, len(windows), BATCH)
        for hypothesis in transcriber.transcribe(windows[i : i + BATCH])
    ]
    return [normalised("".join(word.text for word in one.words)) for one in hypotheses]


def missed_words(references: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Return the rarer words of the references for which another word was recognised."""
    frequency = Counter(word for text in references for word in text.split())
    missed = set()
    for reference, chunks in aligned(references, texts):
        for chunk in chunks:
            if chunk.type == "substitute":
                missed |= {*reference[chunk.ref_start_idx : chunk.ref_end_idx]}
    rare = [w for w in missed if len(w) >= LEAST_LETTERS and frequency[w] <= MOST_FREQUENT]
    return sorted(rare)[:MOST_TERMS]


def score(
    references: Sequence[str], texts: Sequence[str], terms: Sequence[str], given: int
) -> TermRow:
    """Count the recognised terms, and the errors of all words and of those that are not terms.

    Args:
        references: normalised reference of each recording.
        texts: normalised transcript of each recording.
        terms: the terms to count.
        given: number of key terms that the model was given.
    """
    found = said = 0
    for reference, chunks in aligned(references, texts):
        for chunk in chunks:
            here = [w for w in reference[chunk.ref_start_idx : chunk.ref_end_idx] if w in terms]
            said += len(here)
            found += len(here) * (chunk.type == "equal")
    return TermRow(
        terms=given,
        found=found,
        said=said,
        word_error_rate=100 * jiwer.wer([*references], [*texts]),
        other_error_rate=100 * jiwer.wer(without(references, terms), without(texts, terms)),
    )


def aligned(
    references: Sequence[str], texts: Sequence[str]
) -> list[tuple[list[str], list[jiwer.AlignmentChunk]]]:
    """Return the words of each reference, and the chunks of its alignment with the transcript."""
    output = jiwer.process_words([*references], [*texts])
    return list(zip(output.references, output.alignments, strict=True))


def without(texts: Sequence[str], terms: Sequence[str]) -> list[str]:
    """Return the texts without the terms."""
    return [" ".join(word for word in text.split() if word not in terms) for text in texts]
