"""Cuts encoded audio into pieces of one size, and fills its gaps with silence."""

from collections.abc import Iterable, Iterator
from itertools import chain, repeat

from stream.core.audio import Gap


def pieces(sounds: Iterable[bytes | Gap], size: int, silent_sample: bytes) -> Iterator[bytes]:
    """Yield pieces of `size` bytes; the last one can be shorter.

    Args:
        sounds: encoded audio, and the gaps between it.
        size: a multiple of the bytes of a sample of all channels.
        silent_sample: the bytes of one silent sample of all channels.
    """
    waiting = bytearray()
    for data in chain.from_iterable(filled(sound, size, silent_sample) for sound in sounds):
        waiting += data
        while len(waiting) >= size:
            yield bytes(waiting[:size])
            del waiting[:size]
    if waiting:
        yield bytes(waiting)


def filled(sound: bytes | Gap, size: int, silent_sample: bytes) -> Iterable[bytes]:
    """Return the audio, or silence for a gap; at most `size` bytes of that at once."""
    if not isinstance(sound, Gap):
        return (sound,)
    at_once = size // len(silent_sample)
    whole, rest = divmod(sound.samples, at_once)
    return chain(repeat(silent_sample * at_once, whole), (silent_sample * rest,))
