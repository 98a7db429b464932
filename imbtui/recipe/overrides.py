"""Dotted keys: how arms, grids and `--set` change a recipe's tables."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from imbtui.errors import UserError, did_you_mean
from imbtui.recipe.schema import Arm, Document

LISTS = ("corruptions", "methods", "probes")
# Keys beside a plug-in's options that belong to the engine and outlive a change of the plug-in's name.
ENGINE_KEYS = {
    "dataset": ("name", "validation", "corrupt_validation", "train_on_validation"),
    "model": (
        "name",
        "head",
        "head_std",
        "head_dropout",
        "head_temperature",
        "head_bias",
        "head_compat",
    ),
    "loss": ("name", "start_epoch", "normalise"),
    "corruptions": ("name",),
    "methods": ("name",),
    "probes": ("name", "every"),
    "optimizer": ("name", "lr"),
    "schedule": ("name", "warmup_epochs", "warmup"),
}
STUDY_KEYS = ("seeds", "grid", "arms", "claims", "reported")


def flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested tables as dotted keys: TOML reads an unquoted `a.b = 1` as a nested table."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def parse_assignment(text: str) -> tuple[str, Any]:
    """Split `KEY=VALUE`; the value is read as TOML, a bare word as text.

    Raises:
        UserError: there is no `=`.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UserError(f'"{text}" is not an assignment', where="--set", hint="Write KEY=VALUE.")
    try:
        return key.strip(), tomllib.loads(f"value = {value.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def apply(tables: dict[str, Any], changes: Mapping[str, Any], *, where: str) -> None:
    """Change a recipe's raw tables in place, by dotted keys.

    Plug-ins in lists are addressed by name (`methods.class_weights.start_epoch`): naming an absent one
    adds it, `false` removes it. Changing a `name` drops the old plug-in's options, whatever the order
    of the keys.

    Raises:
        UserError: a key leads nowhere or may not be changed here.
    """
    names_first = sorted(changes.items(), key=lambda item: not item[0].endswith(".name"))
    for key, value in names_first:
        parts = key.split(".")
        if parts[0] not in Document.model_fields:
            raise UserError(f'unknown key "{key}"', where=where, hint=did_you_mean(parts[0], _tables()))
        if parts[0] in STUDY_KEYS:
            hint = "Use --seeds." if parts[0] == "seeds" else ""
            raise UserError(f'"{parts[0]}" belongs to the study and cannot be set', where=where, hint=hint)
        if parts[0] in LISTS:
            _set_in_list(tables, parts, value, where)
        else:
            _set_in_table(tables, parts, value, where)


def apply_arms(tables: Mapping[str, Any], arms: Sequence[Arm], *, where: str) -> dict[str, dict[str, Any]]:
    """Return each arm's raw tables by its label.

    An arm starts from the recipe's tables, or from those of the arm that it extends, and changes them as
    `apply` does.

    Args:
        tables: the recipe's tables; left alone.
        arms: in the recipe's order.
        where: the list of arms, named in errors.

    Raises:
        UserError: two arms share a label, one extends an arm that is not above it, or a change is wrong.
    """
    varied: dict[str, dict[str, Any]] = {}
    for arm in arms:
        if arm.label in varied:
            raise UserError(f'two arms are labelled "{arm.label}"', where=where)
        here = f"{where} ({arm.label})"
        if arm.extends is not None and arm.extends not in varied:
            later = arm.extends in (other.label for other in arms)
            raise UserError(
                f'"{arm.extends}" is not above this arm' if later else f'there is no arm "{arm.extends}"',
                where=f"{here}.extends",
                hint="An arm extends one further up." if later else did_you_mean(arm.extends, list(varied)),
            )
        own = dict(tables if arm.extends is None else varied[arm.extends])
        apply(own, flatten(arm.set), where=here)
        varied[arm.label] = own
    return varied


def _tables() -> list[str]:
    return [name for name in Document.model_fields if name not in STUDY_KEYS]


def _set_in_table(tables: dict[str, Any], parts: list[str], value: Any, where: str) -> None:
    head, *rest = parts
    if not rest:
        tables[head] = value
        return
    if rest == ["name"]:
        old = tables.get(head, {})
        if old.get("name") != value:
            kept = {k: v for k, v in old.items() if k in ENGINE_KEYS.get(head, ()) and k != "name"}
            tables[head] = {"name": value, **kept}
        return
    tables[head] = _with(tables.get(head, {}), rest, value, ".".join(parts), where)


def _set_in_list(tables: dict[str, Any], parts: list[str], value: Any, where: str) -> None:
    head, *rest = parts
    if not rest:
        tables[head] = value
        return
    # A plug-in from outside the package carries dots in its name, up to the colon and the word after it.
    name, *option = rest
    while ":" not in name and any(":" in part for part in option):
        name, option = f"{name}.{option[0]}", option[1:]
    members = [dict(member) for member in tables.get(head, [])]
    position = next((i for i, member in enumerate(members) if member.get("name") == name), None)
    if not option and value is False:
        members = [member for member in members if member.get("name") != name]
    elif not option and (value is True or isinstance(value, Mapping)):
        new = {"name": name, **({} if value is True else value)}
        if position is None:
            members.append(new)
        else:
            members[position] = new
    elif not option:
        raise UserError(
            f'"{head}.{name}" is a plug-in, not a value',
            where=where,
            hint="Set it true or false, or set its options.",
        )
    else:
        if position is None:
            members.append({"name": name})
            position = len(members) - 1
        members[position] = _with(members[position], option, value, ".".join(parts), where)
    tables[head] = members


def _with(table: Any, parts: list[str], value: Any, key: str, where: str) -> dict[str, Any]:
    """Return the table with one nested value changed; the original is left alone."""
    if not isinstance(table, Mapping):
        raise UserError(f'"{key}" leads into something that is not a table', where=where)
    head, *rest = parts
    changed = dict(table)
    changed[head] = _with(changed.get(head, {}), rest, value, key, where) if rest else value
    return changed
