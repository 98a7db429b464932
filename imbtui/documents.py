"""Runs as JSON documents: what `--json` prints, and what the user's notification command reads."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
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
    """Return a document as text that every JSON reader takes: no nan, no infinity, no half characters."""
    return json.dumps(_plain(content), indent=1, ensure_ascii=True, allow_nan=False)


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
