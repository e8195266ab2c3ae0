"""The runtimes of JavaScript that the tests use, and what npm has installed for them."""

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".venv-clients"
TOOLS = ENVIRONMENTS / "node-tools"
"""TypeScript and the packages with which the JavaScript client may be used."""
RUNTIMES = ("node", "deno", "bun")
EXECUTABLES = {"deno": "@deno/*/deno", "bun": "@oven/bun-*/bin/bun"}
"""Where npm puts them, in `node_modules`: the runtime of this machine alone is installed."""
NODE = shutil.which("node")


def needs(folder: Path) -> None:
    """Skip the test if npm has not installed a folder, or if it needs a newer Node."""
    if not (folder / "installed").exists():
        pytest.skip(f"{folder.name} is not installed: run `make test-clients`")
    manifest = json.loads((folder / "package.json").read_text())
    oldest = int(re.search(r"\d+", manifest["engines"]["node"])[0])
    if node_version() < oldest:
        pytest.skip(f"needs Node {oldest} or newer: apt-get install nodejs")


@cache
def node_version() -> int:
    """The major version of Node; 0 if there is none."""
    if NODE is None:
        return 0
    printed = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout
    return int(printed.removeprefix("v").split(".")[0])


def runtime_command(runtime: str) -> list[str]:
    """The beginning of the command that runs a program; skips the test if there is none."""
    if runtime == "node":
        if NODE is None:
            pytest.skip("needs Node: apt-get install nodejs")
        return [NODE]
    modules = ENVIRONMENTS / "node-runtimes" / "node_modules"
    found = sorted(modules.glob(EXECUTABLES[runtime]))
    if not found:
        pytest.skip(f"{runtime} is not installed: run `make test-clients`")
    options = {"deno": ["run", "--allow-all", "--node-modules-dir=manual"], "bun": ["run"]}
    return [str(found[0]), *options[runtime]]
