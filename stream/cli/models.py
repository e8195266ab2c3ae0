"""`distil-stream models`: list the models, and which of them are installed."""

import json
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter


def models(*, as_json: Annotated[bool, Parameter(name="--json", negative=())] = False) -> None:
    """List the models that have a name; a folder or a hub id can be used as well.

    Parameters
    ----------
    as_json
        Print one JSON object for each model.
    """
    from stream.engine.checkpoints.checkpoint import (
        list_models,  # imported here, because it imports torch
    )

    rows = list_models()
    if as_json:
        for row in rows:
            print(json.dumps(asdict(row)))
        return
    print(f"{'name':18} {'parameters':>10} {'float16':>8}  {'languages':12}  {'here':4}  source")
    for row in rows:
        size = f"{row.parameters:>8} M {row.megabytes:>5} MB"
        here = "yes" if row.present else "no"
        print(f"{row.name:18} {size}  {row.languages:12}  {here:4}  {row.source}")
    print(
        "A folder with a checkpoint, or any hub id owner/name of a Whisper model, can be used, too."
    )
