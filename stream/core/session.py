"""A transcription session: a pure object with two peers.

The client sends audio and requests, and receives events. The engine receives windows, and returns
hypotheses. The `receive_*` methods never raise for an error of a peer, but emit a `Failure`.
`windows_to_transcribe` and `events_to_send` return the results. The only clock is the number of
samples, so a recorded session replays exactly, and the division of the bytes into messages makes no
difference.

Every utterance gets exactly one final. When the client stops, `receive_eof` ends the running
utterance of each channel, which requests a window for its final; the session emits `Ended` only
after the hypotheses of all final windows have arrived. The engine answers every window, with a
failure if it cannot be decoded.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count

import numpy as np

from stream.core.audio import SAMPLE_RATE, AudioDecoder, Gap, Sound, StreamDecoder
from stream.core.channel import Channel
from stream.core.events import Configured, Ended, Event, Failure, MarkReached, Progress
from stream.core.load import Load
from stream.core.settings import CONTAINER, SessionTuning, StreamSettings
from stream.core.vad import MakeDetector, webrtc_vad
from stream.core.windows import Hypothesis, Window
from stream.errors import SettingsError

CONFIGURABLE = frozenset({"language", "partials", "endpointing_ms", "keyterms", "prompt"})
"""The settings that `receive_configure` may change."""

MAX_MARKS = 256
"""Greatest number of outstanding marks, a bound on memory: enough for one every 40 ms for ten
seconds."""


class Session:
    """One client's stream, of one or more channels."""

    def __init__(
        self,
        session_id: str,
        settings: StreamSettings,
        tuning: SessionTuning | None = None,
        detector: MakeDetector = webrtc_vad,
        container: Callable[[int], AudioDecoder] | None = None,
    ) -> None:
        """Start at sample 0, before any audio.

        Args:
            session_id: id of the session, for its windows.
            settings: settings that the client chose.
            tuning: tuning of the server; None for the defaults.
            detector: returns a voice detector for a sample rate; called once for each channel.
            container: returns a decoder of containers for a number of channels; None if containers
                cannot be decoded.

        Raises:
            SettingsError: a setting is invalid, or the encoding is a container and `container` is
                None.
        """
        settings.check()
        self.id = session_id
        self.settings = settings
        self.received = 0
        """Samples passed to each channel so far, at the client's rate; gaps count."""
        self.gap_samples = 0
        """The number of samples of `received` that were in gaps, without audio."""
        self.ended = False
        self.load = Load.NORMAL
        self._no_more_audio = False
        """Whether the client has sent all its audio."""
        self._all_decoded = False
        """Whether the client has sent all its audio, and all of it was decoded."""
        self._windows: list[Window] = []
        self._events: list[Event] = []
        self._marks: list[tuple[int, list[int]]] = []
        """The id of each outstanding mark, with every channel's `judged_sample` when it arrived."""
        self._finals_reported = 0
        self._decoded = False
        """Whether any audio could be decoded."""
        self.decoder: AudioDecoder
        """If it returns samples later than it gets the bytes, the caller passes the samples to
        `receive_sounds`."""
        if settings.encoding != CONTAINER:
            self.decoder = StreamDecoder(settings.encoding, settings.channels)
        elif container is not None:
            self.decoder = container(settings.channels)
        else:
            raise SettingsError("encoding", "Containers are not decoded here; use pcm_s16le.")
        # Audio is passed on in steps of 20 ms, channel by channel, so that the order of events does
        # not depend on how the client divides its audio into messages.
        self._step = settings.sample_rate // 50
        self._pending = np.zeros((settings.channels, 0), np.float32)
        tuning, window_ids = tuning or SessionTuning(), count()
        self._max_gap_s = tuning.max_gap_s
        self._channels = [
            Channel(session_id, i, settings, tuning, detector(settings.sample_rate), window_ids)
            for i in range(settings.channels)
        ]

    def receive_audio(self, data: bytes) -> None:
        """Take any number of bytes of audio in the encoding of the settings."""
        if self._no_more_audio:
            message = "Audio came after the end of the stream; open a new stream for it."
            self._events.append(Failure("audio_after_end", message))
            return
        self._receive_sounds(self.decoder.decode(data))

    def receive_sounds(self, sounds: Sequence[Sound]) -> None:
        """Take samples and gaps that `decoder` had not returned when their bytes were received."""
        if not self._all_decoded:
            self._receive_sounds(sounds)
            self._end_if_decoded()

    def receive_break(self) -> None:
        """Drop an incomplete sample frame; a client that reconnects sends from sample `held`."""
        self.decoder.forget_leftover()

    def receive_gap(self, n_samples: int) -> None:
        """Advance the clock of all channels over a gap without audio, such as lost packets.

        Open utterances end, unless the gap is at most `BRIDGED`. A gap longer than `max_gap_s` is
        ignored, with a `Failure`; so is any gap after the end of the audio, without one.

        Args:
            n_samples: length of the gap in samples of each channel, at the client's rate.
        """
        if not self._no_more_audio and n_samples > 0:
            self._receive_gap(n_samples)

    def _receive_gap(self, n_samples: int) -> None:
        rate, longest_s = self.settings.sample_rate, self._max_gap_s
        if n_samples > longest_s * rate:
            message = (
                f"The time stamps jump by {n_samples / rate:.1f} s, and the limit (max_gap_s) is "
                f"{longest_s:g} s: the jump was ignored, and later times are relative to that."
            )
            self._events.append(Failure("gap_too_long", message))
            return
        self._feed(self._pending.shape[1])
        for channel in self._channels:
            channel.receive_gap(n_samples)
            self._collect(channel)
        self.gap_samples += n_samples
        self._advance(n_samples)

    def receive_hypothesis(self, hypothesis: Hypothesis) -> None:
        """Take the hypothesis of one of the session's windows."""
        if hypothesis.failure:
            message = f"A window could not be transcribed: {hypothesis.failure}"
            self._events.append(Failure("transcription_failed", message))
        channel = self._channels[hypothesis.window.channel]
        channel.receive_hypothesis(hypothesis)
        self._collect(channel)
        self._settle()

    def receive_finalize(self, mark: int | None = None) -> None:
        """End all open utterances now, even in the middle of a word, so that their finals follow.

        If `mark` is given, `MarkReached` follows the finals.
        """
        self._feed(self._pending.shape[1])
        for channel in self._channels:
            channel.force_endpoint()
            self._collect(channel)
        if mark is not None:
            self.receive_mark(mark)
        self._settle()

    def receive_mark(self, mark: int) -> None:
        """Emit `MarkReached` once all speech before this point of the audio is final.

        If `MAX_MARKS` are outstanding, emit a `Failure` instead.
        """
        if len(self._marks) == MAX_MARKS:
            message = (
                f"{MAX_MARKS} marks have not been returned yet; wait for some, or send `finalize`."
            )
            self._events.append(Failure("too_many_marks", message))
            return
        self._feed(self._pending.shape[1])
        self._marks.append((mark, [channel.judged_sample for channel in self._channels]))
        self._settle()

    def receive_configure(self, changes: Mapping[str, object]) -> None:
        """Change settings from now on, and emit `Configured`.

        If one of the settings cannot be changed or is invalid, change none and emit a `Failure`.
        """
        try:
            fixed = sorted(set(changes) - CONFIGURABLE)
            if fixed:
                changeable = ", ".join(sorted(CONFIGURABLE))
                raise SettingsError(
                    fixed[0], f"{fixed[0]} is fixed for a stream; {changeable} can be changed."
                )
            settings = replace(self.settings, **changes)  # type: ignore[arg-type]
            settings.check()
        except SettingsError as error:
            self._events.append(Failure(error.code, str(error)))
            return
        self.settings = settings
        for channel in self._channels:
            channel.configure(settings)
        self._events.append(Configured(settings))

    def receive_load(self, load: Load) -> None:
        """Set the load of the server; if it has changed, apply it and emit `Progress`."""
        if load is self.load or self.ended:
            return
        self.load = load
        for channel in self._channels:
            channel.load = load
        self._report()

    def receive_eof(self) -> None:
        """End the audio; the remaining finals follow, and then `Ended`. Later calls do nothing."""
        if self._no_more_audio:
            return
        if self.decoder.leftover:
            message = (
                "The audio ended in the middle of a sample; its last "
                f"{self.decoder.leftover} bytes were left out. Check `encoding` and `channels`."
            )
            self._events.append(Failure("truncated_audio", message))
        self._no_more_audio = True
        self._receive_sounds(self.decoder.flush())
        self._end_if_decoded()

    def _end_if_decoded(self) -> None:
        """End all channels if the client has sent all its audio and all of it is decoded."""
        if self.decoder.owes_sounds or not self._no_more_audio:
            return
        self._feed(self._pending.shape[1])
        for channel in self._channels:
            channel.receive_end()
            self._collect(channel)
        self._all_decoded = True
        self._settle()

    def windows_to_transcribe(self) -> list[Window]:
        """Return the windows that became due since the last call."""
        windows, self._windows = self._windows, []
        return windows

    def events_to_send(self) -> list[Event]:
        """Return the events since the last call."""
        events, self._events = self._events, []
        return events

    @property
    def held(self) -> int:
        """Samples of each channel received so far, processed or not, at the client's rate."""
        return self.received + self._pending.shape[1]

    @property
    def settled(self) -> int:
        """The sample, at the client's rate, before which all audio is final or without speech."""
        if self.ended:
            return self.received
        settled = min(channel.settled_sample for channel in self._channels)
        return min(settled * self.settings.sample_rate // SAMPLE_RATE, self.received)

    @property
    def pending_s(self) -> float:
        """Seconds of speech that no hypothesis covers yet, in the channel with most of it."""
        return max(channel.lag_samples for channel in self._channels) / SAMPLE_RATE

    def _receive_sounds(self, sounds: Sequence[Sound]) -> None:
        """Take decoded samples and gaps, and report what could not be decoded."""
        for sound in sounds:
            if isinstance(sound, Gap):
                self._receive_gap(max(sound.samples, 0))
                continue
            self._pending = np.concatenate([self._pending, sound], axis=1)
            while self._pending.shape[1] >= self._step:
                self._feed(self._step)
        self._decoded = self._decoded or bool(sounds)
        for problem in self.decoder.take_problems():
            code = "damaged_audio" if self._decoded else "bad_audio"
            self._events.append(Failure(code, problem))

    def _feed(self, n_samples: int) -> None:
        """Pass the next `n_samples` pending samples to every channel."""
        samples, self._pending = self._pending[:, :n_samples], self._pending[:, n_samples:]
        for channel, channel_samples in zip(self._channels, samples, strict=True):
            channel.receive_samples(channel_samples)
            self._collect(channel)
        self._advance(n_samples)

    def _advance(self, n_samples: int) -> None:
        """Add `n_samples` to `received`, and emit `Progress` if a further second is complete."""
        seconds = self.received // self.settings.sample_rate
        self.received += n_samples
        if self.received // self.settings.sample_rate > seconds:
            self._report()
        self._settle()

    def _collect(self, channel: Channel) -> None:
        """Move the windows and events of a channel to those of the session."""
        self._windows += channel.windows_to_transcribe()
        self._events += channel.events_to_send()

    def _settle(self) -> None:
        """Emit the `Progress`, `MarkReached` and `Ended` events that are due now."""
        if self._finals() > self._finals_reported:
            self._report()
        while self._marks and self._all_final_before(self._marks[0][1]):
            self._events.append(MarkReached(self._marks.pop(0)[0]))
        if self._all_decoded and not self.ended and self._finals() == self._begun():
            self.ended = True
            self._report()
            speech_s = sum(channel.speech_samples for channel in self._channels) / SAMPLE_RATE
            self._events.append(Ended(self.received, self.settled, speech_s, self._finals()))

    def _report(self) -> None:
        self._finals_reported = self._finals()
        lag_ms = self.pending_s * 1000
        self._events.append(Progress(self.received, self.settled, lag_ms, self.load))

    def _finals(self) -> int:
        return sum(channel.finals for channel in self._channels)

    def _begun(self) -> int:
        return sum(channel.utterances_begun for channel in self._channels)

    def _all_final_before(self, samples: list[int]) -> bool:
        """Return whether all speech before these samples, one of each channel, is final."""
        pairs = zip(self._channels, samples, strict=True)
        return all(channel.all_final_before(sample) for channel, sample in pairs)
