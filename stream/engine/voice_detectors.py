"""The voice detectors that a server can use, by name."""

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
    """Return a function that makes the detector of a channel.

    Args:
        name: `webrtc`, or `silero` for the network after it. If the network's wheel is not
            installed, `webrtc` is used and a warning is logged.
        aggressiveness: of `webrtc` alone, 0 to 3.

    Raises:
        CheckpointError: the checksum of the network's weights is wrong.
    """
    if name == "silero":
        path = weights_file()
        if path is not None:
            return partial(silero_gate, read_weights(path))
        logger.warning(
            "%s is not installed: webrtcvad decides alone, and takes more noise for speech",
            DISTRIBUTION,
        )
    return partial(webrtc_vad, aggressiveness=aggressiveness)


def silero_gate(
    networks: Mapping[int, SileroWeights],
    sample_rate: int,
    enter: float = ENTER,
    leave: float = LEAVE,
) -> VoiceDetector:
    """Return a detector with the network for telephone lines, or with that for all other audio.

    On telephone audio the other network detects the first word up to half a second late.

    Args:
        networks: by sample rate, from `read_weights`.
        sample_rate: at which the client sends, in hertz.
        enter: probability at which speech begins.
        leave: probability below which speech ends.
    """
    rate = NARROW_BAND if sample_rate <= NARROW_BAND else SAMPLE_RATE
    return SileroGate(networks[rate], enter, leave)
