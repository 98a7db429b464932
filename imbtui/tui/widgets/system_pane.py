"""How busy process, machine and GPUs were while a run trained."""

from __future__ import annotations

from imbtui.tui.widgets.curves_pane import CurvesPane

_CHARTS = (
    ("CPU of the process, in cores", ("process/cpu",)),
    ("memory of the process, GiB", ("process/memory",)),
    ("machine in use, share", ("machine/cpu", "machine/memory")),
)


class SystemPane(CurvesPane):
    """The curves of system.jsonl, over time."""

    TITLE = "System"
    CHART_HEIGHT = 9
    EMPTY = "nothing was recorded"
    FIXED_AXIS = "times"
    FROM_ZERO = True

    @property
    def _families(self) -> dict[str, list[str]]:
        known = list(self._curves.lines) if self._curves else []
        charts = {title: [n for n in names if n in known] for title, names in _CHARTS}
        gpus = sorted(name for name in known if name.startswith("gpu"))
        charts["GPUs in use, share"] = [name for name in gpus if name.endswith("/utilisation")][:4]
        charts["memory of GPUs, GiB"] = [name for name in gpus if name.endswith("/memory")][:4]
        return {title: names for title, names in charts.items() if names}
