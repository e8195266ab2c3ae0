"""`distil-stream models`: what there is to choose from, and what of it is here."""

import json
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter


def models(*, as_json: Annotated[bool, Parameter(name="--json", negative=())] = False) -> None:
    """List the models that have a name; a folder or a hub id serves as well.

    Parameters
    ----------
    as_json
        One JSON object a line.
    """
    from stream.engine.checkpoints.checkpoint import list_models  # it brings torch along

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
    print("A folder with a checkpoint, or any hub id owner/name of a Whisper model, serves, too.")
