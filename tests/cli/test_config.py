"""What the user's configuration file changes for commands, and what they say when it is wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imbtui.paths import RunsPaths

Call = Callable[..., Any]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "config.toml"
    monkeypatch.setenv("IMBTUI_CONFIG", str(file))
    return file


def test_a_wrong_configuration_is_said_before_anything_is_queued(
    call: Call, recipe: Path, runs: RunsPaths, config: Path
) -> None:
    config.write_text("[notify]\ncommand = 'mail -s \x1b[31mdone'\n")
    before = set(runs.root.iterdir())
    answer = call("run", str(recipe), "--cpu", "--detach")
    assert (answer.code, answer.out) == (2, "")
    assert "config.toml" in answer.err and len(answer.err.splitlines()) == 1
    config.write_text("[notify]\ncommand = 'mail -s done'\n")
    answer = call("run", str(recipe), "--cpu", "--detach")
    assert answer.code == 2
    assert (
        answer.err
        == f'imbtui: {config}, notify.command: it is not a list of words. Write command = ["...", "..."].\n'
    )
    assert set(runs.root.iterdir()) == before
    findings = {check["check"]: check for check in call("doctor", "--json").document}
    assert not findings["configuration"]["ok"]


def test_a_listed_package_needs_no_flag_and_is_named_all_the_same(
    call: Call, recipe: Path, tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "permitted_lab").mkdir()
    (tmp_path / "permitted_lab" / "losses.py").write_text(
        "class Strange:\n    def __init__(self, class_counts, *, at: int = 3) -> None: ...\nbuild = Strange\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    arguments = ("run", str(recipe), "--dry-run", "--set", "loss.name=permitted_lab.losses:Strange")
    answer = call(*arguments)
    assert answer.code == 2
    assert "--allow-plugins" in answer.err
    config.write_text('[plugins]\nallow = ["permitted_lab"]\n')
    answer = call(*arguments)
    assert answer.code == 0, answer.err
    assert "this runs code from outside imbtui: permitted_lab.losses:Strange" in answer.err
    assert "permitted_lab.losses" not in sys.modules
