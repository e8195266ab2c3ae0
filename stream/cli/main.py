"""The command line: registers the commands; the module of a command is imported when it runs."""

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from stream.config import SOURCES, ServerConfig
from stream.errors import DistilStreamError
from stream.server.blocking import exit_now_if_threads_run

BENCHMARKS = {
    "engine": "Time and CPU time of a window, compared with other engines.",
    "load": "Streams that a server can serve, compared with a usual server.",
    "longform": "Time and word errors on long recordings, compared with others.",
    "idle": "The cost of streams without speech.",
    "loop": "How long other clients wait while one attacks the server.",
    "margins": "Word errors by the length of the silence after the speech.",
    "readers": "The cost of many readers of one room.",
    "short-windows": "Repetitions in short windows, by the length that is encoded.",
    "terms": "Names that are recognised, with and without key terms.",
    "confidence": "The share of correct words, by confidence.",
    "languages": "Accuracy of language detection, in one language and in alternating ones.",
    "word-times": "Errors of the word times.",
    "page": "Latency of committed words on the captions page, in a real browser.",
    "rehearsal": "The effect of session settings, simulated on the audio clock.",
    "guards": "Words that the guards against invented text remove, at each limit.",
    "repeated": "Copies that are recognised in repeated speech, and their cost.",
    "save": "Run a measurement and store its result.",
    "results": "Write docs/benchmarks.md from stored results.",
    "ttfs": "Time from the end of speech to its final, as agents measure it.",
    "voice": "False alarms in noise, and speech that is missed.",
}
"""Help of each command under `bench`; `word-times` is `run` in `stream/bench/word_times.py`."""

app = App(
    name="distil-stream",
    help="Real-time speech to text over a websocket, with Whisper and Distil-Whisper models.",
)
bench = App(name="bench", help="Measure speed and accuracy on this machine.", sort_key=4)
app.command(bench)
# The commands are named by their paths instead of imported, because their libraries load slowly.
app.command(
    "stream.cli.transcribe:transcribe", help="Transcribe recordings, locally or through a server."
)
app.command(
    "stream.cli.call:call",
    help="Stream a recorded call as a telephone line would; print its dialogue.",
)
app.command("stream.cli.mic:mic", help="Show captions of the microphone in the terminal.")
app.command("stream.cli.watch:watch", help="Show a room in the terminal, live.")
app.command("stream.cli.keys:app", name="keys", help="Add, list and revoke the keys of a server.")
app.command("stream.cli.doctor:doctor", help="Measure this machine, and suggest faster settings.")
app.command("stream.cli.models:models", help="List the models, and which of them are installed.")
app.command(
    "stream.evaluate.command:evaluate", help="Measure word errors and latency on recordings."
)
app.command(
    "stream.distil.commands:app",
    name="distil",
    help="Train a smaller model (a student) from a Whisper model.",
)

for name, text in BENCHMARKS.items():
    bench.command(f"stream.bench.{name.replace('-', '_')}:run", name=name, help=text)


@app.command(config=SOURCES, sort_key=0)
def serve(
    *,
    config: Annotated[Path | None, Parameter(show_default=False)] = None,
    settings: ServerConfig | None = None,
) -> None:
    """Run the server: the captions page, the websocket and HTTP interfaces.

    Every option is also an environment variable (--max-sessions is DISTIL_STREAM_MAX_SESSIONS) and
    a key of the configuration file (max_sessions). An option takes precedence over a variable, a
    variable over the file.

    Parameters
    ----------
    config
        TOML file of settings; can also be set by DISTIL_STREAM_CONFIG.
    """
    from stream.engine.model_families import load_transcriber
    from stream.server.logs import set_up_logging
    from stream.server.running import serve as run_server

    settings = settings or ServerConfig()
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
            settings.encoder_memory_mb,
            settings.padded_retries,
        )
        runner.run(run_server(settings, load, announce))


def announce(address: str) -> None:
    """Print the address of the captions page."""
    print(f"Captions of your microphone: {address}", flush=True)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return the factory of uvloop; on Windows, which it does not support, that of asyncio."""
    if sys.platform == "win32":
        return asyncio.new_event_loop
    import uvloop

    return uvloop.new_event_loop


def main() -> None:
    """Run the command. An error of this package is printed, with exit status 1."""
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
