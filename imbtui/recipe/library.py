"""Where recipes are found: as a path, under ./recipes, among the packaged ones."""

from __future__ import annotations

import os
from pathlib import Path

from imbtui.errors import UserError, did_you_mean

_PACKAGE = Path(__file__).parent.parent


def packaged() -> Path:
    """Return the folder of the recipes that come with imbtui (a wheel's, or the checkout's)."""
    inside = _PACKAGE / "_recipes"
    return inside if inside.is_dir() else _PACKAGE.parent / "recipes"


def roots() -> list[Path]:
    """Return the folders recipes are looked up in, in order."""
    here = Path("recipes")
    return [here, packaged()] if here.is_dir() and here.resolve() != packaged().resolve() else [packaged()]


def known() -> dict[str, Path]:
    """Return all recipes that can be called by name; a local one hides a packaged one."""
    found: dict[str, Path] = {}
    for root in reversed(roots()):
        for path in sorted(root.rglob("*.toml")):
            found[name_of(path)] = path
    return dict(sorted(found.items()))


def find(reference: str) -> Path:
    """Return the file of a recipe given by path or name.

    Raises:
        UserError: there is none, with the closest known name.
    """
    path = Path(reference)
    if path.is_file():
        return path
    if path.is_dir() and reference not in known():
        raise UserError("this is a folder, not a recipe", where=reference)
    name = reference.removesuffix(".toml")
    for root in roots():
        candidate = root / f"{name}.toml"
        if candidate.is_file() and root.resolve() in candidate.resolve().parents:
            return candidate
    there = known().get(name)
    if there is not None and there.is_file():
        return there  # a link to a file that lies elsewhere
    if there is not None:
        what = "this is a folder, not a recipe" if there.is_dir() else "this is a link that leads nowhere"
        raise UserError(what, where=str(there))
    hint = did_you_mean(name.removeprefix("recipes/"), list(known()))
    if not hint.startswith("Did"):
        hint = "`imbtui recipes` lists them."
    raise UserError("there is no such recipe", where=reference, hint=hint)


def name_of(path: Path) -> str:
    """Return the name a recipe's runs are grouped under: `cao2019/quick`, or the file's own stem."""
    resolved = Path(os.path.realpath(path))  # unlike resolve(), it takes a link that leads to itself
    for root in roots():
        folder = root.resolve()
        if folder in resolved.parents:
            return resolved.relative_to(folder).with_suffix("").as_posix()
    return path.stem
