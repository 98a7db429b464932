"""A form's changes written into its recipe: a text that gives the same runs, comments and all."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from imbtui.errors import UserError
from imbtui.recipe import overrides, parse_study
from imbtui.tui.form import DEVICES, SEEDS

if TYPE_CHECKING:
    from imbtui.tui.form import Form


def recipe_text(form: Form) -> str:
    """Return a recipe that without any change gives the runs that the form gives.

    Raises:
        UserError: a value in the form is wrong, or the changes cannot be said in a recipe.
    """
    import tomlkit

    assignments = form.assignments()
    changes = dict(overrides.parse_assignment(text) for text in assignments)
    document = tomlkit.parse(form.source)
    for arm in document.get("arms", ()):
        _change_arm(arm, changes)
    before = {k: v for k, v in document.unwrap().items() if k not in overrides.STUDY_KEYS}
    after = dict(before)
    overrides.apply(after, changes, where=str(form.path))
    for key, value in after.items():
        if value != before.get(key):
            _put(document, key, value)
    _put_beside(document, form)
    text = tomlkit.dumps(document)
    wanted = parse_study(form.source, form.path, name=form.name, assignments=assignments)
    written = parse_study(text, form.path, name=form.name, seeds=wanted.seeds)
    if [run.digest for run in written.runs] != [run.digest for run in wanted.runs]:
        raise UserError("these changes cannot be said in a recipe of this shape", where=str(form.path))
    return text


def _change_arm(arm: Any, changes: Mapping[str, Any]) -> None:
    """Let an arm say what the changes say, where it said otherwise."""
    chosen = arm.get("set")
    if not chosen:
        return
    flat = overrides.flatten(chosen.unwrap())
    kept = dict(flat)
    for key, value in changes.items():
        table, _, last = key.rpartition(".")
        if last == "name":
            # Another plug-in takes the old one's options away, whoever set them.
            engine = overrides.ENGINE_KEYS.get(table, ())
            inside = [k for k in kept if k.startswith(f"{table}.") and kept.get(key) != value]
            for option in inside:
                if option.removeprefix(f"{table}.") not in engine:
                    del kept[option]
        elif value is False:
            for option in [k for k in kept if k == key or k.startswith(f"{key}.")]:
                del kept[option]
        if key in kept:
            kept[key] = value
    if kept != flat:
        arm["set"] = kept


def _put(document: Any, key: str, value: Any) -> None:
    """Set a table of the document, leaving alone what stays in it."""
    import tomlkit

    old = document.get(key)
    if isinstance(value, Mapping) and isinstance(old, MutableMapping):
        for name in [name for name in old if name not in value]:
            del old[name]
        for name, one in value.items():
            if name not in old or old[name] != one:
                old[name] = one
    elif isinstance(value, list) and all(isinstance(member, Mapping) for member in value):
        document.pop(key, None)
        members = tomlkit.aot()
        for member in value:
            members.append(tomlkit.item(dict(member)))
        if value:
            document[key] = members
    else:
        document[key] = value


def _put_beside(document: Any, form: Form) -> None:
    """Set seeds and devices."""
    from imbtui import submit

    if SEEDS in form.edits:
        document["seeds"] = submit.parse_seeds(form.edits[SEEDS])
    if DEVICES in form.edits:
        devices = form.edits[DEVICES]
        launch = dict(document.get("launch", {}))
        launch["gpus"] = "cpu" if devices == "cpu" else [int(index) for index in devices.split(",")]
        _put(document, "launch", launch)
