"""The figure in docs/architecture.md is drawn from the table of states."""

from pathlib import Path

from stream.server.streams.state_diagram import diagram, generated, with_figure
from stream.server.streams.states import TRANSITIONS, Event, State

PAGE = Path(__file__).parents[3] / "docs/architecture.md"
COMMAND = "python -m stream.server.streams.state_diagram docs/architecture.md"


def test_the_committed_figure_is_up_to_date() -> None:
    page = PAGE.read_text()
    assert generated() in page, f"run {COMMAND}"
    assert with_figure(page) == page


def test_the_figure_has_every_step_from_one_state_to_another() -> None:
    lines = diagram().splitlines()
    for state, row in TRANSITIONS.items():
        for event, target in row.items():
            arrow = f"    {state.name} --> {target.name}: "
            events = [line.removeprefix(arrow) for line in lines if line.startswith(arrow)]
            shown = bool(events) and event.name in events[0].split(", ")
            assert shown == (state is not target)


def test_an_old_figure_is_replaced() -> None:
    page = PAGE.read_text()
    old = page.replace(f"    {State.NEW.name} --> {State.OPENED.name}: {Event.OPEN.name}\n", "")
    assert old != page
    assert with_figure(old) == page
