"""Estimates how many live streams this machine can serve, from the cost of two windows.

The windows hold noise, and the number of tokens is given, so that the work is that of ten seconds
of speech and does not depend on what the model recognises.
"""

from dataclasses import dataclass

import numpy as np
import torch

from stream.core.audio import SAMPLE_RATE
from stream.engine.cores import core_equivalents
from stream.engine.network.choosing import thread_seconds
from stream.engine.network.features import log_mel
from stream.engine.network.whisper import Whisper

WINDOW_S = 10.0
MARGIN_S = 2.0
"""Seconds of silence after the speech of a window."""
SENTENCE_TOKENS = 36
"""Number of tokens in ten seconds of read English."""
PROMPT_TOKENS = 4
NEW_TOKENS = 3
"""Number of tokens that a partial decodes one by one, after its draft."""
FINALS_PER_S = 0.25
"""Finals for each second of speech: an utterance of a conversation lasts about four seconds."""
BUSY = 0.6
"""The share of the cores at which 95 % of the finals still come within a second: measured by `bench
load` on two cores of an AVX2 machine (2 streams) and of an AVX-512 machine (4 streams)."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """The CPU cost of a partial and of a final, and the number of streams that follows from it."""

    partial_s: float
    """CPU seconds for the partial of ten seconds of speech, if all of its draft is accepted."""
    final_s: float
    """CPU seconds for the final of ten seconds of speech, without a draft."""
    cores: float
    """Cores that the process may use; a fraction with a quota. SMT siblings count once, which is
    cautious: how much more work two of them do than one was not measured."""

    def load(self, partial_hop_ms: int = 1000) -> float:
        """Return the CPU seconds that one second of speech of one stream takes."""
        return 1000 / partial_hop_ms * self.partial_s + FINALS_PER_S * self.final_s

    def streams(self, partial_hop_ms: int = 1000) -> float:
        """Return the number of streams of constant speech that get their finals in time."""
        return BUSY * self.cores / self.load(partial_hop_ms)


@torch.inference_mode()
def measure_capacity(model: Whisper, tries: int = 1) -> Capacity:
    """Measure a partial and a final on one CPU core; the result is the fastest of `tries` runs."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        partial_s = min(thread_seconds(lambda: partial(model)) for _ in range(tries))
        final_s = min(thread_seconds(lambda: final(model)) for _ in range(tries))
    finally:
        torch.set_num_threads(threads)
    return Capacity(partial_s, final_s, core_equivalents())


def partial(model: Whisper) -> None:
    """Encode a window, verify its draft in one pass and decode a few tokens."""
    decode(model, [PROMPT_TOKENS + SENTENCE_TOKENS - NEW_TOKENS] + [1] * NEW_TOKENS)


def final(model: Whisper) -> None:
    """Encode a window and decode its tokens one by one."""
    decode(model, [PROMPT_TOKENS] + [1] * SENTENCE_TOKENS)


def decode(model: Whisper, steps: list[int]) -> None:
    """Encode ten seconds of noise, and run a decoder pass over each given number of tokens."""
    samples = np.zeros(round((WINDOW_S + MARGIN_S) * SAMPLE_RATE), np.float32)
    speech = np.random.default_rng(0).normal(0, 0.05, round(WINDOW_S * SAMPLE_RATE))
    samples[: len(speech)] = speech
    mel = log_mel(torch.from_numpy(samples), model.dims.n_mels)
    audio = model.encode(mel[None], torch.tensor([mel.shape[1]]))  # (1, n_positions, d_model)
    cache = model.prefill_cache(audio, torch.tensor([audio.shape[1]]), sum(steps))
    for n in steps:
        states = model.read(torch.full((1, n), 1), torch.tensor([n]), cache)
        model.logits(states)
