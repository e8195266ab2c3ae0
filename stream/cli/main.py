"""The command line: each command is a function; modules are imported when their command runs."""

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from stream.config import SOURCES, ServerConfig
from stream.errors import DistilStreamError
from stream.server.threads import exit_now_if_threads_run

DEFAULTS = ServerConfig()

app = App(
    name="distil-stream",
    help="Real-time speech to text over a websocket, with Whisper and Distil-Whisper models.",
)
bench = App(name="bench", help="Measure speed and accuracy on this machine.", sort_key=4)
app.command(bench)
# Named, not imported: each brings its own libraries along.
app.command("stream.cli.transcribe:transcribe", help="Transcribe recordings, or stream them.")
app.command("stream.cli.call:call", help="Play a call as a phone line would, print the dialogue.")
app.command("stream.cli.mic:mic", help="Caption this machine's microphone in the terminal.")
app.command("stream.cli.watch:watch", help="Show a room in the terminal, live.")
app.command("stream.cli.doctor:doctor", help="Show how fast this machine is, and what helps.")
app.command("stream.cli.models:models", help="List the models, and which of them are here.")
app.command(
    "stream.evaluate.command:evaluate", help="Count word errors and milliseconds on recordings."
)
app.command("stream.distil.commands:app", name="distil", help="Make a student of a Whisper model.")
bench.command(
    "stream.bench.engine:run",
    name="engine",
    help="Time and CPU time of a window, next to others.",
)
bench.command(
    "stream.bench.load:run",
    name="load",
    help="Streams that a server carries, next to a usual one.",
)
bench.command(
    "stream.bench.longform:run",
    name="longform",
    help="Long recordings: time and word errors, next to others.",
)
bench.command("stream.bench.idle:run", name="idle", help="What streams cost that say nothing.")
bench.command(
    "stream.bench.margins:run", name="margins", help="Word errors by silence after the speech."
)
bench.command(
    "stream.bench.readers:run", name="readers", help="What many readers of one room cost."
)
bench.command(
    "stream.bench.short_windows:run",
    name="short-windows",
    help="Repetitions in windows that have only begun, by what is encoded.",
)
bench.command(
    "stream.bench.terms:run", name="terms", help="Names found, with key terms and without."
)
bench.command(
    "stream.bench.confidence:run",
    name="confidence",
    help="How many words of each confidence are right.",
)
bench.command(
    "stream.bench.languages:run",
    name="languages",
    help="Which language `auto` hears, alone and by turns.",
)
bench.command("stream.bench.word_times:run", name="word-times", help="How far word times are off.")
bench.command(
    "stream.bench.page:run",
    name="page",
    help="How soon the captions page commits a word, in a real browser.",
)
bench.command(
    "stream.bench.rehearsal:run",
    name="rehearsal",
    help="What the settings of a session are worth, on the audio clock alone.",
)
bench.command("stream.bench.save:run", name="save", help="Run a measurement and store its result.")
bench.command(
    "stream.bench.results:run", name="results", help="Write docs/benchmarks.md from stored results."
)
bench.command(
    "stream.bench.voice:run",
    name="voice",
    help="False alarms in noise, and speech that is lost.",
)


@app.command(config=SOURCES, sort_key=0)
def serve(
    *,
    config: Annotated[Path | None, Parameter(show_default=False)] = None,
    settings: ServerConfig = DEFAULTS,
) -> None:
    """Serve the captions page and the websocket that it speaks with.

    Every option is also an environment variable (--max-sessions is DISTIL_STREAM_MAX_SESSIONS) and
    a key of the configuration file (max_sessions). An option wins over a variable, a variable over
    the file.

    Parameters
    ----------
    config
        TOML file of settings; DISTIL_STREAM_CONFIG may name it, too.
    """
    from stream.engine.registry import load_transcriber
    from stream.server.logs import set_up_logging
    from stream.server.running import serve as run_server

    set_up_logging(settings.log_level, settings.log_format)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        load = partial(
            load_transcriber,
            settings.model,
            settings.precision,
            settings.device,
            settings.assistant,
            settings.partials,
            settings.ways,
        )
        runner.run(run_server(settings, load, announce))


def announce(address: str) -> None:
    """Print the one address to open."""
    print(f"Captions of your microphone: {address}", flush=True)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return uvloop's, which exists everywhere but on Windows."""
    if sys.platform == "win32":
        return asyncio.new_event_loop
    import uvloop

    return uvloop.new_event_loop


def main() -> None:
    """Run the command; what the user can put right ends in a sentence and exit status 1."""
    status: int | str | None = 0
    try:
        app()
    except DistilStreamError as error:
        print(f"distil-stream: {error}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        status = 130
    except SystemExit as ending:
        status = ending.code
    exit_now_if_threads_run(status if isinstance(status, int) else int(status is not None))
    sys.exit(status)
