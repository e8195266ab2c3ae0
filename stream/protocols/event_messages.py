"""Converts events of a session to messages of the native protocol, and samples to seconds."""

from collections.abc import Sequence
from dataclasses import asdict

from msgspec import UNSET, UnsetType

from stream.core import events
from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Word
from stream.protocols import messages


def seconds(sample: int) -> float:
    """Return the time of a 16 kHz sample in seconds, rounded to milliseconds."""
    return round(sample / SAMPLE_RATE, 3)


def text_of(words: Sequence[Word]) -> str:
    """Return the concatenated words, with the spaces of the model."""
    return "".join(word.text for word in words)


def message_of(event: events.Event, with_words: bool) -> messages.Outgoing:
    """Return the message for an event; `with_words` includes the words with their times.

    The message for a `Failure` with a close code is a fatal error.
    """
    match event:
        case events.SpeechStarted(channel, utterance, sample):
            return messages.SpeechStarted(
                channel=channel, utterance=utterance, time=seconds(sample)
            )
        case events.SpeechEnded(channel, utterance, sample):
            return messages.SpeechEnded(channel=channel, utterance=utterance, time=seconds(sample))
        case events.Partial():
            return partial(event, with_words)
        case events.Final():
            return final(event, with_words)
        case events.Progress(received, settled, lag_ms, load):
            return messages.Progress(
                received=received, settled=settled, lag_ms=round(lag_ms, 1), load=load.value
            )
        case events.AudioGap(channel, start, end):
            return messages.Gap(channel=channel, time=seconds(start), duration=seconds(end - start))
        case events.MarkReached(id):
            return messages.MarkReached(id=id)
        case events.Configured(settings):
            return messages.Configured(**asdict(settings))
        case events.Failure(code, message, close_code):
            return messages.Error(code=code, message=message, fatal=close_code is not None)
        case events.Ended(received, settled, speech_s, finals):
            return messages.Ended(
                received=received, settled=settled, speech_s=round(speech_s, 3), finals=finals
            )


def partial(event: events.Partial, with_words: bool) -> messages.Partial:
    """Return the message for a partial; its text is `committed + tentative`, spaces included."""
    committed = text_of(event.committed).lstrip()
    tentative = text_of(event.tentative)
    return messages.Partial(
        channel=event.channel,
        utterance=event.utterance,
        revision=event.revision,
        start=seconds(event.start_sample),
        end=seconds(event.end_sample),
        committed=committed,
        tentative=tentative if committed else tentative.lstrip(),
        words=timed(event.committed + event.tentative) if with_words else UNSET,
    )


def final(event: events.Final, with_words: bool) -> messages.Final:
    """Return the message for a final; `latency.total_ms` is set when the message is sent."""
    return messages.Final(
        channel=event.channel,
        utterance=event.utterance,
        start=seconds(event.start_sample),
        end=seconds(event.end_sample),
        text=text_of(event.words).strip(),
        language=event.language,
        confidence=round(event.confidence, 3),
        words=timed(event.words) if with_words else UNSET,
        problems=event.problems or UNSET,
        latency=messages.Latency(
            endpoint_ms=round(event.endpoint_ms, 1),
            queue_ms=round(event.timing.queue_ms, 1),
            encode_ms=round(event.timing.encode_ms, 1),
            decode_ms=round(event.timing.decode_ms, 1),
        ),
    )


def timed(words: Sequence[Word]) -> tuple[messages.Word, ...] | UnsetType:
    """Return words with their times and confidences."""
    return tuple(
        messages.Word(
            word=word.text.strip(),
            start=seconds(word.start_sample),
            end=seconds(word.end_sample),
            confidence=round(word.confidence, 3),
        )
        for word in words
    )
