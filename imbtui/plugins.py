"""Plug-ins without imports: their names are file names, their options are read from their source.

A recipe form and a recipe check must know every loss, model and method with all options, and importing
them would import torch. So a plug-in's file is parsed instead: its last statement is `build = Name`, and
the keyword-only parameters of `Name` are its options, with annotations named in `option_types` and
literal defaults. Only `load` imports, and only the one plug-in it was asked for.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imbtui import config, option_types
from imbtui.errors import UserError, did_you_mean

FOLDERS = {
    "dataset": "datasets",
    "corruption": "corruptions",
    "model": "models",
    "loss": "losses",
    "method": "methods",
    "probe": "probes",
}
REQUIRED = object()
_PACKAGE = Path(__file__).parent
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_OUTSIDE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Option:
    """One option of a plug-in.

    Attributes:
        name: its key in the recipe.
        annotation: its type, fit for pydantic.
        text: the annotation as written, for forms and messages (`float`, `Rate`, `list[int] | None`).
        default: its default, or `REQUIRED`.
    """

    name: str
    annotation: Any
    text: str
    default: Any


def names(kind: str) -> list[str]:
    """Return the names of all plug-ins of a kind, sorted; nothing is imported."""
    folder = _PACKAGE / FOLDERS[kind]
    return sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_"))


def is_outside(name: str) -> bool:
    """Whether a recipe name points outside the package (`mypkg.mod:Thing`)."""
    return _OUTSIDE.fullmatch(name) is not None


def check_name(kind: str, name: str, *, where: str, allow_outside: bool = False) -> None:
    """Check that a plug-in of this name exists.

    Raises:
        UserError: it does not, it is a path, or it lies outside the package and neither the caller nor
            the user's configuration permits that.
    """
    if is_outside(name):
        if not allow_outside and not config.load().allows(name):
            raise UserError(
                f'"{name}" is code from outside imbtui and would be run',
                where=where,
                hint="Pass --allow-plugins if you trust it, or list it in the configuration file.",
            )
        _find_outside(name, where)
        return
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name!r} is not a {kind} name", where=where, hint="A name has lower-case letters, digits and _."
        )
    if name not in names(kind):
        raise UserError(f'there is no {kind} "{name}"', where=where, hint=did_you_mean(name, names(kind)))


def load(kind: str, name: str) -> Callable[..., Any]:
    """Import one plug-in and return what builds it."""
    if is_outside(name):
        module, thing = name.split(":")
        return getattr(importlib.import_module(module), thing)
    return importlib.import_module(f"imbtui.{FOLDERS[kind]}.{name}").build


def summary(kind: str, name: str) -> str:
    """Return the first line of the plug-in's module docstring."""
    document = ast.get_docstring(_tree(_file(kind, name)))
    return document.splitlines()[0] if document else ""


def literal(kind: str, name: str, constant: str, default: Any = None) -> Any:
    """Return a module-level literal of a plug-in, such as a data set's `FILES`."""
    for node in _tree(_file(kind, name)).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and target.id == constant and value is not None:
            return ast.literal_eval(value)
    return default


def defines(kind: str, name: str, function: str) -> bool:
    """Whether the plug-in's class itself defines a method of this name (`plan`, for instance)."""
    node = _builder(_file(kind, name))
    return isinstance(node, ast.ClassDef) and any(
        isinstance(member, ast.FunctionDef) and member.name == function for member in node.body
    )


def options(kind: str, name: str) -> dict[str, Option]:
    """Return the plug-in's options by name, in the order of its signature."""
    return _options(_file(kind, name))


@functools.cache
def _options(file: Path) -> dict[str, Option]:
    signature = _signature(_builder(file))
    found = {}
    for argument, default in zip(signature.kwonlyargs, signature.kw_defaults, strict=True):
        if argument.annotation is None:
            raise TypeError(f"{file}: option {argument.arg} has no annotation")
        found[argument.arg] = Option(
            name=argument.arg,
            annotation=_annotation(argument.annotation),
            text=ast.unparse(argument.annotation),
            default=REQUIRED if default is None else ast.literal_eval(default),
        )
    return found


def _file(kind: str, name: str) -> Path:
    return _find_outside(name, kind) if is_outside(name) else _PACKAGE / FOLDERS[kind] / f"{name}.py"


def _find_outside(name: str, where: str) -> Path:
    try:
        spec = importlib.util.find_spec(name.split(":")[0])
    except (ImportError, ValueError) as error:
        raise UserError(f'"{name}" cannot be found: {error}', where=where) from error
    if spec is None or spec.origin is None:
        raise UserError(f'"{name}" cannot be found on the Python path', where=where)
    return Path(spec.origin)


@functools.cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


@functools.cache
def _builder(file: Path) -> ast.stmt:
    tree = _tree(file)
    definitions = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef)}
    last = tree.body[-1]
    if not (isinstance(last, ast.Assign) and isinstance(last.value, ast.Name)):
        raise TypeError(f"{file}: the last line must be `build = Name`")
    return definitions[last.value.id]


def _signature(node: ast.stmt) -> ast.arguments:
    if isinstance(node, ast.FunctionDef):
        return node.args
    assert isinstance(node, ast.ClassDef)
    for member in node.body:
        if isinstance(member, ast.FunctionDef) and member.name == "__init__":
            return member.args
    return ast.parse("lambda: 0", mode="eval").body.args  # type: ignore[attr-defined]


def _annotation(node: ast.expr) -> Any:
    """Turn an annotation's syntax into the type it names, through `option_types` alone."""
    match node:
        case ast.Name(id=identifier):
            return option_types.annotation(identifier)
        case ast.Constant(value=None):
            return None
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _annotation(left) | _annotation(right)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=inner):
            values = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return option_types.annotation("Literal")[tuple(ast.literal_eval(v) for v in values)]
        case ast.Subscript(value=outer, slice=ast.Tuple(elts=elements)):
            return _annotation(outer)[tuple(_annotation(e) for e in elements)]
        case ast.Subscript(value=outer, slice=inner):
            return _annotation(outer)[_annotation(inner)]
    raise TypeError(f"an option cannot be annotated {ast.unparse(node)}")
