"""The detectors of speech that a server can be told to use, by name."""

import logging
from collections.abc import Callable
from functools import partial

from stream.core.silero_gate import SileroGate
from stream.core.vad import VoiceDetector, WebRtcVad
from stream.engine.silero_weights import DISTRIBUTION, read_weights, weights_file

logger = logging.getLogger(__name__)


def choose_detector(name: str, aggressiveness: int = 2) -> Callable[[], VoiceDetector]:
    """Return what makes a detector for each channel.

    Args:
        name: `webrtc`, or `silero` for the network behind it; where its wheel is not installed,
            that is `webrtc` and a line in the log.
        aggressiveness: of `webrtc` alone, 0 to 3.

    Raises:
        CheckpointError: the weights are not what they should be.
    """
    if name == "silero":
        path = weights_file()
        if path is not None:
            return partial(SileroGate, read_weights(path))
        logger.warning(
            "%s is not installed: webrtcvad decides alone, and calls more noise speech",
            DISTRIBUTION,
        )
    return partial(WebRtcVad, aggressiveness)
