"""Partials decoded by the assistant alone, which is sooner than the model and less accurate.

A partial is shown for a second and replaced, so the assistant decodes it. What stays is decoded by
the model: a final, with the assistant's last words as the draft that it verifies; a window that has
grown to the limit, whose first words the session commits in order to go on; and every window of a
recording.
"""

from collections.abc import Sequence

from stream.core.windows import Hypothesis, Window, WindowKind
from stream.engine.engine import Transcriber


class PartialsByAssistant:
    """Two transcribers as one; sessions must not commit what partials agree on."""

    def __init__(self, model: Transcriber, assistant: Transcriber) -> None:
        """Take two loaded transcribers that have the same tokens."""
        self.name = model.name
        self.languages = model.languages
        self.at_once = model.at_once
        self.memories = assistant.memories
        """The assistant's: its windows are those that follow each other."""
        self._model = model
        self._assistant = assistant

    def transcribe(self, windows: Sequence[Window]) -> list[Hypothesis]:
        """Return one hypothesis a window, in order."""
        hypotheses: dict[int, Hypothesis] = {}
        for transcriber in (self._model, self._assistant):
            rows = [i for i, w in enumerate(windows) if self._transcriber_of(w) is transcriber]
            if rows:
                found = transcriber.transcribe([windows[i] for i in rows])
                hypotheses |= zip(rows, found, strict=True)
        return [hypotheses[i] for i in range(len(windows))]

    def _transcriber_of(self, window: Window) -> Transcriber:
        replaced_soon = window.kind is WindowKind.PARTIAL and not window.full
        return self._assistant if replaced_soon else self._model
