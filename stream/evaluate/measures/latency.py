"""How soon words come: computed from a record of events, on the feeder's audio clock.

The audio clock and the times of words have the same zero, the first sample; so "a word was
committed 1.2 s after its end" is a difference of two numbers. The end of a word is the manifest's
where it has word times, else the system's own: what the finals say. The two are told apart.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from difflib import SequenceMatcher

from stream.evaluate.measures.record import Caption, Stamped, TimedWord, captions


@dataclass(slots=True)
class Latencies:
    """Milliseconds, a value a word or an utterance; adds up over recordings."""

    word_to_shown: list[float] = field(default_factory=list)
    """From the end of a word to its first appearance, tentative or not. A word may be guessed
    before it is over: then it is negative."""
    word_to_commit: list[float] = field(default_factory=list)
    """To the message that promised it, which may be the final."""
    word_to_final: list[float] = field(default_factory=list)
    speech_end_to_final: list[float] = field(default_factory=list)
    """Of utterances that silence ended: the endpointing time is in it."""
    speech_start_to_partial: list[float] = field(default_factory=list)
    """To the first message that shows a word."""
    word_start_error: list[float] = field(default_factory=list)
    """How far the system's word times are from the manifest's, where it has some; absolute."""
    word_end_error: list[float] = field(default_factory=list)

    def __add__(self, other: "Latencies") -> "Latencies":
        return Latencies(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def plain(word: str) -> str:
    """Return a word in lower case without punctuation, so that two spellings can be one word."""
    return re.sub(r"[^\w]", "", word).casefold()


def matched(words: Sequence[str], others: Sequence[str]) -> dict[int, int]:
    """Return which of `words` stands for which of `others`: index to index, both increasing."""
    matcher = SequenceMatcher(None, words, others, autojunk=False)
    return {
        block.a + i: block.b + i
        for block in matcher.get_matching_blocks()
        for i in range(block.size)
    }


def latencies(events: Sequence[Stamped], reference: Sequence[TimedWord] = ()) -> Latencies:
    """Return the latencies of one recording that was played in real time.

    Args:
        events: what the system showed, and when.
        reference: the words and their true times; empty where nobody knows them.
    """
    found = Latencies()
    told = captions(events)
    truth = true_times(told, reference)
    for number, caption in enumerate(told):
        if caption.final is None or not caption.final.words:
            continue
        times = truth[number] if reference else dict(enumerate(caption.final.words))
        _words(found, caption, times)
        _speech(found, caption, times, from_manifest=bool(reference))
        if reference:
            for index, word in times.items():
                heard = caption.final.words[index]
                found.word_start_error.append(1000 * abs(heard.start_s - word.start_s))
                found.word_end_error.append(1000 * abs(heard.end_s - word.end_s))
    return found


def true_times(
    told: Sequence[Caption], reference: Sequence[TimedWord]
) -> list[dict[int, TimedWord]]:
    """Return, for each caption, the manifest's word for those of its final that were right."""
    places = [
        (number, index)
        for number, caption in enumerate(told)
        for index in range(len(caption.final.words) if caption.final else 0)
    ]
    heard = [plain(told[n].final.words[i].text) for n, i in places]  # type: ignore[union-attr]
    times: list[dict[int, TimedWord]] = [{} for _ in told]
    for ours, theirs in matched(heard, [plain(word.text) for word in reference]).items():
        number, index = places[ours]
        times[number][index] = reference[theirs]
    return times


def appearances(caption: Caption) -> tuple[dict[int, float], dict[int, float]]:
    """Return when each word of the final was first shown, and when first committed, by index.

    A word that only the final has is in neither.
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
    """Speech begins and ends with its words where the manifest times them, else as the VAD says."""
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
