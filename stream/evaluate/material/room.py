"""Records speech from far away in a room: reverberation and the noise of the room.

The impulse response is the statistical model of a room: the direct sound, then noise that decays by
60 dB within the reverberation time. The level of that noise follows from the distance: at the
critical distance (Sabine) the direct and the reverberant sound are equally loud.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from stream.evaluate.material.mixing import speech_power, with_noise
from stream.evaluate.material.recordings import Audio, Recording, to_int16

ROOM_M3 = 100.0
"""Volume of the room: a meeting room for ten people."""
FIRST_REFLECTION_S = 0.002


@dataclass(frozen=True, slots=True)
class Place:
    """A place of a microphone in a room, with the acoustics there."""

    distance_m: float
    """Distance from the speaker, in metres."""
    reverberation_s: float
    """Time in which reverberation decays by 60 dB."""
    snr_db: float
    """Level of the speech, with its reverberation and without pauses, over that of the noise."""

    @property
    def name(self) -> str:
        """Name of the condition."""
        return f"{self.distance_m:g} m, {self.snr_db:g} dB"

    @property
    def reverberant_power(self) -> float:
        """Power of the reverberant sound, as a multiple of that of the direct sound."""
        critical_m = 0.057 * sqrt(ROOM_M3 / self.reverberation_s)
        return (self.distance_m / critical_m) ** 2


PLACES = (Place(1.0, 0.4, 20.0), Place(3.0, 0.6, 10.0), Place(5.0, 0.8, 5.0))


def impulse_response(place: Place, rate: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the impulse response of a room, (n_samples,) at `rate` hertz.

    The direct sound is the first sample, so that the times of words stay as they are.
    """
    n_samples = round(place.reverberation_s * rate)
    decay = 10 ** (-3 * np.arange(n_samples) / n_samples)
    response = rng.standard_normal(n_samples) * decay
    response[: round(FIRST_REFLECTION_S * rate)] = 0.0
    response *= sqrt(place.reverberant_power / np.square(response).sum())
    response[0] = 1.0
    return response


def reverberant(audio: Audio, place: Place, rng: np.random.Generator) -> Audio:
    """Return speech with the reverberation of a room, at the level of the original.

    It is longer than the original by the decay of the reverberation.
    """
    response = impulse_response(place, audio.rate, rng)
    n_samples = len(audio.samples) + len(response) - 1
    spectrum = np.fft.rfft(audio.floats, n_samples) * np.fft.rfft(response, n_samples)
    heard = np.fft.irfft(spectrum, n_samples)
    before = speech_power(audio.floats, audio.rate)
    heard *= sqrt(before / max(speech_power(heard.astype(np.float32), audio.rate), 1e-12))
    return Audio(to_int16(heard / max(1.0, float(np.abs(heard).max()))), audio.rate)


def from_far(
    audio: Audio, place: Place, noises: Sequence[Recording], rng: np.random.Generator
) -> Audio:
    """Return speech as a microphone at a place in a room records it, at 16 kHz."""
    return with_noise(reverberant(audio, place, rng), noises, place.snr_db, rng)
