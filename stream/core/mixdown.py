"""Mixes several channels to one, so that their sounds do not cancel each other.

The sum of two channels of opposite polarity is silence. So a channel is subtracted instead of added
if it correlates negatively with the mix of the channels before it. Channels that are silent do not
make the others quieter. If a film has a centre channel, which carries the dialogue, that channel
keeps its full level, and the others are added more quietly.

The sign of each channel is decided for each 20 ms of the recording, from the correlation over about
the last 0.15 s, and changes within 10 ms. A sign stays as it was unless the correlation is clear:
two people who speak at once on two channels do not correlate.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE

Block = NDArray[np.float32]

STEP = SAMPLE_RATE // 50
"""Samples for which the signs are decided at once: 20 ms."""

FADE = SAMPLE_RATE // 100
"""Number of samples (10 ms) in which a gain changes to a new value."""

MEMORY = float(np.exp(-STEP / (0.15 * SAMPLE_RATE)))
"""Share of the correlations of the past that remains after a step."""

CLEAR = 0.6
"""A channel that correlates with the mix by more than this is added, and by less than the negative
of this subtracted."""

AUDIBLE = 10.0**-7
"""A channel is silent until the mean square of a step is above this: -70 dB of full scale."""

CENTRE = "FC"
"""FFmpeg's name of the channel of a film's dialogue."""

BESIDE_CENTRE = {"FL": 0.5, "FR": 0.5}
"""Weights of other channels beside an audible centre: a voice in both front channels has the level
of one in the centre. All others have `SURROUND`."""
SURROUND = 0.25


class Mixdown:
    """Mixes the channels of one recording; any chunking gives the same samples."""

    def __init__(self, channels: int, names: Sequence[str] = ()) -> None:
        """Take the number of channels, and their names, such as FL, FR and FC, if they are known.

        The durations above hold for samples at 16 kHz.
        """
        self._channels = channels
        self._names = tuple(names) if len(names) == channels else ("",) * channels
        self._order = sorted(range(channels), key=lambda i: self._names[i] != CENTRE)
        self._correlations = np.zeros((channels, channels))
        self._audible = np.zeros(channels, bool)
        self._signs = np.ones(channels)
        self._gains: NDArray[np.float64] | None = None
        """The gain of each channel at the end of the last step; None before the first step."""
        self._pending = np.zeros((channels, 0), np.float32)

    def feed(self, samples: Block) -> Block:
        """Take samples, (channels, n_samples); return the mix of all complete steps, (1, n).

        If there is only one channel, the samples are returned at once, unchanged.
        """
        if self._channels == 1:
            return samples
        self._pending = np.concatenate([self._pending, samples], axis=1)
        n_steps = self._pending.shape[1] // STEP
        return self._mix(n_steps * STEP)

    def flush(self) -> Block:
        """Return the mix of the samples of an incomplete step, (1, n_samples)."""
        return self._mix(self._pending.shape[1])

    def _mix(self, n_samples: int) -> Block:
        taken, self._pending = self._pending[:, :n_samples], self._pending[:, n_samples:]
        steps = [self._step(taken[:, at : at + STEP]) for at in range(0, n_samples, STEP)]
        return np.concatenate([np.zeros(0, np.float32), *steps])[None]

    def _step(self, samples: Block) -> NDArray[np.float32]:
        """Mix the samples of a step, (channels, n_samples)."""
        sane = samples if np.isfinite(samples).all() else np.nan_to_num(samples, posinf=0, neginf=0)
        products = sane.astype(np.float64) @ sane.T  # (channels, channels)
        memory = MEMORY ** (samples.shape[1] / STEP)
        self._correlations = memory * self._correlations + products
        self._audible |= np.diag(products) > AUDIBLE * samples.shape[1]
        gains = self._new_gains()
        if self._gains is None or np.array_equal(gains, self._gains):
            mixed = gains @ sane
        else:
            fade = np.minimum(np.arange(1, samples.shape[1] + 1) / FADE, 1.0)
            mixed = gains @ sane * fade + self._gains @ sane * (1 - fade)
        self._gains = gains
        result: NDArray[np.float32] = mixed.astype(np.float32)
        return result

    def _new_gains(self) -> NDArray[np.float64]:
        """Return the gain of each channel, (channels,), by the correlations so far."""
        weights = self._weights()
        gains = np.zeros(self._channels)
        for channel in self._order:
            own = self._correlations[channel, channel]
            power = gains @ self._correlations @ gains  # of the mix of the channels before this one
            if own > 0 and power > 0:
                correlation = (gains @ self._correlations[channel]) / np.sqrt(own * power)
                if abs(correlation) > CLEAR:
                    self._signs[channel] = np.sign(correlation)
            gains[channel] = weights[channel] * self._signs[channel]
        return gains

    def _weights(self) -> NDArray[np.float64]:
        """Return the weight of each channel in the mix, without its sign, (channels,)."""
        audible = self._audible
        loud = [self._names[i] for i in self._order if audible[i]]
        if CENTRE not in loud:
            return (audible if loud else np.full(self._channels, 1 / self._channels)) / max(
                len(loud), 1
            )
        weights = {CENTRE: 1.0, **BESIDE_CENTRE}
        return np.array([weights.get(name, SURROUND) for name in self._names])


def mixed(samples: Block, names: Sequence[str] = ()) -> Block:
    """Mix a whole recording, (channels, n_samples), to (1, n_samples)."""
    mixdown = Mixdown(len(samples), names)
    return np.concatenate([mixdown.feed(samples), mixdown.flush()], axis=1)
