"""The sample clock and the encodings that a client may send."""

SAMPLE_RATE = 16_000
"""Hertz. Everything behind the resampler counts samples at this rate."""
