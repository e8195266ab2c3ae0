"""Makes recordings of speech quieter, or faster at the same pitch."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial

import av
import numpy as np
from av.filter import Graph

from stream.evaluate.material.recordings import Audio, Recording
from stream.evaluate.measures.record import TimedWord

QUIETER_DB = (-20, -30)
FASTER = (1.25, 1.5, 1.75)
"""Factors of speed. Audiobooks have about 150 words in a minute; these speeds are those of hurried
speech."""


def quieter_and_faster(speech: Sequence[Recording]) -> list[Recording]:
    """Return each recording at each lower level, and at each higher speed."""
    soft = [
        one.under("speakers", f"{level_db} dB", partial(quieter, level_db=level_db))
        for level_db in QUIETER_DB
        for one in speech
    ]
    fast = [
        replace(one, words=scaled_words(one, tempo), turns=()).under(
            "speakers", f"{tempo} times as fast", partial(faster, tempo=tempo)
        )
        for tempo in FASTER
        for one in speech
    ]
    return soft + fast


def quieter(audio: Audio, level_db: float) -> Audio:
    """Return the audio with its level changed by `level_db` decibels, at most 0.

    Samples are rounded to 16 bits.
    """
    return Audio(np.rint(audio.samples * 10 ** (level_db / 20)).astype(np.int16), audio.rate)


def faster(audio: Audio, tempo: float) -> Audio:
    """Return the audio `tempo` times as fast, at the same pitch (FFmpeg's `atempo`)."""
    graph = Graph()
    source = graph.add_abuffer(
        format="s16", sample_rate=audio.rate, layout="mono", time_base=Fraction(1, audio.rate)
    )
    graph.link_nodes(source, graph.add("atempo", str(tempo)), graph.add("abuffersink"))
    graph.configure()
    frame = av.AudioFrame.from_ndarray(audio.samples[None], format="s16", layout="mono")
    frame.sample_rate = audio.rate
    graph.push(frame)
    graph.push(None)
    pieces = []
    while True:
        try:
            pieces.append(graph.pull().to_ndarray()[0])
        except (av.EOFError, av.BlockingIOError):
            return Audio(np.concatenate(pieces), audio.rate)


def scaled_words(recording: Recording, tempo: float) -> tuple[TimedWord, ...]:
    """Return the recording's words with their times in the audio that is `tempo` times as fast."""
    return tuple(
        replace(word, start_s=word.start_s / tempo, end_s=word.end_s / tempo)
        for word in recording.words
    )
