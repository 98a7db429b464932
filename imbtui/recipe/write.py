"""A resolved recipe as TOML: itself a recipe that runs exactly this one run."""

from __future__ import annotations

from typing import Any

from imbtui.recipe.schema import Plugin, Recipe, Table


def tables_of(recipe: Recipe) -> dict[str, Any]:
    """Return a resolved recipe as plain tables, plug-in options beside the engine's keys."""
    tables: dict[str, Any] = {}
    for key in type(recipe).model_fields:
        value = getattr(recipe, key)
        if isinstance(value, Table):
            tables[key] = _table(value)
        elif isinstance(value, list) and value and isinstance(value[0], Table):
            tables[key] = [_table(member) for member in value]
        elif value not in ([], "", None):
            tables[key] = value
    return tables


def to_toml(recipe: Recipe) -> str:
    """Return a resolved recipe as TOML text."""
    import tomlkit

    return tomlkit.dumps(tables_of(recipe))


def _table(table: Table) -> dict[str, Any]:
    plain = table.model_dump(exclude_none=True)
    if isinstance(table, Plugin):
        options = plain.pop("options")
        plain = {"name": plain.pop("name"), **plain, **options}
    return plain
