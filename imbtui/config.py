"""The user's configuration file: what is the user's own and not a recipe's.

```toml
# ~/.config/imbtui/config.toml, or where IMBTUI_CONFIG points
[notify]
command = ["notify-send", "a run ended"]     # a list, never a line for a shell

[plugins]
allow = ["mylab", "other.losses:Tempered"]   # code from outside imbtui that recipes may name
```
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imbtui.errors import UserError, did_you_mean

_KEYS = {"notify": ["command"], "plugins": ["allow"]}


@dataclass(frozen=True)
class Config:
    """The configuration.

    Attributes:
        notify: program and arguments, run once for every run that ended; empty: nothing is run.
        plugins: plug-ins (`pkg.mod:Thing`) and packages or modules from outside that may be run.
    """

    notify: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()

    def allows(self, plugin: str) -> bool:
        """Whether `pkg.mod:Thing` may be run: itself, its module or a package above it is listed."""
        module = plugin.partition(":")[0]
        return plugin in self.plugins or any(
            module == entry or module.startswith(f"{entry}.") for entry in self.plugins
        )


def path() -> Path:
    """Return where the configuration file is looked for: `IMBTUI_CONFIG`, else the user's folder."""
    named = os.environ.get("IMBTUI_CONFIG")
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_config_dir("imbtui")) / "config.toml"


def load() -> Config:
    """Return the configuration; without a file, the defaults.

    Raises:
        UserError: the file cannot be read, is not TOML, or says something that is not understood.
    """
    file = path()
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Config()
    except OSError as error:
        raise UserError(f"it cannot be read: {error.strerror}", where=str(file)) from None
    except ValueError as error:  # tomllib's errors and undecodable bytes
        raise UserError(f"it is not TOML: {error}", where=str(file)) from None
    for table, content in document.items():
        _check_known(table, list(_KEYS), str(file))
        if not isinstance(content, dict):
            raise UserError("it is not a table", where=f"{file}, {table}", hint=f"Write [{table}].")
        for key in content:
            _check_known(key, _KEYS[table], f"{file}, {table}")
    return Config(
        notify=_strings(document, "notify", "command", file),
        plugins=_strings(document, "plugins", "allow", file),
    )


def _check_known(word: str, known: list[str], where: str) -> None:
    if word not in known:
        raise UserError(f'there is no key "{word}"', where=where, hint=did_you_mean(word, known))


def _strings(document: dict[str, Any], table: str, key: str, file: Path) -> tuple[str, ...]:
    value = document.get(table, {}).get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise UserError(
            "it is not a list of words", where=f"{file}, {table}.{key}", hint=f'Write {key} = ["...", "..."].'
        )
    return tuple(value)
