"""`distil-stream doctor`: measure this machine, and suggest settings that reduce latency."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from stream.engine.capacity import Capacity
    from stream.engine.network.choosing import Choice

TRIES = 3
HOPS_MS = (1000, 2000)
"""New audio between two partials: the default, and twice as much."""


def doctor(
    *,
    model: str = "base",
    again: Annotated[bool, Parameter(negative=())] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Show how this machine computes a model, how fast, and how many streams it can serve.

    Parameters
    ----------
    model
        Name of the model, as for `serve`.
    again
        Measure the ways again, even if results are stored.
    as_json
        Print one JSON object.
    """
    from stream.engine.capacity import measure_capacity
    from stream.engine.checkpoints.checkpoint import load_checkpoint
    from stream.engine.network.choosing import choose_ways, machine
    from stream.engine.network.whisper import Whisper

    network = Whisper.from_checkpoint(load_checkpoint(model), precision="float32")
    choice = choose_ways(network.encoder, network.decoder, again=again)
    network.use(choice.ways)
    capacity = measure_capacity(network, TRIES)
    facts = machine()
    advice = what_to_change(model, capacity)
    if as_json:
        measured = {**asdict(capacity), "streams": round(capacity.streams(), 2)}
        print(json.dumps({**facts, "model": model, **asdict(choice), **measured, "advice": advice}))
        return
    console = Console(highlight=False)
    for name, value in facts.items():
        console.print(f"{name:13} {'none' if value is None else value}")
    console.print(ways_table(choice))
    console.print(
        f"A partial of ten seconds of speech takes {1000 * capacity.partial_s:.0f} ms of one core, "
        f"a final {1000 * capacity.final_s:.0f} ms."
    )
    console.print(f"With {model} this machine can serve {counted(capacity.streams())} of speech.")
    for line in advice:
        console.print(f"- {line}")


def ways_table(choice: "Choice") -> Table:
    """Return a table of the operations: the selected way, its time, and the other ways."""
    table = Table("operation", "way", "ms", "other ways")
    for operation, way in choice.ways.items():
        ms = choice.ms.get(operation, {})
        others = [f"{name}: {took:.3g} ms" for name, took in ms.items() if name != way]
        others += [f"{name}: {why}" for name, why in choice.refused.get(operation, {}).items()]
        took = f"{ms[way]:.3g}" if way in ms else ""
        table.add_row(operation, way, took, "\n".join(others))
    return table


def counted(streams: float) -> str:
    """Format a number of streams."""
    if streams < 1:
        return f"less than one live stream ({streams:.2f})"
    return "one live stream" if streams < 2 else f"{int(streams)} live streams"


def what_to_change(model: str, capacity: "Capacity") -> list[str]:
    """Return changes that allow more streams or lower latency, the cheapest first."""
    fewer = capacity.streams(HOPS_MS[1])
    advice = [
        f"`--partial-hop-ms {HOPS_MS[1]}`: half as many partials, for {counted(fewer)}.",
    ]
    if model == "base":
        advice.append(
            "`make run MODEL=tiny.en`: English only, about twice as fast, with more word errors."
        )
        advice.append(
            '`make run ARGS="--assistant distil-base.en --partials assistant"`: a student '
            "transcribes the partials, English only; the finals stay those of base."
        )
    advice.append("A CUDA GPU: `--device cuda` can serve many streams, and larger models.")
    if capacity.cores < 2:
        advice.append("More cores: the process may use fewer than two (see `cores` and `quota`).")
    return advice
