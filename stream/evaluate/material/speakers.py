"""The same words said softly, or fast."""

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
"""A reader of books says 150 words a minute: these are as fast as people in a hurry."""


def softly_and_fast(speech: Sequence[Recording]) -> list[Recording]:
    """Return each recording at each lower level, and at each higher speed."""
    soft = [
        one.under("speakers", f"{level_db} dB", partial(quieter, level_db=level_db))
        for level_db in QUIETER_DB
        for one in speech
    ]
    fast = [
        replace(one, words=sooner(one, tempo)).under(
            "speakers", f"{tempo} times as fast", partial(faster, tempo=tempo)
        )
        for tempo in FASTER
        for one in speech
    ]
    return soft + fast


def quieter(audio: Audio, level_db: float) -> Audio:
    """Return the audio at a level that is so many decibels from its own, and still 16-bit."""
    return Audio(np.rint(audio.samples * 10 ** (level_db / 20)).astype(np.int16), audio.rate)


def faster(audio: Audio, tempo: float) -> Audio:
    """Return the audio so many times as fast, at its own pitch (FFmpeg's `atempo`)."""
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


def sooner(recording: Recording, tempo: float) -> tuple[TimedWord, ...]:
    """Return the recording's words at the times at which they are said then."""
    return tuple(
        replace(word, start_s=word.start_s / tempo, end_s=word.end_s / tempo)
        for word in recording.words
    )
