"""Decodes partials by the assistant alone, which is faster than the model and less accurate.

A partial is replaced after about a second, so the assistant decodes it. The model decodes windows
whose words are permanent: finals, with the assistant's last words as the draft that is verified;
windows of the greatest length, whose first words the session commits; and windows of recordings.
"""

from collections.abc import Sequence

from stream.core.windows import Hypothesis, Window, WindowKind
from stream.engine.transcriber import Transcriber


class PartialsByAssistant:
    """Combines two transcribers; sessions must not commit words on which partials agree."""

    def __init__(self, model: Transcriber, assistant: Transcriber) -> None:
        """Combine two loaded transcribers that have the same tokens."""
        self.name = model.name
        self.languages = model.languages
        self.at_once = model.at_once
        self.memories = assistant.memories
        """The assistant's: its windows are those that follow each other."""
        self._model = model
        self._assistant = assistant

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes that a token spells; the tokens of both are the same."""
        return self._model.token_bytes(token)

    def transcribe(self, windows: Sequence[Window]) -> list[Hypothesis]:
        """Return one hypothesis for each window, in order."""
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
