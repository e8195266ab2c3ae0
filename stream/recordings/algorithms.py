"""The long-form algorithms by name."""

from stream.core.audio import SAMPLE_RATE
from stream.core.vad import MakeDetector
from stream.recordings.algorithm import Form, Place
from stream.recordings.chunked import Chunked
from stream.recordings.options import FileOptions, LongForm
from stream.recordings.sequential import Sequential

ALGORITHMS: dict[LongForm, type[Form]] = {"chunked": Chunked, "sequential": Sequential}


def new_form(options: FileOptions, place: Place, detector: MakeDetector) -> Form:
    """Return the algorithm that the options name, for one channel of a recording."""
    return ALGORITHMS[options.long_form](options, place, detector(SAMPLE_RATE))
