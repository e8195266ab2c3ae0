"""Runs a measurement and stores its JSON line with the facts of the machine."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stream.bench.runs import Run, as_typed, machine, write_run
from stream.errors import UsageError

MAIN = "import sys; from stream.cli.main import main; sys.exit(main())"


def run(
    file: Path, *command: Annotated[str, Parameter(allow_leading_hyphen=True)], source: str = ""
) -> int:
    """Run a command of distil-stream, and store its last line with the facts of the machine.

    The output is passed through, and the exit status is that of the command. An example:
    `distil-stream bench save benchmarks/results/engine.json bench engine --data FOLDER`.

    Parameters
    ----------
    file
        JSON file to write.
    command
        The command and its options, without `distil-stream`; its last line must be a JSON object.
    source
        A remark about the run, such as what else the machine was doing.
    """
    if not command:
        raise UsageError("Name the command to run after the file: bench engine --data FOLDER.")
    facts = machine()  # before the command: a checkout may change while it runs
    last = ""
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, *command], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line if line.strip() else last
    try:
        summary = json.loads(last)
        if not isinstance(summary, dict):
            raise ValueError("it is another kind of value")
    except ValueError as error:
        raise UsageError(f"The last line of the command is not a JSON object: {error}.") from error
    write_run(
        Run(
            command=as_typed(command),
            ways=os.environ.get("DISTIL_STREAM_WAYS") or "auto",
            source=f"measured; {source}" if source else "measured",
            summary=summary,
            **facts,
        ),
        file,
    )
    return process.returncode
