"""Turn the first thing wrong with a table into one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from imbtui.errors import UserError, did_you_mean
from imbtui.recipe.schema import Document, Recipe

_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "none_required": "left out",
}


def explain(error: ValidationError, model: type[BaseModel], where: str) -> UserError:
    """Return the user's error behind pydantic's.

    Args:
        error: what pydantic found.
        model: the table's model, for the names that would have been right.
        where: the file and the table, e.g. `recipe.toml, train`.
    """
    errors = error.errors(include_url=False)
    # An unknown key explains a missing one beside it, so it is named first.
    unknown = [e for e in errors if e["type"] == "extra_forbidden"]
    first = (unknown or errors)[0]
    location = first["loc"]
    if unknown:
        known = _fields(model, location[:-1])
        key = str(location[-1])
        place = _place(model, where, location[:-1])
        return UserError(f'unknown key "{key}"', where=place, hint=did_you_mean(key, known))
    named = _keys(model, location)
    if first["type"] == "missing":
        named = named[:1]
    about = [e for e in errors if e["loc"][: len(named)] == named]
    return UserError(_requirement(about), where=_place(model, where, named), hint=_suggestion(about))


def _keys(model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Return how far a location names keys: below them pydantic counts items and names branches of unions."""
    within: type[BaseModel] | None = model
    for depth, part in enumerate(location):
        field = within.model_fields.get(str(part)) if within is not None else None
        if field is None:
            return location[: max(1, depth)]
        within = _model_in(field.annotation)
    return location


def _requirement(errors: Sequence[Any]) -> str:
    """Say what the value must be; several errors about one key are the branches of a union."""
    first = errors[0]
    if first["type"] == "missing":
        return "this key is required" if len(first["loc"]) == 1 else f'"{first["loc"][-1]}" is required'
    custom = [e for e in errors if e["type"] == "value_error"]
    if custom:
        return f"{custom[0]['ctx']['error']}, not {_shown(custom[0]['input'])}"
    wants: list[str] = []
    for each in errors:
        want = _want(each)
        if want not in wants:
            wants.append(want)
    return f"this must be {' or '.join(wants)}, not {_shown(first['input'])}"


def _want(error: Any) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "greater_than_equal":
            return f"at least {context['ge']}"
        case "greater_than":
            return f"above {context['gt']}"
        case "less_than_equal":
            return f"at most {context['le']}"
        case "less_than":
            return f"below {context['lt']}"
        case "literal_error":
            return str(context["expected"]).replace("'", '"')
        case "too_short":
            return f"a list of at least {context['min_length']}"
        case "too_long":
            return f"a list of at most {context['max_length']}"
        case "finite_number":
            return "a finite number"
    return _KINDS.get(error["type"], error["msg"].lower())


def _suggestion(errors: Sequence[Any]) -> str:
    for each in errors:
        if each["type"] == "literal_error" and isinstance(each["input"], str):
            known = [w.strip("' ") for w in each["ctx"]["expected"].replace(" or ", ", ").split(",")]
            hint = did_you_mean(each["input"], known)
            return hint if hint.startswith("Did") else ""
    return ""


def _shown(value: Any) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _place(model: type[BaseModel], where: str, location: Sequence[int | str]) -> str:
    """Return `recipe.toml, train.epochs`: a comma sets a file's own keys off from its name."""
    if not location:
        return where
    between = ", " if model in (Document, Recipe) else "."
    return where + between + ".".join(str(part) for part in location)


def _fields(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    current: Any = model
    for part in location:
        field = current.model_fields.get(part) if hasattr(current, "model_fields") else None
        if field is None:
            return []
        current = _model_in(field.annotation)
    return [f.alias or name for name, f in current.model_fields.items()] if current else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
