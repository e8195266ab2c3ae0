"""Draws live captions in a terminal: a title, the last lines that fit, and a status line.

All are drawn on the alternate screen of the terminal. At the end, the transcript is printed on the
normal screen, where it can be scrolled and copied.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

COLOURS = ("cyan", "yellow", "magenta", "green", "blue", "red")
"""Colours of the speakers, in order of their first utterance."""

MEASURE = 88
"""Maximum width of the text in columns: longer rows are hard to read."""


@dataclass(slots=True)
class Caption:
    """An utterance on the screen."""

    start: float
    speaker: str
    committed: str
    tentative: str


class Screen:
    """Holds the captions, and draws them on a terminal within a `with` block.

    At the end of the block the transcript is printed, whether or not the output is a terminal.
    """

    def __init__(self, title: str, console: Console | None = None) -> None:
        self.title = title
        self.status = ""
        self.captions: dict[Hashable, Caption] = {}
        self.console = console or Console()
        self._colours: dict[str, str] = {}
        self._live = Live(
            self, console=self.console, screen=True, auto_refresh=False, vertical_overflow="crop"
        )

    def __enter__(self) -> "Screen":
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()
        for caption in self._in_order():
            if caption.committed:
                self.console.print(self._text(caption), soft_wrap=True)

    def show(
        self, key: Hashable, start: float, speaker: str, committed: str, tentative: str = ""
    ) -> None:
        """Set the words of the utterance `key`, or remove the utterance if there are none.

        The change becomes visible with `refresh`.
        """
        self._colour(speaker)
        if committed or tentative:
            self.captions[key] = Caption(start, speaker, committed, tentative)
        else:
            self.captions.pop(key, None)

    def set_status(self, status: str) -> None:
        """Set the text of the status line."""
        self.status = status

    def refresh(self) -> None:
        """Draw the captions and the status line."""
        if self.console.is_terminal:
            self._live.refresh()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the title, the last rows of captions that fit, and the status line."""
        height = options.height or console.height
        width = min(options.max_width - 4, MEASURE)
        rows: list[list[Segment]] = []
        for caption in reversed(self._in_order()):
            if len(rows) >= height - 3:
                break
            text = self._text(caption)
            rows = [*console.render_lines(text, options.update(width=width), pad=False), *rows]
        rows = rows[-(height - 3) :]
        yield from line(Text(f"  {self.title}", style="bold"), console, options)
        yield Segment("\n" * (height - 2 - len(rows)))
        for row in rows:
            yield from (Segment("  "), *row, Segment.line())
        yield Text(f"  {self.status}", style="dim", end="", no_wrap=True, overflow="ellipsis")

    def _in_order(self) -> list[Caption]:
        return sorted(self.captions.values(), key=lambda caption: caption.start)

    def _text(self, caption: Caption) -> Text:
        label = f"{caption.speaker}  " if caption.speaker else ""
        style = Style(color=self._colour(caption.speaker), bold=True)
        return Text.assemble((label, style), caption.committed, (caption.tentative, "dim"))

    def _colour(self, speaker: str) -> str:
        colour = COLOURS[len(self._colours) % len(COLOURS)]
        return self._colours.setdefault(speaker, colour)


def line(text: Text, console: Console, options: ConsoleOptions) -> list[Segment]:
    """Render a text as a single row."""
    return [*console.render_lines(text, options, pad=False)[0], Segment.line()]
