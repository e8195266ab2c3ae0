"""Mixes several channels to one, so that what is in them never cancels.

The sum of two channels of opposite polarity is silence. So each channel is added with the sign with
which it agrees with those before it: the mix is the sum of two channels, or their difference.
Channels that are silent do not make the others quieter. Where a film has a centre channel, which
carries its dialogue, it keeps its full level, and the others are added to it more quietly.

The signs are decided for each 20 ms of the recording, by the correlation over about the last
0.15 s, and change within 10 ms. They keep their value unless the correlation is clear: two people
who speak at once on two channels do not correlate, and their sum is not touched.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE

Block = NDArray[np.float32]

STEP = SAMPLE_RATE // 50
"""Samples for which the signs are decided at once: 20 ms."""

FADE = SAMPLE_RATE // 100
"""Samples in which a change takes place."""

MEMORY = float(np.exp(-STEP / (0.15 * SAMPLE_RATE)))
"""How much of the correlation of the past remains after a step."""

CLEAR = 0.6
"""Correlation from which a channel has the same polarity; below the negative, the opposite one."""

AUDIBLE = 10.0**-7
"""Mean square of a channel that is not silent: -70 dB of full scale."""

CENTRE = "FC"
"""FFmpeg's name of the channel of a film's dialogue."""

BESIDE_CENTRE = {"FL": 0.5, "FR": 0.5}
"""Weights of other channels beside an audible centre: a voice in both front channels has the level
of one in the centre. All others have `SURROUND`."""
SURROUND = 0.25


class Mixdown:
    """Mixes one recording; any chunking gives the same samples."""

    def __init__(self, channels: int, names: Sequence[str] = ()) -> None:
        """Take the number of channels, and their names, such as FL, FR and FC, if they are known.

        Samples are at 16 kHz; at another rate the times above are other ones.
        """
        self._channels = channels
        self._names = tuple(names) if len(names) == channels else ("",) * channels
        self._order = sorted(range(channels), key=lambda i: self._names[i] != CENTRE)
        self._correlations = np.zeros((channels, channels))
        self._audible = np.zeros(channels, bool)
        self._signs = np.ones(channels)
        self._gains: NDArray[np.float64] | None = None
        """Of each channel at the end of the last step; None before the first one."""
        self._pending = np.zeros((channels, 0), np.float32)

    def feed(self, samples: Block) -> Block:
        """Take samples, (channels, n_samples); return those that are mixed by now, (1, n)."""
        if self._channels == 1:
            return samples
        self._pending = np.concatenate([self._pending, samples], axis=1)
        n_steps = self._pending.shape[1] // STEP
        return self._mix(n_steps * STEP)

    def flush(self) -> Block:
        """Return the rest, (1, n_samples): at the end, before a gap, or if no audio may wait."""
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
            power = gains @ self._correlations @ gains  # of the mix of the channels before
            if own > 0 and power > 0:
                correlation = (gains @ self._correlations[channel]) / np.sqrt(own * power)
                if abs(correlation) > CLEAR:
                    self._signs[channel] = np.sign(correlation)
            gains[channel] = weights[channel] * self._signs[channel]
        return gains

    def _weights(self) -> NDArray[np.float64]:
        """Return how much of each channel is in the mix, (channels,)."""
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
