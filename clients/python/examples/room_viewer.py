# /// script
# requires-python = ">=3.11"
# dependencies = ["distil-stream-client"]
# [tool.uv.sources]
# distil-stream-client = { path = ".." }
# ///
"""Prints the transcript of a room, line by line: `room_viewer.py ROOM [SERVER]`, until Ctrl-C."""

import sys
from contextlib import suppress

from distil_stream_client import Line, Presence, Snapshot, sync


def main(room: str, server: str) -> None:
    """Print the lines so far, then each line when it is final."""
    for event in sync.read_room(server, room):
        match event:
            case Snapshot(lines=lines):
                for line in lines:
                    if line.final:
                        print(f"{line.speaker}: {line.text}", flush=True)
            case Line(final=True) if event.text:
                print(f"{event.speaker}: {event.text}", flush=True)
            case Presence(live=False):
                print("No stream is open in the room any more.", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    with suppress(KeyboardInterrupt):
        main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:8765")
