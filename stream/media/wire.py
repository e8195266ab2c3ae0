"""Messages between the server and a process that decodes media, over a socket.

A message is a byte for its kind, four bytes for the length of its content, and the content. The
process that decodes is not trusted, because the media that it reads may exploit a fault of FFmpeg:
the server checks what it gets, and never unpickles anything.
"""

import struct
from enum import Enum
from typing import NamedTuple

import numpy as np

from stream.core.audio import Gap
from stream.media.part import MAX_CHANNELS, Block

HEADER = struct.Struct("<cI")
GAP = struct.Struct("<q")

MAX_BYTES = 1 << 21
"""Longest content; samples and bytes are sent in far smaller pieces."""

MAX_GAP_SAMPLES = 1 << 40


class Kind(Enum):
    """The kind of a message."""

    CONTAINER = b"C"
    """To the decoder, first: decode a container as it arrives; one byte, the channels."""
    RECORDING = b"R"
    """To the decoder, first: decode the file that came with it; its name for messages."""
    BYTES = b"B"
    """To the decoder: the next bytes of the container."""
    END = b"E"
    """No more bytes, or no more audio."""
    NEED = b"N"
    """From the decoder: all bytes are consumed."""
    SAMPLES = b"S"
    """From the decoder: one byte for the channels, then float32 (channels, n_samples)."""
    GAP = b"G"
    """From the decoder: time without audio."""
    PROBLEM = b"P"
    """From the decoder: a sentence about what could not be decoded."""
    FAILURE = b"F"
    """From the decoder: a sentence about why nothing can be decoded."""


class Message(NamedTuple):
    """A message without its header."""

    kind: Kind
    content: bytes = b""


class WireError(Exception):
    """The process that decodes has ended, or sends what is no message."""


def encode(message: Message) -> bytes:
    """Return the bytes of a message."""
    return HEADER.pack(message.kind.value, len(message.content)) + message.content


def decode_header(header: bytes) -> tuple[Kind, int]:
    """Return the kind and the length of the content. Raises `WireError` if they are invalid."""
    letter, length = HEADER.unpack(header)
    if length > MAX_BYTES:
        raise WireError("A message of the decoder is too long.")
    try:
        return Kind(letter), length
    except ValueError as error:
        raise WireError("A message of the decoder has an unknown kind.") from error


def message_of(sound: Block | Gap) -> Message:
    """Return the message for samples, (channels, n_samples), or a gap."""
    if isinstance(sound, Gap):
        return Message(Kind.GAP, GAP.pack(sound.samples))
    return Message(Kind.SAMPLES, bytes([sound.shape[0]]) + sound.astype("<f4").tobytes())


def sound_of(message: Message) -> Block | Gap:
    """Return the samples, (channels, n_samples), or the gap of a message.

    Raises `WireError` if they are invalid.
    """
    if message.kind is Kind.GAP:
        if len(message.content) != GAP.size:
            raise WireError("A gap has the wrong length.")
        (n_samples,) = GAP.unpack(message.content)
        if not 0 <= n_samples <= MAX_GAP_SAMPLES:
            raise WireError("A gap is too long.")
        return Gap(n_samples)
    channels = message.content[0] if message.content else 0
    if not 1 <= channels <= MAX_CHANNELS or (len(message.content) - 1) % (4 * channels):
        raise WireError("Samples have the wrong length.")
    samples = np.frombuffer(message.content, "<f4", offset=1).astype(np.float32)
    samples[~np.isfinite(samples)] = 0.0
    return samples.reshape(channels, -1)
