from dataclasses import replace

import numpy as np
import pytest
import torch

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import DecodingOptions, Window, WindowKind
from stream.engine.decoding.rows import DecodeResult, Ending
from stream.engine.whisper_transcriber import (
    OFFLINE,
    WhisperTranscriber,
    other_spans,
    should_retry_padded,
    speech_in_new_language,
    urgent,
)
from stream.engine.words.coverage import AudioSpan
from stream.engine.words.reading import Fault, Reading
from stream.errors import UsageError

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def transcriber(tiny_checkpoint) -> WhisperTranscriber:
    transcriber = WhisperTranscriber(tiny_checkpoint, device="cpu")
    transcriber.warm_up()
    return transcriber


class Lacking(torch.nn.Module):
    """A layer whose operator this processor lacks."""

    def forward(self, *args):
        raise RuntimeError("no such operator here")


def test_a_way_that_fails_on_this_machine_is_reported_at_start(tiny_checkpoint):
    """Not window by window, by a server that looks ready."""
    transcriber = WhisperTranscriber(tiny_checkpoint, device="cpu")
    transcriber.recognizer.model.encoder.layers[0].attend = Lacking()
    with pytest.raises(UsageError, match=r"no such operator.*encoder_attention=.*`--ways auto`"):
        transcriber.warm_up()


def window(samples, start=0, speech=None, **changes) -> Window:
    samples = np.ascontiguousarray(samples, np.float32)
    spans = ((start, start + len(samples)),) if speech is None else speech
    return Window("s", 1, 0, 0, WindowKind.FINAL, start, samples, spans, **changes)


def seconds(speech, start, end):
    return speech[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]


def text(hypothesis) -> str:
    return "".join(word.text for word in hypothesis.words)


def bounds(hypothesis) -> list[int]:
    return [sample for w in hypothesis.words for sample in (w.start_sample, w.end_sample)]


def test_it_recognises_the_words_and_their_times(transcriber, speech):
    heard = transcriber.transcribe([window(seconds(speech, 0, 8), start=160_000)])[0]
    assert heard.failure == ""
    assert "it was the worst of times" in text(heard).lower()
    samples = bounds(heard)
    assert samples == sorted(samples)
    assert samples[0] >= 160_000
    assert samples[-1] <= heard.window.end_sample
    assert all(0 < w.confidence <= 1 for w in heard.words)
    assert heard.timing.encode_ms > 0
    assert heard.timing.decoder_passes > len(heard.words)


def test_the_words_do_not_depend_on_the_position_of_the_window(transcriber, speech):
    here, there = (
        transcriber.transcribe([window(seconds(speech, 0, 5), start)])[0].words
        for start in (0, 99_000)
    )
    moved = [
        replace(w, start_sample=w.start_sample + 99_000, end_sample=w.end_sample + 99_000)
        for w in here
    ]
    assert list(there) == moved


def test_a_batch_gives_each_window_the_words_that_it_has_alone(transcriber, speech):
    windows = [window(seconds(speech, a, b)) for a, b in ((0, 4), (4, 12), (12, 17), (20, 22))]
    together = [text(h) for h in transcriber.transcribe(windows)]
    assert together == [text(transcriber.transcribe([w])[0]) for w in windows]


def test_the_words_make_the_next_windows_draft(transcriber, speech):
    plain = transcriber.transcribe([window(seconds(speech, 0, 8))])[0]
    draft = tuple(token for w in plain.words for token in w.tokens)
    drafted = transcriber.transcribe([replace(plain.window, draft=draft)])[0]
    assert [w.tokens for w in drafted.words] == [w.tokens for w in plain.words]
    assert bounds(drafted) == bounds(plain)
    assert drafted.timing.accepted_tokens == drafted.timing.drafted_tokens == len(draft)
    assert drafted.timing.decoder_passes < plain.timing.decoder_passes / 4


@pytest.mark.parametrize("n_samples", [0, 1, 1_599, 32_000])
def test_silence_needs_no_window(transcriber, n_samples):
    silence = window(np.zeros(n_samples), speech=())
    short = window(np.zeros(min(n_samples, 1_599)))
    for heard in transcriber.transcribe([silence, short]):
        assert heard.words == ()
        assert heard.failure == ""
        assert heard.timing.decoder_passes == 0


@pytest.mark.parametrize("level", [0.0, 1e-3, 0.05])
def test_noise_that_the_vad_classified_as_speech_has_few_words(transcriber, level):
    noise = np.random.default_rng(0).normal(0, 1, 5 * SAMPLE_RATE) * level
    assert len(transcriber.transcribe([window(noise)])[0].words) <= 2


@pytest.mark.parametrize(
    ("kinds", "awaited", "cores_wanted"),
    [
        ("P", False, False),
        ("PP", True, True),
        ("PF", False, True),
        ("R", False, True),
        ("RR", False, False),
    ],
)
def test_live_windows_use_the_free_cores(kinds, awaited, cores_wanted):
    kind = {"P": WindowKind.PARTIAL, "F": WindowKind.FINAL, "R": WindowKind.FILE}
    windows = [replace(window(np.zeros(1600)), kind=kind[letter]) for letter in kinds]
    windows[-1] = replace(windows[-1], awaited=awaited)
    assert urgent(windows) is cores_wanted


