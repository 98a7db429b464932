"""Runs as the documents that `--json` prints, and as the words that tables show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from imbtui import text

if TYPE_CHECKING:
    from imbtui.store import RunView


def record(view: RunView) -> dict[str, Any]:
    """Return what `ls --json` prints of a run."""
    return {
        "id": view.id,
        "state": view.state,
        "reason": view.reason,
        "title": view.title,
        "study": view.study,
        "variant": view.variant,
        "paper": view.paper,
        "arm": view.arm,
        "point": dict(view.point),
        "seed": view.seed,
        "digest": view.digest,
        "attempt": view.attempt,
        "created": view.created,
        "host": view.host,
        "gpus": list(view.gpus),
        "tags": list(view.tags),
        "note": view.note,
        "recipe": view.recipe,
        "metrics": dict(view.metrics),
        "best": dict(view.best),
        "seconds": view.seconds,
        "steps": view.steps,
        "epochs": view.epochs,
        "fit_epoch": view.fit_epoch,
    }


def condition(view: RunView) -> str:
    """Return how a run is, with its progress while it trains: `running 37 %`."""
    if view.state != "running":
        return view.state
    share = view.progress.share
    return f"running {share:.0%}".replace("%", " %") if share else "running"


def scalars(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics that are one number each."""
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and "/" in name
    }


def shown(value: Any) -> str:
    """Return a recipe's or a run's value in one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ", ".join(shown(part) for part in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={shown(part)}" for key, part in value.items())
    if isinstance(value, float):
        return text.number(value) if value != int(value) else f"{value:g}"
    return text.number(value)


def flat(recipe: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a resolved recipe's tables as dotted keys, list members by plug-in name."""
    found: dict[str, Any] = {}
    for key, value in recipe.items():
        name = prefix + key
        if isinstance(value, Mapping):
            found |= flat(value, f"{name}.")
        elif isinstance(value, list) and value and all(isinstance(m, Mapping) and "name" in m for m in value):
            for member in value:
                rest = {k: v for k, v in member.items() if k != "name"}
                found[f"{name}.{member['name']}"] = True
                found |= flat(rest, f"{name}.{member['name']}.")
        else:
            found[name] = value
    return found
