"""Generates sounds without words, reproducibly from a seed.

Every word that is recognised in them is a hallucination. `SILENCE` has the sounds of a line on
which nobody speaks: digital silence, stationary noise, the tones of a telephone. `NOISE` and
`MUSIC` have sounds around people: a keyboard, music.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.evaluate.material.recordings import BABBLE_OR_MUSIC, Audio, Recording, to_int16

Samples = NDArray[np.float64]
Make = Callable[[int, np.random.Generator], Samples]
"""Generates a number of samples at 16 kHz, in -1..1."""

TELEPHONE_DBFS = -20.0
"""Level of telephone tones, which are sent at about -13 dBm; decibels of full scale."""


def noise(n_samples: int, slope: float, dbfs: float, rng: np.random.Generator) -> Samples:
    """Return noise whose amplitude falls as frequency**-slope.

    Args:
        n_samples: its length.
        slope: 0 is white noise, 0.5 pink noise.
        dbfs: root mean square level in decibels of full scale.
        rng: the random generator.
    """
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    spectrum[0] = 0.0
    spectrum[1:] *= np.arange(1, len(spectrum)) ** -slope
    return at_level(np.fft.irfft(spectrum, n_samples), dbfs)


def at_level(samples: Samples, dbfs: float) -> Samples:
    """Scale samples to a root mean square level, in decibels of full scale."""
    return np.asarray(samples * 10 ** (dbfs / 20) / max(samples.std(), 1e-9))


def tones(n_samples: int, *hertz: float) -> Samples:
    """Return the sum of steady tones of equal amplitude, at `TELEPHONE_DBFS`."""
    t = np.arange(n_samples) / SAMPLE_RATE
    return at_level(np.sum([np.sin(2 * np.pi * f * t) for f in hertz], axis=0), TELEPHONE_DBFS)


def cadence(samples: Samples, on_s: float, off_s: float) -> Samples:
    """Switch a sound on for `on_s` seconds and off for `off_s`, again and again."""
    t = np.arange(len(samples)) / SAMPLE_RATE
    return samples * (t % (on_s + off_s) < on_s)


def hold_beeps(n_samples: int, rng: np.random.Generator) -> Samples:
    """Return a call on hold: a short beep every ten seconds over the noise of the line."""
    return cadence(tones(n_samples, 1400.0), 0.25, 9.75) + noise(n_samples, 0.0, -60, rng)


def dialling(n_samples: int, rng: np.random.Generator) -> Samples:
    """Return random dialling tones (ITU-T Q.23) of 100 ms each, two in a second."""
    low, high = (697.0, 770.0, 852.0, 941.0), (1209.0, 1336.0, 1477.0)
    key_samples = SAMPLE_RATE // 2
    keys = [
        cadence(tones(key_samples, rng.choice(low), rng.choice(high)), 0.1, 0.4)
        for _ in range(-(-n_samples // key_samples))
    ]
    return np.concatenate(keys)[:n_samples]


def keyboard(n_samples: int, rng: np.random.Generator) -> Samples:
    """Return typing at five keys a second: a click when a key goes down, a softer one after it."""
    samples = noise(n_samples, 0.5, -65, rng)
    at = 0
    while True:
        at += int(rng.exponential(0.2) * SAMPLE_RATE)
        for delay_s, loudness in ((0.0, 0.3), (rng.uniform(0.06, 0.12), 0.12)):
            start = at + int(delay_s * SAMPLE_RATE)
            decay = np.exp(-np.arange(400) / rng.uniform(30, 90))
            click = rng.standard_normal(400) * decay * loudness * rng.uniform(0.5, 1.0)
            if start + 400 > n_samples:
                return samples
            samples[start : start + 400] += click


def music(n_samples: int, rng: np.random.Generator) -> Samples:
    """Return a melody over chords, two notes in a second, with the overtones of plucked strings."""
    note_samples = SAMPLE_RATE // 2
    scale = 261.63 * 2 ** (np.array([0, 2, 4, 5, 7, 9, 11, 12]) / 12)  # C major
    chords = ((0, 2, 4), (3, 5, 7), (4, 6, 1), (0, 2, 4))
    t = np.arange(note_samples) / SAMPLE_RATE
    bars = []
    for number in range(-(-n_samples // note_samples)):
        chord = chords[number // 4 % len(chords)]
        notes = [*(scale[step] / 2 for step in chord), rng.choice(scale)]
        bars.append(sum(pluck(t, hertz) for hertz in notes))
    return at_level(np.concatenate(bars)[:n_samples], -20)


def strings(n_samples: int, rng: np.random.Generator) -> Samples:
    """Return chords of bowed strings with vibrato, a new one every 1.5 s; they resemble voices."""
    note_samples = 3 * SAMPLE_RATE // 2
    scale = 220.0 * 2 ** (np.array([0, 2, 3, 5, 7, 8, 10, 12]) / 12)  # A minor
    t = np.arange(note_samples) / SAMPLE_RATE
    swell = np.sin(np.pi * t / t[-1]) ** 0.5
    notes = [
        swell
        * sum(bow(t, hertz * octave) for octave, hertz in zip((0.5, 1, 2), chosen, strict=True))
        for chosen in rng.choice(scale, (-(-n_samples // note_samples), 3))
    ]
    return at_level(np.concatenate(notes)[:n_samples], -20)


def bow(t: Samples, hertz: float) -> Samples:
    """Return a bowed note: a vibrato of 5 Hz, and overtones as strong as those of a voice."""
    phase = 2 * np.pi * hertz * t + 0.3 * np.sin(2 * np.pi * 5 * t)
    return np.asarray(np.sum([np.sin(k * phase) / k for k in range(1, 9)], axis=0))


def drums(n_samples: int, rng: np.random.Generator) -> Samples:
    """Return a drum pattern with a period of half a second: low drum, snare, cymbal on eighths."""
    beat_samples = SAMPLE_RATE // 8
    t = np.arange(beat_samples) / SAMPLE_RATE
    low = np.sin(2 * np.pi * (50 * t + 4 * np.exp(-30 * t))) * np.exp(-20 * t)
    beats = []
    for number in range(-(-n_samples // beat_samples)):
        cymbal = 0.2 * np.diff(rng.standard_normal(beat_samples + 1)) * np.exp(-60 * t)
        snare = 0.5 * rng.standard_normal(beat_samples) * np.exp(-25 * t)
        beats.append(cymbal + low * (number % 4 == 0) + snare * (number % 4 == 2))
    return at_level(np.concatenate(beats)[:n_samples], -20)


def pluck(t: Samples, hertz: float) -> Samples:
    """Return a plucked note: each overtone is weaker and shorter than the one below it."""
    overtones = range(1, 7)
    notes = [np.sin(2 * np.pi * hertz * k * t) * np.exp(-3 * k * t) / k for k in overtones]
    return np.asarray(np.sum(notes, axis=0))


SILENCE: dict[str, Make] = {
    "digital silence": lambda n, rng: np.zeros(n),
    "white noise, -60 dBFS": lambda n, rng: noise(n, 0.0, -60, rng),
    "white noise, -40 dBFS": lambda n, rng: noise(n, 0.0, -40, rng),
    "pink noise, -50 dBFS": lambda n, rng: noise(n, 0.5, -50, rng),
    "pink noise, -30 dBFS": lambda n, rng: noise(n, 0.5, -30, rng),
    "tone, 1 kHz": lambda n, rng: tones(n, 1000.0),
    "dial tone": lambda n, rng: tones(n, 350.0, 440.0),
    "ringing": lambda n, rng: cadence(tones(n, 440.0, 480.0), 2.0, 4.0),
    "busy": lambda n, rng: cadence(tones(n, 480.0, 620.0), 0.5, 0.5),
    "on hold": hold_beeps,
    "dialling": dialling,
}
"""Sounds in which no word may be recognised. The tones are those of North America."""

NOISE: dict[str, Make] = {"keyboard": keyboard}
MUSIC: dict[str, Make] = {"music": music, "music, strings": strings, "music, drums": drums}


def made_sounds(minutes: float, seed: int = 0) -> list[Recording]:
    """Return a recording of each sound, `minutes` long."""
    n_samples = round(minutes * 60 * SAMPLE_RATE)

    def made(name: str, kind: str, make: Make) -> Recording:
        def read() -> Audio:
            return Audio(to_int16(make(n_samples, np.random.default_rng(seed))), SAMPLE_RATE)

        return Recording(name, kind, "made", "", read, suite="silence", condition=name)

    kinds = {"silence": SILENCE, "noise": NOISE, BABBLE_OR_MUSIC: MUSIC}
    return [made(name, kind, make) for kind, all in kinds.items() for name, make in all.items()]
