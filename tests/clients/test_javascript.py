"""The tests of the JavaScript client, run by Node, and what it has in common with Python."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from distil_stream_client import policy
from distil_stream_client.states import TRANSITIONS

ROOT = Path(__file__).parents[2]
TESTS = Path(__file__).with_name("javascript")
CLIENT = ROOT / "clients" / "javascript"
NODE = shutil.which("node")
NEEDED = 18
"""The oldest version of Node that has the test runner."""


def node(*arguments: str | Path) -> str:
    assert NODE
    finished = subprocess.run([NODE, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def version() -> int:
    return int(node("--version").removeprefix("v").split(".")[0]) if NODE else 0


pytestmark = pytest.mark.skipif(
    version() < NEEDED, reason=f"needs Node {NEEDED} or newer: apt-get install nodejs"
)


@pytest.mark.parametrize("path", sorted(TESTS.glob("*.test.mjs")), ids=lambda path: path.name)
def test_in_node(path: Path) -> None:
    assert "# pass 0" not in node("--test", "--test-reporter=tap", path)


def evaluated(expression: str) -> Any:
    """What an expression is, in terms of the modules `states` and `policy`."""
    modules = "".join(
        f"import * as {name} from {json.dumps(str(CLIENT / f'{name}.js'))};"
        for name in ("states", "policy")
    )
    script = f"{modules} console.log(JSON.stringify({expression}));"
    return json.loads(node("--input-type=module", "--eval", script))


def test_both_clients_have_the_same_states() -> None:
    table = {
        state.value: {cause.value: following.value for cause, following in causes.items()}
        for state, causes in TRANSITIONS.items()
    }
    assert evaluated("states.TRANSITIONS") == table


def test_both_clients_have_the_same_policy() -> None:
    constants = evaluated(
        "Object.fromEntries(Object.entries(policy)"
        ".filter(([, value]) => typeof value !== 'function')"
        ".map(([name, value]) => [name, value instanceof Set ? [...value] : value]))"
    )
    assert len(constants) > 10
    for name, value in constants.items():
        ours = getattr(policy, name)
        assert ours == (frozenset(value) if isinstance(value, list) else value), name
    assert {name for name in vars(policy) if name.isupper()} == constants.keys()
