"""Windows for tests that need no sound."""

import numpy as np

from stream.core.windows import Window, WindowKind


def a_window(
    id: int = 0,
    session: str = "s",
    *,
    utterance: int = 1,
    channel: int = 0,
    final: bool = False,
    start_sample: int = 0,
    n_samples: int = 1600,
    kind: WindowKind | None = None,
    full: bool = False,
) -> Window:
    return Window(
        session=session,
        id=id,
        channel=channel,
        utterance=utterance,
        kind=kind or (WindowKind.FINAL if final else WindowKind.PARTIAL),
        start_sample=start_sample,
        samples=np.zeros(n_samples, np.float32),
        speech=((start_sample, start_sample + n_samples),),
        full=full,
    )
