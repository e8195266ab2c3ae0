"""The commands that README and docs tell a reader to type: each is one that there is."""

import re
import shlex
from pathlib import Path

import pytest

from stream.cli.main import app

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

COMMAND = re.compile(r"(?:\.venv/bin/)?distil-stream (?=[a-z])[^`\n]*")
SHELL = re.compile(r"^```sh\n(.*?)^```", re.M | re.S)
INLINE = re.compile(r"`((?:\.venv/bin/)?distil-stream [a-z][^`]*)`")
MAKE = re.compile(r"\bmake ([a-z]+)")
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


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_sentences_have_names_that_there_are(document: Path) -> None:
    names = {name for name in app if not name.startswith("-")}
    for command in INLINE.findall(document.read_text()):
        assert command.split()[1] in names, command


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_make_is_told_to_do_it_can(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    text = document.read_text()
    told = {*MAKE.findall("\n".join(SHELL.findall(text))), *re.findall(r"`make ([a-z]+)", text)}
    assert told <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
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
