"""Captions on one screen of a terminal."""

import io

from rich.console import Console

from stream.cli.screen import Screen


def a_console(**options) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=60, height=10, **options)


def drawn(screen: Screen) -> list[str]:
    """The rows of the screen as it stands."""
    console = Console(file=io.StringIO(), width=60, height=10)
    with console.capture() as capture:
        console.print(screen)
    return capture.get().split("\n")


def test_the_latest_captions_fill_the_screen_from_below():
    screen = Screen("standup", a_console())
    for n in range(30):
        screen.show(n, float(n), "Ada", f"line {n}")
    screen.set_status("Live")
    rows = [row.rstrip() for row in drawn(screen)]
    assert len(rows) <= 11
    assert rows[0] == "  standup"
    assert rows[2:9] == [f"  Ada  line {n}" for n in range(23, 30)]
    assert rows[9] == "  Live"


def test_captions_are_in_the_order_of_time():
    screen = Screen("standup", a_console())
    screen.show("b", 5.0, "Bob", "second")
    screen.show("a", 1.0, "Ada", "first")
    said = [row.strip() for row in drawn(screen) if "  " in row.strip()]
    assert said == ["Ada  first", "Bob  second"]


def test_long_captions_are_wrapped_and_their_end_is_seen():
    screen = Screen("standup", a_console())
    screen.show(1, 0.0, "Ada", " ".join(f"word{n}" for n in range(200)))
    rows = drawn(screen)
    assert "word199" in rows[8]
    assert all(len(row.rstrip()) <= 60 for row in rows)


def test_confident_words_are_solid_and_others_dim():
    screen = Screen("standup", a_console())
    screen.show(1, 0.0, "Ada", "It was", " the beast")
    with screen.console.capture() as capture:
        screen.console.print(screen)
    assert "It was\x1b[2m the beast" in capture.get()
    screen.show(1, 0.0, "Ada", "", "")
    assert not any("It was" in row for row in drawn(screen))


def test_speakers_keep_their_colours():
    screen = Screen("standup", a_console())
    for n, speaker in enumerate(("Ada", "Bob", "Ada", "Cy")):
        screen.show(n, float(n), speaker, "hi")
    with screen.console.capture() as capture:
        screen.console.print(screen)
    text = capture.get()
    assert text.count("\x1b[1;36mAda") == 2
    assert text.count("\x1b[1;33mBob") == text.count("\x1b[1;35mCy") == 1


def test_the_other_screen_is_left_and_the_transcript_printed():
    console = a_console()
    with Screen("standup", console) as screen:
        screen.show(1, 0.0, "Ada", "It was [bold]the[/bold] best", " of thymes")
        screen.refresh()
    text = console.file.getvalue()
    assert "\x1b[?1049h" in text
    assert (
        text.split("\x1b[?1049l")[1]
        .strip()
        .endswith("It was [bold]the[/bold] best\x1b[2m of thymes\x1b[0m")
    )


def test_nothing_is_cleared_between_two_pictures():
    """That is what flickers: a cleared screen, seen before it is drawn."""
    console = a_console()
    with Screen("standup", console) as screen:
        console.file.truncate(0)
        for n in range(5):
            screen.show(n, float(n), "Ada", f"line {n}")
            screen.refresh()
        assert "\x1b[2J" not in console.file.getvalue()


def test_without_a_terminal_nothing_is_drawn():
    console = Console(file=io.StringIO(), width=60)
    with Screen("standup", console) as screen:
        screen.show(1, 0.0, "Ada", "hi")
        screen.refresh()
    assert console.file.getvalue() == "Ada  hi\n"
