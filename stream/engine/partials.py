"""Partials by the assistant: it says at once what the model will have heard.

A partial is shown for a second and forgotten, so the assistant alone decodes it. What is promised
to stay is the model's: a final, with the assistant's last words as the draft that it verifies, and
a window that has grown to the limit, whose words the session commits in order to go on.
"""

from collections.abc import Sequence

from stream.core.audio import SAMPLE_RATE
from stream.core.settings import SessionTuning
from stream.core.windows import Hypothesis, Window, WindowKind
from stream.engine.engine import Transcriber

FULL = round(SessionTuning().max_window_s * SAMPLE_RATE)
"""Samples of a window that has grown to the limit."""


class PartialsByAssistant:
    """Two transcribers as one; sessions must not commit what partials agree on."""

    def __init__(self, model: Transcriber, assistant: Transcriber) -> None:
        """Take both, ready; the assistant speaks the model's tokens."""
        self.name = model.name
        self.languages = model.languages
        self.at_once = model.at_once
        self._model = model
        self._assistant = assistant

    def transcribe(self, windows: Sequence[Window]) -> list[Hypothesis]:
        """Return one hypothesis a window, in order."""
        heard: dict[int, Hypothesis] = {}
        for transcriber in (self._model, self._assistant):
            rows = [i for i, window in enumerate(windows) if self._who(window) is transcriber]
            if rows:
                answers = transcriber.transcribe([windows[i] for i in rows])
                heard |= zip(rows, answers, strict=True)
        return [heard[i] for i in range(len(windows))]

    def _who(self, window: Window) -> Transcriber:
        stays = window.kind is WindowKind.FINAL or len(window.samples) >= FULL
        return self._model if stays else self._assistant
