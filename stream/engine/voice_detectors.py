"""The detectors of speech that a server can be told to use, by name."""

import logging
from collections.abc import Mapping
from functools import partial

from stream.core.audio import SAMPLE_RATE
from stream.core.silero import SileroWeights
from stream.core.silero_gate import ENTER, LEAVE, SileroGate
from stream.core.vad import MakeDetector, VoiceDetector, webrtc_vad
from stream.engine.checkpoints.silero_weights import DISTRIBUTION, read_weights, weights_file

logger = logging.getLogger(__name__)

NARROW_BAND = 8_000
"""The sample rate of telephones."""


def choose_detector(name: str, aggressiveness: int = 2) -> MakeDetector:
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
            return partial(silero_gate, read_weights(path))
        logger.warning(
            "%s is not installed: webrtcvad decides alone, and calls more noise speech",
            DISTRIBUTION,
        )
    return partial(webrtc_vad, aggressiveness=aggressiveness)


def silero_gate(
    networks: Mapping[int, SileroWeights],
    sample_rate: int,
    enter: float = ENTER,
    leave: float = LEAVE,
) -> VoiceDetector:
    """Return a detector by the network for telephone lines, or by that for all others.

    On a telephone the other hears the first word up to half a second late.
    """
    rate = NARROW_BAND if sample_rate <= NARROW_BAND else SAMPLE_RATE
    return SileroGate(networks[rate], enter, leave)
