"""Where each value of a resolved recipe comes from: the recipe file, an arm, the grid, `--set`, a default."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_LISTS = ("corruptions", "methods", "probes")
_OF_STUDY = ("seeds", "grid", "arms", "claims", "reported")


@dataclass(frozen=True)
class Origin:
    """One value that is not as the recipe file's tables say.

    Attributes:
        key: dotted key.
        before: what the file's tables say, as TOML would be; empty: nothing.
        after: what the run has; empty: nothing.
        by: who changed it: `--set`, `arm LDAM`, `grid`; empty: a default filled it in.
    """

    key: str
    before: str
    after: str
    by: str


def origins(source: str, resolved: Mapping[str, Any], submit: Mapping[str, Any]) -> list[Origin]:
    """Return what differs between a recipe file and the resolved recipe of one of its runs.

    Args:
        source: text of the file; one that is not TOML differs in nothing that could be told.
        resolved: the run's tables.
        submit: the run's submit.json.
    """
    try:
        study = tomllib.loads(source)
    except ValueError:
        return []
    before = flat({key: value for key, value in study.items() if key not in _OF_STUDY})
    after = flat({key: value for key, value in resolved.items() if key not in _OF_STUDY})
    changed = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    who = _who(study, submit)
    return [
        Origin(
            key, _written(before.get(key)), _written(after.get(key)), _by(key, who, is_new=key not in before)
        )
        for key in changed
    ]


def _who(study: Mapping[str, Any], submit: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return dotted keys with who sets them; later ones win over earlier ones."""
    arms = {arm.get("label"): arm for arm in study.get("arms") or () if isinstance(arm, dict)}
    label: Any = submit.get("arm")
    chain: list[str] = []
    while label in arms and label not in chain:
        chain.append(label)
        label = arms[label].get("extends")
    found = [(key, f"arm {name}") for name in reversed(chain) for key in flat(arms[name].get("set") or {})]
    found += [(key, "grid") for key in submit.get("point") or {}]
    found += [(text.partition("=")[0].strip(), "--set") for text in submit.get("overrides") or ()]
    return found


def _by(key: str, who: list[tuple[str, str]], *, is_new: bool) -> str:
    for set_key, name in reversed(who):
        if key == set_key or set_key.startswith(f"{key}."):
            return name
        # Another plug-in's name takes the old one's options away; its own are defaults.
        table = set_key.removesuffix(".name")
        if not is_new and key.startswith(f"{table}."):
            return name
    return ""


def flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested tables by dotted keys; members of lists of plug-ins go by their names."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        elif not prefix and key in _LISTS and isinstance(value, list):
            for member in value:
                if isinstance(member, Mapping):
                    name = f"{key}.{member.get('name', '')}"
                    options = {k: v for k, v in member.items() if k != "name"}
                    found |= {name: True} | flat(options, f"{name}.")
        else:
            found[prefix + key] = value
    return found


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
