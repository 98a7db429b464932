"""A run's curves: as many charts as fit, one for each metric, all splits of it together."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid

from imbtui.tui.curves import Curves
from imbtui.tui.series import of_family
from imbtui.tui.widgets.plot import Plot

CHART_WIDTH, CHART_HEIGHT = 64, 13
MOST = 9


class CurvesPane(Grid, can_focus=True):
    """Charts; keys turn pages and change axes."""

    TITLE = "Curves"
    DEFAULT_CSS = """
    CurvesPane { grid-gutter: 1 3; padding: 0 1; height: 1fr; }
    CurvesPane > Plot.-hidden { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "turn(1)", "next metric", id="curves.next", tooltip="Show the next metrics."),
        Binding(
            "M", "turn(-1)", "previous", show=False, id="curves.previous", tooltip="Show the metrics before."
        ),
        Binding("y", "log", "log y", id="curves.log", tooltip="Logarithmic y axis, and back."),
        Binding("a", "axis", "epochs/steps", id="curves.axis", tooltip="Epochs or steps on the x axis."),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._curves: Curves | None = None
        self._complete = False
        self._first = 0
        self._log_y = False
        self._axis = "epochs"
        self._shown = 1

    def compose(self) -> ComposeResult:
        for number in range(MOST):
            yield Plot(id=f"chart-{number}", empty="")

    def on_resize(self, event: events.Resize) -> None:
        columns = max(1, min(3, event.size.width // CHART_WIDTH))
        rows = max(1, min(3, event.size.height // CHART_HEIGHT))
        self.styles.grid_size_columns = columns
        self.styles.grid_size_rows = rows
        self._shown = columns * rows
        self._draw()

    def show(self, curves: Curves | None, *, complete: bool) -> None:
        """Show a run's metrics.

        Args:
            curves: None while they are read.
            complete: whether all that was written so far is in them.
        """
        self._curves, self._complete = curves, complete
        self._draw()

    def action_turn(self, by: int) -> None:
        count = len(self._families)
        if count <= self._shown:
            self._first = 0
        else:
            step = self._shown if self._shown > 1 else 1
            self._first = (self._first + by * step) % count
        self._draw()

    def action_log(self) -> None:
        self._log_y = not self._log_y
        self._draw()

    def action_axis(self) -> None:
        self._axis = "steps" if self._axis == "epochs" else "epochs"
        self._draw()

    @property
    def _families(self) -> dict[str, list[str]]:
        return self._curves.families() if self._curves else {}

    def _draw(self) -> None:
        families = list(self._families.items())
        count = len(families)
        unit = "epoch" if self._axis == "epochs" else "step"
        for number, plot in enumerate(self.query(Plot)):
            position = (self._first + number) % count if count else 0
            wanted = number < min(self._shown, max(1, count))
            plot.set_class(not wanted, "-hidden")
            if not wanted:
                continue
            if not count or self._curves is None:
                waiting = "reading …" if not self._complete else "no metrics yet"
                plot.draw(waiting, ())
                continue
            name, members = families[position]
            title = name.replace("_", " ") + (", log scale" if self._log_y else "")
            if count > self._shown:
                title += f"   {position + 1} of {count}"
            series = of_family(self._curves, members, axis=self._axis)
            plot.draw(title, series, unit=unit, log_y=self._log_y)
