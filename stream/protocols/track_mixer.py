"""Aligns the tracks of a call: turns packets with timestamps into interleaved channels and gaps.

The timestamp of a packet gives the position of its audio. If one track has no audio at a position,
because none was sent or a packet was lost, silence is inserted; if no track has any, there is a
gap. Audio that arrives after its position has been returned is dropped. All of these are counted.
Audio is returned as soon as every track has it, or when one track is `PATIENCE_MS` ahead of the
others.
"""

from collections.abc import Iterator

import numpy as np

from stream.core.audio import Gap

PATIENCE_MS = 200
"""Milliseconds by which one track may be ahead before silence is inserted into the others: more
than the jitter of a telephone line, less than the silence that ends an utterance."""

TOLERANCE_MS = 10
"""Milliseconds by which the timestamp of a packet may differ from the end of the packet before it
(half of a packet of 20 ms). Such differences come from the rounding of clocks, and inserting
silence for them would cause clicks."""

SILENCE: dict[str, tuple[str, int]] = {
    "mulaw": ("u1", 0xFF),
    "alaw": ("u1", 0xD5),
    "pcm_s16le": ("<i2", 0),
}
"""For each encoding, the type of its samples and the sample that is silent (+0)."""


class TrackMixer:
    """Aligns tracks of samples; `sample_rate` is in hertz."""

    def __init__(
        self,
        tracks: tuple[str, ...],
        sample_rate: int = 8_000,
        max_gap_s: float = 3600.0,
        encoding: str = "mulaw",
        tolerance_ms: int = TOLERANCE_MS,
    ) -> None:
        """Take the names of the tracks, in the order of channels, the longest gap and the encoding.

        A timestamp that is further ahead is an error of the sender: the audio follows what came
        before it, and the timestamps after it are relative to that.
        """
        self._type, self._silence = SILENCE[encoding]
        self._width = np.dtype(self._type).itemsize
        """Bytes of a sample."""
        self._tolerance = tolerance_ms * sample_rate // 1000
        self.tracks = tracks
        self.sample_rate = sample_rate
        self.filled = 0
        """Samples that did not arrive, in all tracks together."""
        self.late = 0
        """Samples that were dropped because they arrived after their position was returned."""
        self.beyond_limit = 0
        """Number of timestamps that were too far ahead."""
        self._per_ms = sample_rate // 1000
        self._max_gap = round(max_gap_s * sample_rate)
        self._runs: dict[str, list[tuple[int, bytearray]]] = {track: [] for track in tracks}
        """The audio of each track that waits: runs without a hole, each with its first sample."""
        self._shifts = dict.fromkeys(tracks, 0)
        """What is added to the positions of each track, in samples."""
        self._passed = 0
        """Number of samples of each track that have been returned."""

    def add(self, track: str, timestamp_ms: int | None, audio: bytes) -> list[bytes | Gap]:
        """Add a packet; return the audio that is now complete, channels interleaved, and gaps.

        Args:
            track: name of the track.
            timestamp_ms: position of the packet from the start of the call; None if it follows
                the packet before it.
            audio: its samples; an incomplete one at the end is dropped.
        """
        audio = audio[: len(audio) // self._width * self._width]
        at = end = self.end(track)
        if timestamp_ms is not None:
            at = timestamp_ms * self._per_ms + self._shifts[track]
        if at - end > self._max_gap:
            self.beyond_limit += 1
            self._shifts[track] += end - at
        if abs(at - end) <= self._tolerance or at - end > self._max_gap:
            at = end
        if at < end:
            self.late += min(end - at, self._samples(audio))
            at, audio = end, audio[(end - at) * self._width :]
        self._append(track, at, audio)
        ends = [self.end(track) for track in self.tracks]
        return list(self._pass_on(max(min(ends), max(ends) - PATIENCE_MS * self._per_ms)))

    def flush(self) -> list[bytes | Gap]:
        """Return the rest of the audio, when no more packets follow."""
        return list(self._pass_on(max(self.end(track) for track in self.tracks)))

    def end(self, track: str) -> int:
        """Return the number of samples of a track so far, returned or not."""
        runs = self._runs[track]
        return max(runs[-1][0] + self._samples(runs[-1][1]), self._passed) if runs else self._passed

    def _samples(self, audio: bytes | bytearray) -> int:
        return len(audio) // self._width

    def _append(self, track: str, at: int, audio: bytes) -> None:
        runs = self._runs[track]
        if not audio:
            return
        if runs and runs[-1][0] + self._samples(runs[-1][1]) == at:
            runs[-1][1].extend(audio)
        else:
            runs.append((at, bytearray(audio)))

    def _pass_on(self, until: int) -> Iterator[bytes | Gap]:
        """Yield all before a sample: spans in which a track has audio, and the gaps between."""
        for start, end in self._covered(until):
            if start > self._passed:
                yield self._gap(start - self._passed)
            yield self._mixed(start, end)
            self._passed = end
        if until > self._passed:
            yield self._gap(until - self._passed)
            self._passed = until
        for track, runs in self._runs.items():
            self._runs[track] = [
                (max(at, until), audio[max(until - at, 0) * self._width :])
                for at, audio in runs
                if at + self._samples(audio) > until
            ]

    def _gap(self, n_samples: int) -> Gap:
        self.filled += n_samples * len(self.tracks)
        return Gap(n_samples)

    def _covered(self, until: int) -> list[tuple[int, int]]:
        """Return the spans before a sample in which at least one track has audio, in order."""
        spans = sorted(
            (max(at, self._passed), min(at + self._samples(audio), until))
            for runs in self._runs.values()
            for at, audio in runs
        )
        merged: list[tuple[int, int]] = []
        for start, end in spans:
            if start >= end:
                continue
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], end))
            else:
                merged.append((start, end))
        return merged

    def _mixed(self, start: int, end: int) -> bytes:
        """Return the samples [start, end) with the channels interleaved; silence fills holes."""
        mixed = np.full((len(self.tracks), end - start), self._silence, self._type)
        for channel, runs in zip(mixed, self._runs.values(), strict=True):
            there = 0
            for at, audio in runs:
                first, last = max(at, start), min(at + self._samples(audio), end)
                if first < last:
                    part = audio[(first - at) * self._width : (last - at) * self._width]
                    channel[first - start : last - start] = np.frombuffer(bytes(part), self._type)
                    there += last - first
            self.filled += end - start - there
        frames: bytes = mixed.T.tobytes()
        return frames
