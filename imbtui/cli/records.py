"""Runs in the words that tables and sentences show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from imbtui import text

if TYPE_CHECKING:
    from imbtui.store import RunView


def condition(view: RunView) -> str:
    """Return how a run is, with its progress while it trains: `running 37 %`."""
    if view.state != "running":
        return view.state
    share = view.progress.share
    return f"running {share:.0%}".replace("%", " %") if share else "running"


def outcome(view: RunView) -> str:
    """Return what became of a run, in one phrase: `finished in 3.2 s, balanced accuracy 0.712`."""
    if view.state != "finished":
        return view.state + (f": {view.reason}" if view.reason else "")
    parts = ["finished" + (f" in {text.duration(view.seconds)}" if view.seconds is not None else "")]
    balanced = view.metrics.get("test/balanced_accuracy")
    if isinstance(balanced, float):
        parts.append(f"balanced accuracy {text.number(balanced, 3)}")
    return ", ".join(parts)


def matrices(values: Mapping[str, Any]) -> dict[str, list[list[float]]]:
    """Return the metrics that are a matrix each, such as an estimated transition matrix."""
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, list) and value and all(isinstance(row, list) for row in value)
    }


def scalars(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics that are one number each."""
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and "/" in name
    }
