"""Measures the latency of words from a record of events, on the feeder's audio clock.

The audio clock and the times of words have the same zero, the first sample; so "a word was
committed 1.2 s after its end" is a difference of two numbers. The times of words are those of the
manifest if it has them, otherwise those of the system's finals; the results name their origin.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from difflib import SequenceMatcher

from stream.evaluate.measures.record import Caption, Stamped, TimedWord, captions


@dataclass(slots=True)
class Latencies:
    """Milliseconds, one value for each word or utterance; supports `+` over recordings."""

    word_to_shown: list[float] = field(default_factory=list)
    """From the end of a word to its first appearance, tentative or committed. It is negative if the
    word was shown before its end."""
    word_to_commit: list[float] = field(default_factory=list)
    """From the end of a word to the message that committed it, which may be the final."""
    word_to_final: list[float] = field(default_factory=list)
    """From the end of a word to its final."""
    speech_end_to_final: list[float] = field(default_factory=list)
    """From the end of an utterance to its final, with the endpointing time; only utterances that
    silence ended."""
    speech_start_to_partial: list[float] = field(default_factory=list)
    """From the start of an utterance to the first message that shows a word."""
    word_start_error: list[float] = field(default_factory=list)
    """Absolute difference of the system's word starts from the manifest's, if it has them."""
    word_end_error: list[float] = field(default_factory=list)
    """Absolute difference of the system's word ends from the manifest's, if it has them."""

    def __add__(self, other: "Latencies") -> "Latencies":
        return Latencies(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def plain(word: str) -> str:
    """Return a word in lower case without punctuation, for comparisons."""
    return re.sub(r"[^\w]", "", word).casefold()


def matched(words: Sequence[str], others: Sequence[str]) -> dict[int, int]:
    """Align two sequences of words; map the indices of equal ones, both increasing."""
    matcher = SequenceMatcher(None, words, others, autojunk=False)
    return {
        block.a + i: block.b + i
        for block in matcher.get_matching_blocks()
        for i in range(block.size)
    }


def latencies(events: Sequence[Stamped], reference: Sequence[TimedWord] = ()) -> Latencies:
    """Return the latencies of one recording that was played in real time.

    Args:
        events: the events of the system, with their arrival times.
        reference: the words and their true times; empty if they are not known.
    """
    found = Latencies()
    shown = captions(events)
    truth = true_times(shown, reference)
    for number, caption in enumerate(shown):
        if caption.final is None or not caption.final.words:
            continue
        times = truth[number] if reference else dict(enumerate(caption.final.words))
        _words(found, caption, times)
        _speech(found, caption, times, from_manifest=bool(reference))
        if reference:
            for index, word in times.items():
                final = caption.final.words[index]
                found.word_start_error.append(1000 * abs(final.start_s - word.start_s))
                found.word_end_error.append(1000 * abs(final.end_s - word.end_s))
    return found


def true_times(
    shown: Sequence[Caption], reference: Sequence[TimedWord]
) -> list[dict[int, TimedWord]]:
    """Return, for each caption, the reference words that are in its final.

    The keys are indices of the final's words; words that are not in the reference are left out.
    """
    places = [
        (number, index)
        for number, caption in enumerate(shown)
        for index in range(len(caption.final.words) if caption.final else 0)
    ]
    words = [plain(shown[n].final.words[i].text) for n, i in places]  # type: ignore[union-attr]
    times: list[dict[int, TimedWord]] = [{} for _ in shown]
    for ours, theirs in matched(words, [plain(word.text) for word in reference]).items():
        number, index = places[ours]
        times[number][index] = reference[theirs]
    return times


def appearances(caption: Caption) -> tuple[dict[int, float], dict[int, float]]:
    """Return the times at which each word of the final was first shown and first committed.

    Both map the index of a word in the final to seconds of the audio clock. Words that appear only
    in the final are in neither.
    """
    final = [plain(word.text) for word in caption.final.words] if caption.final else []
    shown_s: dict[int, float] = {}
    commit_s: dict[int, float] = {}
    for at_s, shown in caption.shown:
        for place, index in matched([plain(word) for word in shown.words], final).items():
            shown_s.setdefault(index, at_s)
            if place < len(shown.committed):
                commit_s.setdefault(index, at_s)
    return shown_s, commit_s


def _words(found: Latencies, caption: Caption, times: dict[int, TimedWord]) -> None:
    shown_s, commit_s = appearances(caption)
    for index, word in times.items():
        shown_at_s = shown_s.get(index, caption.final_at_s)
        found.word_to_shown.append(1000 * (shown_at_s - word.end_s))
        if index in commit_s or not caption.forced:
            committed_at_s = commit_s.get(index, caption.final_at_s)
            found.word_to_commit.append(1000 * (committed_at_s - word.end_s))
        if not caption.forced:
            found.word_to_final.append(1000 * (caption.final_at_s - word.end_s))


def _speech(
    found: Latencies, caption: Caption, times: dict[int, TimedWord], from_manifest: bool
) -> None:
    """Add the latencies that count from the start and from the end of an utterance's speech.

    Speech starts and ends with its words if the times are from the manifest; otherwise with the
    system's events for the start and end of speech.
    """
    if not times:
        return
    assert caption.final is not None
    began_s, over_s = times[min(times)].start_s, times[max(times)].end_s
    if not from_manifest:
        began_s = caption.began_s if caption.began_s is not None else began_s
        over_s = caption.over_s if caption.over_s is not None else over_s
    first_s = next((at_s for at_s, shown in caption.shown if shown.words), caption.final_at_s)
    found.speech_start_to_partial.append(1000 * (first_s - began_s))
    if caption.final.by_silence:
        found.speech_end_to_final.append(1000 * (caption.final_at_s - over_s))
