"""The documents: each command, link and make target in them exists."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from stream.cli.main import app
from stream.engine.network.ways import OPERATIONS

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

COMMAND = re.compile(r"(?:\.venv/bin/)?distil-stream (?=[a-z])[^`\n]*")
SHELL = re.compile(r"^```sh\n(.*?)^```", re.M | re.S)
INLINE = re.compile(r"`((?:\.venv/bin/)?distil-stream [a-z][^`]*)`")
MAKE = re.compile(r"\bmake ([a-z-]+)")
LINK = re.compile(r"\]\(([^)#\s]+?)(#[^)\s]+)?\)")


def commands(text: str) -> list[list[str]]:
    """What is typed after `distil-stream`; one that stands in a sentence may leave things out."""
    blocks = "\n".join(SHELL.findall(text)).replace("\\\n", " ")
    lines = COMMAND.findall(blocks)
    return [shlex.split(line, comments=True)[1:] for line in lines]


def typed(document: Path) -> list[list[str]]:
    text = document.read_text()
    indented = "\n".join(line[4:] for line in text.splitlines() if line.startswith("    distil-"))
    return commands(f"{text}\n```sh\n{indented}\n```\n")


CASES = [
    pytest.param(command, id=f"{document.name}: {' '.join(command)}")
    for document in DOCUMENTS
    for command in typed(document)
]


@pytest.mark.parametrize("command", CASES)
def test_a_command_is_understood(command: list[str]) -> None:
    _, bound, unused = app.parse_known_args(command)[:3]
    assert not unused
    assert bound is not None


def test_there_are_commands() -> None:
    assert len(CASES) > 15


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_in_the_text_exist(document: Path) -> None:
    names = {name for name in app if not name.startswith("-")}
    for command in INLINE.findall(document.read_text()):
        assert command.split()[1] in names, command


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_make_targets_in_the_documents_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    text = document.read_text()
    told = {*MAKE.findall("\n".join(SHELL.findall(text))), *re.findall(r"`make ([a-z-]+)", text)}
    assert told <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_have_targets(document: Path) -> None:
    for target, place in LINK.findall(document.read_text()):
        if "://" in target:
            continue
        file = document.parent / target
        assert file.exists(), target
        if place:
            assert place[1:] in headings(file), f"{target}{place}"


def headings(file: Path) -> set[str]:
    """The anchors that a page of Markdown has."""
    titles = re.findall(r"^#+ (.*)$", file.read_text(), re.M)
    return {re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_glossary_has_one_meaning_for_a_word() -> None:
    glossary = (ROOT / "CONTRIBUTING.md").read_text().partition("## Glossary")[2]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", glossary, re.M)
    terms = [term for row, _ in rows for term in row.split(", ") if row not in ("term", "---")]
    assert len(terms) > 40
    assert len(terms) == len(set(terms))


def test_each_decision_is_in_the_list() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(
        r"^\| \[(\d{3})\]\((.+?)\) \| (.+) \|$", (folder / "README.md").read_text(), re.M
    )
    pages = {file.name: file.read_text() for file in folder.glob("[0-9]*.md")}
    titles = {name: f"# {number}: {title}" for number, name, title in listed}
    assert titles == {name: text.partition("\n")[0] for name, text in pages.items()}
    for name, text in pages.items():
        assert "## Measured" in text, name
        assert "\n## Chosen\n" in text, name
        assert "\n## What would change it\n" in text, name


def test_every_way_to_compute_is_described() -> None:
    text = (ROOT / "docs" / "serving.md").read_text().partition("## How the CPU computes")[2]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", text.partition("\n## ")[0], re.M))
    assert set(rows) == {"auto", "default", *OPERATIONS}
    for name, operation in OPERATIONS.items():
        assert re.findall(r"`(\w+)`", rows[name]) == list(operation.ways), name


def test_the_pure_modules_are_listed() -> None:
    """The list below the figure of the architecture is the contract that `make check` enforces."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    pure = next(c for c in contracts["contracts"] if "forbidden_modules" in c)["source_modules"]
    text = (ROOT / "docs" / "architecture.md").read_text()
    shown = text.partition("pure (no I/O, no clock, no model):")[2].partition("```")[0]
    recordings = {f"stream.recordings.{f.stem}" for f in (ROOT / "stream/recordings").glob("*.py")}
    impure = {f"stream.recordings.{name}" for name in ("__init__", "api", "transcribing")}
    assert recordings - impure == {name for name in pure if name.startswith("stream.recordings")}
    for name in pure:
        if not name.startswith("stream.recordings"):
            assert name.removeprefix("stream.").split(".")[-1] in re.split(r"[\s,/]+", shown), name


def test_the_modules_in_the_figure_of_the_layers_exist() -> None:
    figure = (ROOT / "docs" / "architecture.md").read_text().split("```")[1]
    modules = set(re.findall(r"[a-z]+(?:_[a-z]+)+", figure))
    assert {"session_protocol", "window_planning"} <= modules
    assert modules <= {path.stem for path in (ROOT / "stream").rglob("*.py")}
