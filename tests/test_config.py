"""The user's configuration file: where it is, what it permits, and what is said when it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from imbtui import config
from imbtui.errors import UserError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the configuration is looked for; not there yet."""
    path = tmp_path / "config.toml"
    monkeypatch.setenv("IMBTUI_CONFIG", str(path))
    return path


def test_it_lies_in_the_users_configuration_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IMBTUI_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/somewhere")
    assert config.path() == Path("/somewhere/imbtui/config.toml")


def test_without_a_file_everything_is_as_usual(file: Path) -> None:
    assert config.load() == config.Config()


def test_what_it_says_is_read(file: Path) -> None:
    file.write_text('[notify]\ncommand = ["mail", "-s", "a b"]\n[plugins]\nallow = ["mylab"]\n')
    assert config.load() == config.Config(notify=("mail", "-s", "a b"), plugins=("mylab",))


@pytest.mark.parametrize(
    ("entry", "plugin", "allowed"),
    [
        ("mylab.losses:Tempered", "mylab.losses:Tempered", True),
        ("mylab.losses:Tempered", "mylab.losses:Other", False),
        ("mylab", "mylab.losses:Tempered", True),
        ("mylab.losses", "mylab.losses:Tempered", True),
        ("mylab", "mylaboratory:Thing", False),
        ("mylab.losses", "mylab:Thing", False),
    ],
)
def test_a_package_permits_what_is_in_it_and_no_more(entry: str, plugin: str, allowed: bool) -> None:
    assert config.Config(plugins=(entry,)).allows(plugin) == allowed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[notify", ("TOML",)),
        ("\xff", ("TOML",)),
        ("notify = 'mail'", ("notify", "table", "[notify]")),
        ("[notify]\ncommand = 'mail -s x'", ("notify.command", "list", 'command = ["...')),
        ("[notify]\ncommand = ['mail', 3]", ("notify.command", "list")),
        ("[notify]\ncomand = ['mail']", ("comand", '"command"')),
        ("[notfy]\ncommand = ['mail']", ("notfy", '"notify"')),
        ("[plugins]\nallow = 'mylab'", ("plugins.allow", "list")),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(file: Path, text: str, words: tuple[str, ...]) -> None:
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError) as raised:
        config.load()
    sentence = str(raised.value)
    assert all(word in sentence for word in (str(file), *words)), sentence


def test_a_file_that_cannot_be_read_is_said(file: Path) -> None:
    file.mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        config.load()
