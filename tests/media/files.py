"""Small media files of every kind, made for the tests."""

import io
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

RATE = 16_000


def tone(seconds: float = 4.0, rate: int = RATE, hertz: float = 440.0) -> NDArray[np.float32]:
    """(n_samples,)"""
    time = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def write_media(
    path: Path,
    samples: NDArray[np.float32] | None,
    codec: str = "aac",
    *,
    rate: int = 48_000,
    video: bool = False,
    delay_s: float = 0.0,
) -> Path:
    """Write samples (n_samples,), and a video without meaning where one is wanted."""
    with av.open(str(path), "w") as container:
        if video:
            picture = container.add_stream("mpeg4", rate=10)
            picture.width = picture.height = 64
            picture.pix_fmt = "yuv420p"
        sound = container.add_stream(codec, rate=rate) if samples is not None else None
        if video:
            for i in range(20):
                image = av.VideoFrame(64, 64, "yuv420p")
                image.pts = i
                container.mux(picture.encode(image))
            container.mux(picture.encode(None))
        if sound is not None:
            for start in range(0, len(samples), 1024):
                piece = samples[None, start : start + 1024]
                frame = av.AudioFrame.from_ndarray(piece, "fltp", "mono")
                frame.sample_rate = rate
                frame.pts = start + round(delay_s * rate)
                container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
    return path


def opus_packets(samples: NDArray[np.float32]) -> tuple[list[bytes], bytes]:
    """Opus packets of 20 ms of samples (n_samples,) at 16 kHz, and the same as a file of Ogg."""
    wide = np.repeat(samples.astype(np.float32), 3)  # 48 kHz
    encoder = av.AudioCodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "flt"
    file = io.BytesIO()
    packets = []
    with av.open(file, "w", format="ogg") as container:
        track = container.add_stream("libopus", rate=48_000)
        track.layout = "mono"
        for at in range(0, len(wide) - len(wide) % 960, 960):
            frame = av.AudioFrame.from_ndarray(wide[None, at : at + 960], "flt", "mono")
            frame.sample_rate, frame.pts = 48_000, at
            packets += [bytes(packet) for packet in encoder.encode(frame)]
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
        packets += [bytes(packet) for packet in encoder.encode(None)]
    return packets, file.getvalue()
