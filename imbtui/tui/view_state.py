"""How the dashboard was left: filter, order, theme and the like, remembered for each runs folder."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from imbtui import files
from imbtui.paths import RunsPaths


@dataclass
class ViewState:
    """What is remembered.

    Attributes:
        theme: name of the theme.
        filter: text of the filter of the table of runs.
        sort, descending: its order.
        grouped: whether it is grouped by study.
        toggled: keys of its groups that are not as they are at first.
        hidden: keys of its columns that the user has put away.
        preview: whether the preview is shown; None: where there is room.
        axis: x axis of curves: `epochs`, `steps` or `times`.
        log_y: whether their y axis is logarithmic.
        smoothing: level of their smoothing, 0: none.
        split: the one split that they show; empty: all.
    """

    theme: str = ""
    filter: str = ""
    sort: str = "age"
    descending: bool = True
    grouped: bool = False
    toggled: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    preview: bool | None = None
    axis: str = "epochs"
    log_y: bool = False
    smoothing: int = 0
    split: str = ""


def load(runs: RunsPaths) -> ViewState:
    """Return how the dashboard was left; what cannot be read is as at first."""
    state = ViewState()
    document = files.read_json(runs.view)
    if isinstance(document, dict):
        for one in fields(state):
            known, value = getattr(state, one.name), document.get(one.name)
            if isinstance(value, bool if known is None else type(known)):
                setattr(state, one.name, value)
    for name in ("toggled", "hidden"):
        setattr(state, name, [key for key in getattr(state, name) if isinstance(key, str)])
    return state


def save(runs: RunsPaths, state: ViewState) -> None:
    """Remember it. A folder that cannot be written to is no trouble: the next visit begins afresh."""
    document: dict[str, Any] = asdict(state)
    with contextlib.suppress(OSError):
        if runs.root.is_dir() and files.read_json(runs.view) != document:
            files.write_json(runs.view, document, durable=False)
