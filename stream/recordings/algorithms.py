"""Selects a long-form algorithm by its name."""

from stream.core.audio import SAMPLE_RATE
from stream.core.vad import MakeDetector
from stream.recordings.algorithm import LongFormAlgorithm, WindowOrigin
from stream.recordings.chunked import Chunked
from stream.recordings.options import FileOptions, LongForm
from stream.recordings.sequential import Sequential

ALGORITHMS: dict[LongForm, type[LongFormAlgorithm]] = {"chunked": Chunked, "sequential": Sequential}


def new_algorithm(
    options: FileOptions, origin: WindowOrigin, detector: MakeDetector
) -> LongFormAlgorithm:
    """Create the algorithm that `options.long_form` names, for one channel of a recording."""
    return ALGORITHMS[options.long_form](options, origin, detector(SAMPLE_RATE))
