"""Bytes in, samples out: by the standard, and however the bytes are cut."""

import io
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from stream.core.audio import BYTES_PER_SAMPLE, StreamDecoder
from stream.errors import SettingsError


def decode(decoder, data):
    """Return the samples, (channels, n_samples)."""
    (samples,) = decoder.decode(data)
    return samples


@pytest.mark.parametrize(("encoding", "subtype"), [("mulaw", "ULAW"), ("alaw", "ALAW")])
def test_every_g711_byte_decodes_as_in_libsndfile(encoding, subtype):
    every_byte = bytes(range(256))
    expected, _ = soundfile.read(
        io.BytesIO(every_byte),
        samplerate=8000,
        channels=1,
        format="RAW",
        subtype=subtype,
        dtype="float32",
    )
    np.testing.assert_array_equal(decode(StreamDecoder(encoding, 1), every_byte)[0], expected)


def test_g711_silence_and_extremes():
    assert decode(StreamDecoder("mulaw", 1), b"\xff\x7f\x80\x00").tolist() == [
        [0.0, 0.0, 32124 / 32768, -32124 / 32768]
    ]
    assert decode(StreamDecoder("alaw", 1), b"\xd5\x55\xaa\x2a").tolist() == [
        [8 / 32768, -8 / 32768, 32256 / 32768, -32256 / 32768]
    ]


def test_pcm16_is_little_endian_and_never_leaves_the_range():
    samples = decode(StreamDecoder("pcm_s16le", 1), b"\x00\x80\x01\x00\x00\x01\xff\x7f")
    assert samples.tolist() == [[-1.0, 1 / 32768, 256 / 32768, 32767 / 32768]]
    assert samples.dtype == np.float32


def test_floats_that_are_no_sound_are_silence_and_loud_ones_are_clipped():
    sent = np.array([0.5, np.nan, np.inf, -np.inf, 3.0, -3.0], "<f4")
    samples = decode(StreamDecoder("pcm_f32le", 1), sent.tobytes())
    assert samples.tolist() == [[0.5, 0.0, 0.0, 0.0, 1.0, -1.0]]


def test_channels_are_taken_apart():
    interleaved = np.arange(12, dtype="<i2").tobytes()
    channels = decode(StreamDecoder("pcm_s16le", 3), interleaved) * 32768
    assert channels.tolist() == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]


@given(
    encoding=st.sampled_from(sorted(BYTES_PER_SAMPLE)),
    channels=st.integers(1, 8),
    data=st.binary(max_size=400),
    cuts=st.lists(st.integers(0, 400)),
)
def test_any_chunking_gives_the_same_samples(encoding, channels, data, cuts):
    whole = StreamDecoder(encoding, channels)
    expected = decode(whole, data)
    decoder = StreamDecoder(encoding, channels)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [decode(decoder, data[a:b]) for a, b in pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), expected)
    assert np.all(np.abs(expected) <= 1)
    assert decoder.leftover == whole.leftover == len(data) % whole.frame_bytes


@pytest.mark.parametrize(("encoding", "channels"), [("opus", 1), ("mulaw", 0), ("mulaw", 9)])
def test_undecodable_audio_is_refused(encoding, channels):
    with pytest.raises(SettingsError):
        StreamDecoder(encoding, channels)
