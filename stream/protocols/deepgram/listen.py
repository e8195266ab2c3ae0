"""Deepgram's live transcription, `/v1/listen`.

Theory of operation. The settings are in the query. A setting that cannot be served is refused
before the handshake, and one that is accepted but has no effect is listed in `Metadata.warnings`. A
stream is open at once. Binary messages are audio; `Finalize`, `CloseStream`, `KeepAlive` and
`Configure` are text.

An utterance is one final result (`is_final`), whose range includes the silence before it. The
result is `speech_final` if a pause or the client ended the utterance. `Finalize` is a mark in the
session: the last final of each channel before the mark has `from_finalize`. If that final was sent
before the mark, an empty result with `from_finalize` is sent. Each final therefore waits in
`ChannelResults.held` until all events that follow from one message are handled.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from stream.core import events
from stream.core.audio import SAMPLE_RATE, samples_of_ms
from stream.core.windows import Word
from stream.errors import PeerError
from stream.protocols.close_codes import CloseCode
from stream.protocols.deepgram import parameters
from stream.protocols.deepgram.connection import DeepgramConnection
from stream.protocols.deepgram.results import ChannelResults, Json, alternative
from stream.protocols.interface import Closing, QueuedMessage
from stream.protocols.open_sessions import OpenSession

IDLE_S = 10.0
"""Seconds without audio and `KeepAlive` after which Deepgram disconnects a client."""

NET_0001 = "NET-0001: neither audio nor KeepAlive came for 10 s."


class DeepgramProtocol(DeepgramConnection):
    """One live stream."""

    paths = ("/v1/listen",)
    idle_s = IDLE_S

    def prepare(self) -> None:
        """Begin the accounts of the channels."""
        self.created_s = self.service.wall_time()
        self.results: list[ChannelResults] = []
        self._marks: dict[int, int] = {}
        """Each outstanding `Finalize`, and the 16 kHz sample at which it came."""
        self._ended_at: dict[int, int] = {}
        """Where the speech of each channel ended last."""

    # Messages from the client

    def handle_text(self, text: str) -> None:
        """Act on a JSON message; one that cannot be read is answered, and the stream goes on."""
        try:
            message = self.read_message(text)
        except ValueError as error:
            self._send_schema_error(str(error), text)
            return
        if self.no_more_audio:
            return
        match message["type"]:
            case "KeepAlive":
                pass
            case "Finalize":
                if marked := self.finalize():
                    self._marks[marked[0]] = marked[1]
            case "CloseStream":
                self.close_stream()
            case "Configure":
                self._configure(message)
            case kind:
                self._send_schema_error(f"There is no message of type {kind!r}.", text)

    def announce(self, opened: OpenSession) -> None:
        """Begin the ranges of the channels."""
        self.results = [ChannelResults(i, self.n_channels) for i in range(self.n_channels)]

    def _configure(self, message: Json) -> None:
        """Replace the key terms; tell about features that the server does not have."""
        terms, features = message.get("keyterms"), message.get("features")
        answer: Json = {"type": "ConfigureSuccess", "request_id": self.request_id}
        try:
            if terms is not None:
                keyterms = parameters.checked_keyterms([str(term) for term in terms])
                if self.session is not None:
                    self.session.receive_configure({"keyterms": keyterms})
                answer["keyterms"] = list(keyterms)
            if isinstance(features, dict) and any(features.values()):
                names = ", ".join(name for name, on in features.items() if on)
                self._send_configure_failure(
                    "CONFIGURE_INTERNAL_ERROR", f"The server has no feature {names}."
                )
                return
        except PeerError as error:
            self._send_configure_failure("CONFIGURE_KEYTERM_LIMIT_EXCEEDED", str(error))
        except TypeError:
            self._send_schema_error("keyterms is no list.", str(message))
        else:
            self.send(QueuedMessage(answer))

    # Messages to the client

    def send_event(self, opened: OpenSession, event: events.Event) -> None:
        """Queue the messages of an event."""
        match event:
            case events.SpeechStarted(channel=channel, sample=sample):
                self._send_speech_started(channel, sample)
            case events.SpeechEnded(channel=channel, sample=sample):
                self._ended_at[channel] = sample
            case events.Partial():
                self._send_partial(event)
            case events.Final(channel=channel):
                self._send_held(channel)
                self.results[channel].starts.pop(0)
                self.results[channel].held = event
            case events.MarkReached(id=mark):
                self._send_finalized(self._marks.pop(mark))
            case events.Failure(code="bad_audio", message=message) if self.now_sample == 0:
                self.fail("malformed", message)  # nothing could be decoded
            case events.Failure(code=code, message=message):
                self.complain(code, message)
            case events.Ended():
                self._send_end(opened)

    def collect(self) -> None:
        """Pass on the events of all sessions, and then the finals that no `Finalize` waits for."""
        super().collect()
        if self.closing is None:
            for channel in range(len(self.results)):
                self._send_held(channel)
            self._send_utterance_ends()

    def _send_speech_started(self, channel: int, sample: int) -> None:
        self._send_held(channel)
        results = self.results[channel]
        results.starts.append(sample)
        self._send_utterance_end(results)
        # An utterance that was split in the middle of its speech goes on where it stopped.
        if self.asked.vad_events and self._ended_at.get(channel) != sample:
            body = {
                "type": "SpeechStarted",
                "channel": results.index,
                "timestamp": round(sample / SAMPLE_RATE, 3),
            }
            self.send(QueuedMessage(body))

    def _send_partial(self, event: events.Partial) -> None:
        if not self.asked.interim_results:
            return
        words = event.committed + event.tentative
        if words:
            span = self.results[event.channel].show_range(event.end_sample)
            body = self._results(span, words, "", is_final=False, speech_final=False)
            self.send(QueuedMessage(body, subject=("results", event.channel), replaceable=True))

    def _send_held(self, channel: int, finalized_at: int | None = None) -> bool:
        """Send the final that waits, if there is one; return whether there was."""
        results = self.results[channel]
        final, results.held = results.held, None
        if final is None:
            return False
        paused = final.endpoint_ms > 0
        last = final.words[-1].end_sample if final.words else final.end_sample
        # After a split the next utterance may begin before the split, at the last word.
        end = max(final.end_sample, last) if paused or not final.words else last
        from_finalize = finalized_at is not None
        span = results.take_range(max(end, finalized_at or 0))
        speech_final = (self.asked.endpointing and paused) or from_finalize
        body = self._results(
            span, final.words, final.language, True, speech_final, from_finalize=from_finalize
        )
        opened = self.sessions.get(self.session_id)
        received_at = opened.speech_received_at(final) if opened else None
        self.send(QueuedMessage(body, ("results", channel), speech_received_at=received_at))
        if final.words:
            results.last_word_sample = last
        self._send_utterance_end(results)
        return True

    def _send_finalized(self, sample: int) -> None:
        """Send the results that answer `Finalize`, one for each channel."""
        for channel, results in enumerate(self.results):
            if not self._send_held(channel, sample):
                span = results.take_range(sample)
                self.send(QueuedMessage(self._results(span, (), "", True, True, True)))

    def _send_end(self, opened: OpenSession) -> None:
        """Send what is left of the audio as ranges without speech, and then the metadata."""
        for channel, results in enumerate(self.results):
            self._send_held(channel)
            if results.settled_sample < self.now_sample:
                span = results.take_range(self.now_sample)
                self.send(QueuedMessage(self._results(span, (), "", True, False)))
        created = datetime.fromtimestamp(self.created_s, UTC)
        body: Json = {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": self.request_id,
            "sha256": self.digest.hexdigest(),
            "created": created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "duration": round(opened.received_s, 3),
            "channels": len(self.results),
            "models": [self.request_id],
            "model_info": {self.request_id: self._model_info()},
        }
        if self.asked.warnings:
            body["warnings"] = list(self.asked.warnings)
        self.send(QueuedMessage(body))

    def _send_utterance_ends(self) -> None:
        """Send each `UtteranceEnd` that the audio clock has made due."""
        for results in self.results:
            self._send_utterance_end(results)

    def _send_utterance_end(self, results: ChannelResults) -> None:
        if self.asked.utterance_end_ms is not None:
            gap = samples_of_ms(self.asked.utterance_end_ms)
            if body := results.utterance_ended(self.now_sample, gap):
                self.send(QueuedMessage(body))

    def _results(
        self,
        span: Json,
        words: Sequence[Word],
        language: str,
        is_final: bool,
        speech_final: bool,
        from_finalize: bool = False,
    ) -> Json:
        shown = language if self.asked.multilingual else ""
        return {
            "type": "Results",
            **span,
            "is_final": is_final,
            "speech_final": speech_final,
            "from_finalize": from_finalize,
            "channel": {
                "alternatives": [alternative(words, shown, punctuated=self.asked.punctuated)]
            },
            "metadata": {
                "request_id": self.request_id,
                "model_info": self._model_info(),
                "model_uuid": self.request_id,
            },
        }

    def _model_info(self) -> Json:
        return {"name": self.service.model, "version": "1", "arch": "whisper"}

    def _send_schema_error(self, sentence: str, message: str) -> None:
        self.counts.errors += 1
        body = {"type": "Error", "variant": "SchemaError", "description": sentence}
        self.send(QueuedMessage({**body, "message": message[:500]}))

    def _send_configure_failure(self, code: str, sentence: str) -> None:
        self.counts.errors += 1
        body = {"type": "ConfigureFailure", "request_id": self.request_id, "code": code}
        self.send(QueuedMessage({**body, "description": sentence}))

    def send_error(self, code: str, sentence: str, fatal: bool) -> None:
        """Queue `Error`."""
        self.send(QueuedMessage({"type": "Error", "variant": code, "description": sentence}))

    def close_frame(self, closing: Closing) -> Closing:
        """Return the close frame; for a client that was silent it has Deepgram's own code."""
        reason = NET_0001 if closing.code == CloseCode.IDLE else closing.reason
        return super().close_frame(Closing(closing.code, reason))
