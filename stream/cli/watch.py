"""`distil-stream watch`: show a room in the terminal, live."""

import asyncio
from contextlib import aclosing
from typing import Annotated

from cyclopts import Parameter
from distil_stream_client import (
    ConnectionLost,
    Line,
    Presence,
    RoomEvent,
    ServerError,
    Snapshot,
    read_room,
)

from stream.cli.screen import Screen
from stream.cli.transcribe_remote import print_error


def watch(
    room: str,
    /,
    *,
    server: str = "ws://127.0.0.1:8765",
    api_key: Annotated[str | None, Parameter(env_var="DISTIL_STREAM_API_KEY")] = None,
) -> int:
    """Show the captions of a room until Ctrl-C; then print the transcript.

    Committed words are solid, words that may change are dim. After a loss of the connection, it
    reconnects. If the output is a file or a pipe, each line is printed when it is final.

    Parameters
    ----------
    room
        Name of the room.
    server
        Address of the server.
    api_key
        Key of the server.
    """
    try:
        asyncio.run(follow(room, server, api_key, Screen(room)))
    except KeyboardInterrupt:
        return 0
    except (ServerError, ConnectionLost) as error:
        print_error(f"{error}")
        return 1
    return 0


async def follow(room: str, server: str, api_key: str | None, screen: Screen) -> None:
    """Show the events of a room until they end."""
    printed: set[int] = set()
    async with aclosing(read_room(server, room, api_key=api_key)) as events:
        if not screen.console.is_terminal:
            async for event in events:
                for line in finals(event):
                    if line.line not in printed and line.text:
                        print(f"{line.speaker}: {line.text}", flush=True)
                    printed.add(line.line)
            return
        with screen:
            async for event in events:
                show(event, screen)
                screen.refresh()


def show(event: RoomEvent, screen: Screen) -> None:
    """Update the screen with an event."""
    match event:
        case Snapshot(lines=lines):
            screen.captions.clear()
            for line in lines:
                screen.show(line.line, line.start, line.speaker, line.committed, line.tentative)
        case Line(line=number):
            screen.show(number, event.start, event.speaker, event.committed, event.tentative)
    if isinstance(event, Presence):
        speakers = ", ".join(event.speakers)
        screen.set_status(
            f"Live: {speakers}. Ctrl-C ends." if event.live else "No stream is open. Ctrl-C ends."
        )


def finals(event: RoomEvent) -> list[Line]:
    """Return the final lines in an event."""
    lines = event.lines if isinstance(event, Snapshot) else [event]
    return [line for line in lines if isinstance(line, Line) and line.final]
