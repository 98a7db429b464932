"""Reading back the resolved recipe of a run folder."""

from __future__ import annotations

import tomllib
from pathlib import Path

from imbtui.errors import UserError
from imbtui.recipe.resolve import resolve
from imbtui.recipe.schema import Recipe


def read_resolved(path: Path) -> Recipe:
    """Return the recipe that a run folder holds.

    Plug-ins from outside the package are let through: whoever submitted the run permitted them.

    Raises:
        UserError: the file is damaged, or a plug-in it names has gone.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"cannot be read: {error}", where=path.name) from None
    seeds = tables.get("seeds")
    if not isinstance(seeds, list) or len(seeds) != 1:
        raise UserError("a resolved recipe has exactly one seed", where=path.name)
    return resolve(tables, seeds[0], where=path.name, allow_plugins=True)
