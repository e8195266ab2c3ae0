"""The long-form algorithms by name."""

from stream.core.audio import SAMPLE_RATE
from stream.core.settings import SessionTuning
from stream.core.vad import MakeDetector
from stream.recordings.algorithm import Form, Place
from stream.recordings.chunked import Chunked
from stream.recordings.options import FileOptions, LongForm
from stream.recordings.sequential import Sequential
from stream.recordings.speech_track import SpeechTrack

ALGORITHMS: dict[LongForm, type[Form]] = {"chunked": Chunked, "sequential": Sequential}


def new_form(
    options: FileOptions,
    place: Place,
    detector: MakeDetector,
    tuning: SessionTuning | None = None,
) -> Form:
    """Return the algorithm that the options name, for one channel of a recording.

    Args:
        options: of the recording.
        place: of the channel.
        detector: makes the channel's voice detector.
        tuning: how speech begins; the default tuning if None.
    """
    track = SpeechTrack(detector(SAMPLE_RATE), tuning or SessionTuning())
    return ALGORITHMS[options.long_form](options, place, track)