def test_a_window_that_fails_does_not_lose_its_neighbours(transcriber, speech):
    good = window(seconds(speech, 0, 4))
    strange = replace(good, samples=np.zeros((64_000, 2), np.float32), id=2)
    strange = replace(strange, speech=((0, 64_000),))
    heard = transcriber.transcribe([good, strange, good])
    assert text(heard[0]) == text(heard[2]) != ""
    assert heard[1].words == ()
    assert heard[1].failure.startswith("The model failed")


def test_a_language_that_the_model_lacks_is_a_failure(base_checkpoint, speech):
    base = WhisperTranscriber(base_checkpoint, device="cpu")
    asked = window(seconds(speech, 0, 3), options=DecodingOptions(language="xx"))
    assert "no language 'xx'" in base.transcribe([asked])[0].failure
    auto = window(seconds(speech, 0, 3), options=DecodingOptions(language="auto"))
    assert base.transcribe([auto])[0].language == "en"
    assert "en" in base.languages
    assert "de" in base.languages


def test_more_than_one_window_of_audio_is_decoded_in_turn(transcriber, speech):
    heard = text(transcriber.transcribe([window(speech)])[0]).lower()
    assert "best of times" in heard
    assert "comparison only" in heard  # its last words, 44 s on


def test_the_reference_is_plain_decoding(transcriber, speech):
    reference = transcriber.offline(seconds(speech, 0, 8))
    again = transcriber.transcribe([window(seconds(speech, 0, 8))], OFFLINE)[0]
    assert text(reference) == text(again)
    assert "best of times" in text(reference)


@pytest.mark.parametrize(
    ("expected", "heard_in", "own_s", "alone"),
    [
        ("fr", "de", 4.0, True),
        ("de", "de", 4.0, False),
        ("", "de", 4.0, False),
        ("fr", "de", 0.0, False),
    ],
)
def test_speech_after_another_language_is_decoded_without_context(expected, heard_in, own_s, alone):
    options = DecodingOptions(language="auto", expected_language=expected)
    own = round(own_s * SAMPLE_RATE)
    heard_window = window(np.zeros(8 * SAMPLE_RATE), options=options, own_sample=own)
    result = DecodeResult((), (), heard_in, 0.0, Ending.END_OF_TEXT, 1, 0, 0, None)
    span = AudioSpan(heard_window, 0, (5,))
    found = speech_in_new_language(span, Reading((), result, frozenset()))
    assert found == (AudioSpan(heard_window, own, ()) if alone else None)
    if found is not None:
        assert speech_in_new_language(found, Reading((), result, frozenset())) is None


@pytest.mark.parametrize(
    ("faults", "log_p", "again"),
    [
        # For a partial, a final and a part of a recording: at full padding, and with sampling?
        ({Fault.DOUBTFUL}, -0.6, [(False, False), (True, False), (False, False)]),
        ({Fault.DOUBTFUL, Fault.UNSURE}, -1.2, [(False, False), (True, True), (True, True)]),
        ({Fault.PAST_SPEECH}, -0.1, [(True, False), (True, False), (True, False)]),
        ({Fault.LOOP, Fault.CROWDED}, -0.6, [(True, False), (True, True), (True, True)]),
        ({Fault.LOOP, Fault.CROWDED}, -0.1, [(True, False), (True, False), (True, False)]),
        ({Fault.LOOP, Fault.DIFFUSE}, -0.6, [(False, False), (True, False), (True, False)]),
    ],
)
def test_doubtful_finals_are_decoded_again_if_worth_the_time(faults, log_p, again):
    result = DecodeResult((), (log_p,), "en", 0.0, Ending.END_OF_TEXT, 1, 0, 0, None)
    heard = Reading((), result, frozenset(faults))
    kinds = (WindowKind.PARTIAL, WindowKind.FINAL, WindowKind.FILE)
    spans = [AudioSpan(replace(window(np.zeros(9)), kind=kind), 0) for kind in kinds]
    assert [
        (should_retry_padded(heard, s, 0.0), should_retry_padded(heard, s, 0.2)) for s in spans
    ] == again


def test_the_parts_of_a_sure_repetition_are_decoded_in_its_place():
    result = DecodeResult((), (-0.1,), "en", 0.0, Ending.LOOP, 1, 0, 0, None)
    looping = Reading((), result, frozenset({Fault.LOOP}))
    long = AudioSpan(window(np.zeros(20 * SAMPLE_RATE)), 0)
    found = other_spans(long, looping)
    assert len(found) == 3
    assert not should_retry_padded(looping, found[0], 0.0)
    assert other_spans(found[0], looping) == ()
    guesses = replace(looping, result=replace(result, log_probabilities=(-0.6,)))
    assert other_spans(long, guesses) == ()
    assert other_spans(long, replace(looping, faults=frozenset({Fault.DIFFUSE}))) == ()


@pytest.mark.parametrize(("copies", "gap_s"), [(3, 0.9), (5, 0.15)])
def test_a_phrase_that_was_spoken_several_times_is_transcribed_as_often(
    transcriber, speech, copies, gap_s
):
    phrase = seconds(speech, 2.35, 4.45)  # it was the worst of times
    pause = np.zeros(round(gap_s * SAMPLE_RATE), np.float32)
    samples = np.concatenate([part for _ in range(copies) for part in (phrase, pause)])
    found = transcriber.transcribe([window(samples)])[0]
    assert text(found).lower().count("worst of times") == copies
