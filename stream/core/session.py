"""A transcription session: a pure object with two peers.

The client sends audio and requests, and receives events. The engine receives windows, and returns
hypotheses. The `receive_*` methods never raise for an error of a peer, but emit a `Failure`. The
results are drained by `windows_to_transcribe` and `events_to_send`. The only clock is the count of
samples, so a recorded session replays exactly, and the division of the bytes into messages makes no
difference.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count

import numpy as np

from stream.core.audio import SAMPLE_RATE, AudioDecoder, StreamDecoder
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
"""The most outstanding marks, which bounds memory: ten seconds of one for each frame of 40 ms."""


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
        """Begin a session.

        Args:
            session_id: names the session in its windows.
            settings: the client's.
            tuning: the server's; the default one if None.
            detector: makes the voice detector of a channel.
            container: makes the decoder of containers for a number of channels; None if containers
                cannot be decoded.

        Raises:
            SettingsError: the settings cannot be served.
        """
        settings.check()
        self.id = session_id
        self.settings = settings
        self.received = 0
        """Samples of each channel fed to it so far, at the client's rate."""
        self.ended = False
        self.load = Load.NORMAL
        self._no_more_audio = False
        self._windows: list[Window] = []
        self._events: list[Event] = []
        self._marks: list[tuple[int, list[int]]] = []
        """Outstanding marks, and how many samples each channel had judged at each."""
        self._finals_reported = 0
        self._decoder: AudioDecoder
        if settings.encoding != CONTAINER:
            self._decoder = StreamDecoder(settings.encoding, settings.channels)
        elif container is not None:
            self._decoder = container(settings.channels)
        else:
            raise SettingsError("encoding", "Containers are not decoded here; use pcm_s16le.")
        self._problem_reported = False
        # Audio is fed in steps of 20 ms, channel by channel, however it was divided into messages:
        # the order of events must not depend on that.
        self._step = settings.sample_rate // 50
        self._pending = np.zeros((settings.channels, 0), np.float32)
        tuning, window_ids = tuning or SessionTuning(), count()
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
        self._pending = np.concatenate([self._pending, self._decoder.decode(data)], axis=1)
        self._report_problem()
        while self._pending.shape[1] >= self._step:
            self._feed(self._step)

    def receive_break(self) -> None:
        """Drop an incomplete sample: the client continues at sample `held`, with a whole one."""
        self._decoder.forget_leftover()

    def receive_hypothesis(self, hypothesis: Hypothesis) -> None:
        """Take the engine's hypothesis of one of the windows."""
        if hypothesis.failure:
            message = f"A window could not be transcribed: {hypothesis.failure}"
            self._events.append(Failure("transcription_failed", message))
        channel = self._channels[hypothesis.window.channel]
        channel.receive_hypothesis(hypothesis)
        self._collect(channel)
        self._settle()

    def receive_finalize(self, mark: int | None = None) -> None:
        """Make all audio so far final, even in the middle of a word; then send the mark."""
        self._feed(self._pending.shape[1])
        for channel in self._channels:
            channel.force_endpoint()
            self._collect(channel)
        if mark is not None:
            self.receive_mark(mark)
        self._settle()

    def receive_mark(self, mark: int) -> None:
        """Send the mark back once all speech that was detected before it is final."""
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
        """Change settings from here on; nothing changes if one cannot be changed or served."""
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
        """Set how busy the engine is with all streams, and report it to the client."""
        if load is self.load or self.ended:
            return
        self.load = load
        for channel in self._channels:
            channel.load = load
        self._report()

    def receive_eof(self) -> None:
        """End the audio: finals for the rest of it follow, and then `Ended`."""
        if self._no_more_audio:
            return
        if self._decoder.leftover:
            message = (
                "The audio ended in the middle of a sample; its last "
                f"{self._decoder.leftover} bytes were left out. Check `encoding` and `channels`."
            )
            self._events.append(Failure("truncated_audio", message))
        self._pending = np.concatenate([self._pending, self._decoder.flush()], axis=1)
        self._report_problem()
        while self._pending.shape[1] > self._step:
            self._feed(self._step)
        self._feed(self._pending.shape[1])
        for channel in self._channels:
            channel.receive_end()
            self._collect(channel)
        self._no_more_audio = True
        self._settle()

    def windows_to_transcribe(self) -> list[Window]:
        """Return the windows that became due, each once."""
        windows, self._windows = self._windows, []
        return windows

    def events_to_send(self) -> list[Event]:
        """Return the events since the last call."""
        events, self._events = self._events, []
        return events

    @property
    def held(self) -> int:
        """Samples of each channel that were received, fed or pending, at the client's rate."""
        return self.received + self._pending.shape[1]

    @property
    def settled(self) -> int:
        """Samples at the client's rate before which all audio is final or holds no speech."""
        if self.ended:
            return self.received
        settled = min(channel.settled_sample for channel in self._channels)
        return min(settled * self.settings.sample_rate // SAMPLE_RATE, self.received)

    @property
    def pending_s(self) -> float:
        """Seconds of speech that no hypothesis covers yet."""
        return max(channel.lag_samples for channel in self._channels) / SAMPLE_RATE

    def _report_problem(self) -> None:
        """Report once that bytes cannot be decoded."""
        if self._decoder.problem and not self._problem_reported:
            self._problem_reported = True
            self._events.append(Failure("bad_audio", self._decoder.problem))

    def _feed(self, n_samples: int) -> None:
        """Feed the next pending samples to every channel."""
        samples, self._pending = self._pending[:, :n_samples], self._pending[:, n_samples:]
        for channel, channel_samples in zip(self._channels, samples, strict=True):
            channel.receive_samples(channel_samples)
            self._collect(channel)
        seconds = self.received // self.settings.sample_rate
        self.received += n_samples
        if self.received // self.settings.sample_rate > seconds:
            self._report()
        self._settle()

    def _collect(self, channel: Channel) -> None:
        """Take the windows and events that became due in a channel."""
        self._windows += channel.windows_to_transcribe()
        self._events += channel.events_to_send()

    def _settle(self) -> None:
        """Emit what new finals have made due: progress, marks, the end."""
        if self._finals() > self._finals_reported:
            self._report()
        while self._marks and self._all_final_before(self._marks[0][1]):
            self._events.append(MarkReached(self._marks.pop(0)[0]))
        if self._no_more_audio and not self.ended and self._finals() == self._begun():
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
