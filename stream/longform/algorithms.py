"""The long-form algorithms by name."""

from stream.core.audio import SAMPLE_RATE
from stream.core.vad import MakeDetector
from stream.longform.chunked import Chunked
from stream.longform.form import Form, Place
from stream.longform.options import FileOptions, LongForm
from stream.longform.sequential import Sequential

ALGORITHMS: dict[LongForm, type[Form]] = {"chunked": Chunked, "sequential": Sequential}


def new_form(options: FileOptions, place: Place, detector: MakeDetector) -> Form:
    """Return the algorithm that the options name, for one channel of a recording."""
    return ALGORITHMS[options.long_form](options, place, detector(SAMPLE_RATE))
