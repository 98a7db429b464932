"""What mostly makes a run: the few values of its recipe that listings show and are filtered by.

They stand in submit.json and in the index, so that ten thousand runs are told apart without reading ten
thousand recipes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KEYS = (
    "loss.name",
    "dataset.name",
    "corruptions.long_tail.ratio",
    "corruptions.label_noise.rate",
    "methods.lottery.rounds",
    "model.name",
    "train.epochs",
    "train.steps",
)
"""Dotted keys of a recipe that knobs always answer: one that is missing is not in the recipe."""

ALIASES = {"loss": "loss.name", "dataset": "dataset.name", "model": "model.name"}
OTHERS = ("corruptions", "methods")
"""Keys of the names of all other members of these lists."""

_TOLD = {"corruptions": ("long_tail", "label_noise"), "methods": ("lottery",)}


def main_knobs(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return the knobs of a resolved recipe's tables, by dotted key; a damaged recipe has fewer."""
    found: dict[str, Any] = {}
    for key in KEYS:
        table, *rest = key.split(".")
        value: Any = _members(recipe, table) if table in OTHERS else recipe.get(table)
        for part in rest:
            value = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(value, str | int | float):
            found[key] = value
    for table in OTHERS:
        others = [str(name) for name in _members(recipe, table) if name not in _TOLD[table]]
        if others:
            found[table] = ", ".join(others)
    return found


def _members(recipe: Mapping[str, Any], table: str) -> dict[Any, Mapping[str, Any]]:
    members = recipe.get(table)
    if not isinstance(members, list):
        return {}
    return {member.get("name"): member for member in members if isinstance(member, Mapping)}


def phrase(knobs: Mapping[str, Any]) -> str:
    """Return knobs in words: `ldam · digits · ratio 100 · class_weights · mlp · 80 epochs`."""
    parts = [knobs.get("loss.name"), knobs.get("dataset.name")]
    if "corruptions.long_tail.ratio" in knobs:
        parts.append(f"ratio {_number(knobs['corruptions.long_tail.ratio'])}")
    if "corruptions.label_noise.rate" in knobs:
        parts.append(f"noise {_number(knobs['corruptions.label_noise.rate'])}")
    parts.append(knobs.get("corruptions"))
    if "methods.lottery.rounds" in knobs:
        rounds = knobs["methods.lottery.rounds"]
        parts.append(f"{rounds} pruning round" + ("" if rounds == 1 else "s"))
    parts += [knobs.get("methods"), knobs.get("model.name")]
    if "train.epochs" in knobs:
        parts.append(f"{knobs['train.epochs']} epochs")
    elif "train.steps" in knobs:
        parts.append(f"{knobs['train.steps']} steps")
    return " · ".join(str(part) for part in parts if part)


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
