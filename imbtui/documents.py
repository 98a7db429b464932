"""Runs as JSON documents: what `--json` prints, and what the user's notification command reads."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

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
        "job": None if view.job is None else view.job.id,
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


def whole(view: RunView) -> dict[str, Any]:
    """Return what `show --json` prints of a run."""
    return record(view) | {"path": str(view.path.root.absolute()), "env": view.env}


def dumps(content: Any) -> str:
    """Return a document as text that every JSON reader takes: no nan, no infinity, no half characters.

    Of a list, each item has a line of its own.
    """
    if isinstance(content, list):
        return "[" + ",\n ".join(map(_encoded, content)) + "]"
    return _encoded(content, indent=1)


def _encoded(content: Any, indent: int | None = None) -> str:
    encode = partial(json.dumps, indent=indent, ensure_ascii=True, allow_nan=False)
    try:
        text = encode(content)
    except (TypeError, ValueError):
        return encode(_plain(content))
    # With an escaped half character in it, or the like, the text is made again with care.
    return encode(_plain(content)) if "\\ud" in text else text


def _plain(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {_plain(str(key)): _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    if isinstance(content, str):
        return content.encode("utf-8", "backslashreplace").decode("utf-8")
    if content is None or isinstance(content, bool | int | float):
        return content
    return _plain(str(content))
