"""Every command explains itself with an example, and stands in the README's table."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from imbtui.cli import app

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command with the words that call it, groups included."""

    def below(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
        yield words, command
        for name, inner in getattr(command, "commands", {}).items():
            yield from below((*words, name), inner)

    for name, command in typer.main.get_command(app.build()).commands.items():
        yield from below((name,), command)


ALL = dict(commands())


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_help_has_a_sentence_and_an_example(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main([*words, "--help"]) == 0
    text = capsys.readouterr().out
    assert re.search(rf"^  Examples?:\n +imbtui {' '.join(words)}\b", text, re.MULTILINE), text
    assert ALL[words].help
    assert "--runs" in text
    assert all(len(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_examples_are_commands_that_are_there(words: tuple[str, ...]) -> None:
    for line in ALL[words].epilog.splitlines():
        if line.strip().startswith("imbtui"):
            name = shlex.split(line.partition("|")[0])[1]
            assert (name,) in ALL


@pytest.mark.parametrize("words", [words for words in ALL if len(words) == 1], ids=" ".join)
def test_every_command_stands_in_the_readme(words: tuple[str, ...]) -> None:
    section = README.partition("\n## Commands\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `imbtui")]
    assert [row for row in rows if re.match(rf"\| `imbtui {words[0]}[ `]", row)]


def test_the_readme_names_no_command_that_is_not_there() -> None:
    named = set(re.findall(r"`imbtui ([a-z]+)", README))
    assert named <= {words[0] for words in ALL}


def test_options_in_the_readmes_table_are_there() -> None:
    for row in re.findall(r"^\| `imbtui ([a-z]+)([^`]*)`", README, re.MULTILINE):
        name, rest = row
        if name == "tag":  # its -b is a tag to take away
            continue
        known = {o for words, c in ALL.items() if words[0] == name for p in c.params for o in p.opts}
        assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", rest)) <= known, name
