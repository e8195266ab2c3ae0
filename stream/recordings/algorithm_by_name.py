"""Selects a long-form algorithm by its name."""

from stream.core.audio import SAMPLE_RATE
from stream.core.settings import SessionTuning
from stream.core.vad import MakeDetector
from stream.recordings.chunked import Chunked
from stream.recordings.long_form_algorithm import LongFormAlgorithm, WindowOrigin
from stream.recordings.options import FileOptions, LongForm
from stream.recordings.sequential import Sequential
from stream.recordings.speech_track import SpeechTrack

ALGORITHMS: dict[LongForm, type[LongFormAlgorithm]] = {"chunked": Chunked, "sequential": Sequential}


def new_algorithm(
    options: FileOptions,
    origin: WindowOrigin,
    detector: MakeDetector,
    tuning: SessionTuning | None = None,
) -> LongFormAlgorithm:
    """Create the algorithm that `options.long_form` names, for one channel of a recording.

    Args:
        options: the options of the recording.
        origin: labels the windows of the channel.
        detector: creates the VAD of the channel.
        tuning: how the onset of speech is detected; the default tuning if None.
    """
    track = SpeechTrack(detector(SAMPLE_RATE), tuning or SessionTuning())
    return ALGORITHMS[options.long_form](options, origin, track)
