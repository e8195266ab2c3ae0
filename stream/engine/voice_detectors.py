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
"""Hertz: the sample rate of telephone audio."""


def choose_detector(name: str, aggressiveness: int = 2) -> MakeDetector:
    """Return a function that makes the detector of a channel.

    Args:
        name: `webrtc`, or `silero` for webrtcvad with Silero's network after it. If the package
            with the network is not installed, `webrtc` is used and a warning is logged.
        aggressiveness: 0 to 3, for `webrtc` only.

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
    """Return a detector with the 8 kHz network for telephone audio, or else the 16 kHz network.

    On telephone audio the 16 kHz network detects the first word up to half a second late.

    Args:
        networks: weights by sample rate, from `read_weights`.
        sample_rate: sample rate of the client's audio, in hertz.
        enter: probability at which speech begins.
        leave: probability below which speech ends.
    """
    rate = NARROW_BAND if sample_rate <= NARROW_BAND else SAMPLE_RATE
    return SileroGate(networks[rate], enter, leave)
