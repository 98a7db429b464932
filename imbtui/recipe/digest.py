"""A run's digest: equal digests compute the same thing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from imbtui import plugins
from imbtui.recipe.schema import Plugin, Recipe

LENGTH = 12


def digest(recipe: Recipe) -> str:
    """Return 12 hex digits of everything that changes what the run computes.

    Values equal to their default do not enter, so that a new option whose default changes nothing
    leaves old digests as they were. Titles, papers and ways of launching do not enter either.
    """
    return short_hash(identity(recipe) | {"seed": recipe.seed, "data_seed": recipe.data_seed})


def settings_digest(recipe: Recipe) -> str:
    """Return 12 hex digits of everything that changes what the run computes but its seeds."""
    return short_hash(identity(recipe))


def identity(recipe: Recipe) -> dict[str, Any]:
    """Return what a recipe computes apart from its seeds, as plain non-default values."""
    document: dict[str, Any] = {
        "dataset": _plugin("dataset", recipe.dataset),
        "model": _plugin("model", recipe.model),
        "loss": _plugin("loss", recipe.loss),
        "optimizer": {"name": recipe.optimizer.name, **recipe.optimizer.model_dump(exclude_defaults=True)},
    }
    for key, kind in (("corruptions", "corruption"), ("methods", "method"), ("probes", "probe")):
        members = [_plugin(kind, member) for member in getattr(recipe, key)]
        if members:
            document[key] = members
    for key in ("augmentation", "schedule"):
        if table := getattr(recipe, key).model_dump(exclude_defaults=True):
            document[key] = table
    document["train"] = recipe.train.model_dump(
        exclude_defaults=True, exclude={"threads", "pack", "fuse", "checkpoint_every"}
    )
    if recipe.split_seed != "seed":
        document["split"] = recipe.split_seed
    return document


def short_hash(document: Any) -> str:
    """Return 12 hex digits of a plain document, whatever the order of its keys."""
    text = json.dumps(_plain(document), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


def _plugin(kind: str, plugin: Plugin) -> dict[str, Any]:
    defaults = {o.name: o.default for o in plugins.options(kind, plugin.name).values()}
    options = {k: v for k, v in plugin.options.items() if k not in defaults or defaults[k] != v}
    owned = plugin.model_dump(exclude_defaults=True, exclude={"options", "name"})
    return {"name": plugin.name, **owned, **options}


def _plain(value: Any) -> Any:
    """Spell equal numbers equally: 100 and 100.0 mean the same run."""
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value
