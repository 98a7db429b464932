"""A run's curves: as many charts as fit, one for each metric, all splits of it together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid
from textual.geometry import Size

from imbtui.text import plural
from imbtui.tui import sheet
from imbtui.tui.curves import SPLITS, Curves
from imbtui.tui.dialogs.choose import Choice, Choose
from imbtui.tui.series import AXES, SMOOTHINGS, Smoother, of_family, time_unit
from imbtui.tui.widgets.plot import Plot
from imbtui.tui.widgets.windowed import Windowed
from imbtui.tui.window import Span, Window

if TYPE_CHECKING:
    from imbtui.tui.app import ImbtuiApp

CHART_WIDTH = 64
MOST_BESIDE, MOST_BELOW = 3, 3
_UNITS = {"epochs": "epoch", "steps": "step"}


class CurvesPane(Grid, Windowed, can_focus=True):
    """Charts; keys turn pages, change axes, smooth, zoom and read values out. All charts do the same."""

    app: ImbtuiApp
    TITLE = "Curves"
    CHART_HEIGHT = 13
    EMPTY = "no metrics yet"
    FIXED_AXIS = ""
    FROM_ZERO = False
    DEFAULT_CSS = """
    CurvesPane { grid-gutter: 1 3; padding: 0 1; height: 1fr; }
    CurvesPane > Plot.-hidden { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "turn(1)", "metric", id="curves.metric", tooltip="The next metrics."),
        Binding(
            "M",
            "turn(-1)",
            "metric before",
            show=False,
            id="curves.metric_before",
            tooltip="The metrics before.",
        ),
        Binding("f", "find", "find metric", show=False, id="curves.find", tooltip="Find a metric by name."),
        Binding("y", "log", "log y", id="curves.log", tooltip="Logarithmic y axis, and back."),
        Binding("x", "axis", "axis", id="curves.axis", tooltip="Epochs, steps or time on the x axis."),
        Binding(
            "left",
            "read(-1)",
            "read out",
            id="curves.read",
            tooltip="Read values out; further left.",
            key_display="← →",
        ),
        Binding("right", "read(1)", show=False, id="curves.read_right", tooltip="Read values out; right."),
        Binding("shift+left", "read(-10)", show=False, id="curves.read_far_left", tooltip="Ten steps left."),
        Binding("shift+right", "read(10)", show=False, id="curves.read_far", tooltip="Ten steps right."),
        Binding("backspace", "unread", show=False, id="curves.unread", tooltip="Read nothing out."),
        Binding("z", "zoom(1)", "zoom", id="curves.zoom", tooltip="Zoom in on what is read out, or the end."),
        Binding("Z", "zoom(-1)", "zoom out", show=False, id="curves.unzoom", tooltip="Zoom out."),
        Binding(
            "plus,equals_sign",
            "smooth(1)",
            "smooth",
            id="curves.more",
            tooltip="Smooth more.",
            key_display="+ −",
        ),
        Binding("minus", "smooth(-1)", show=False, id="curves.less", tooltip="Smooth less.", key_display="−"),
        Binding("0", "smooth(0)", show=False, id="curves.raw", tooltip="Do not smooth."),
        Binding("d", "split", "split", show=False, id="curves.split", tooltip="One split of the data; all."),
        Binding("w", "write", "copy", show=False, id="curves.write", tooltip="Copy the shown curves as CSV."),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._curves: Curves | None = None
        self._complete = False
        self._first = 0
        self._shown = 1
        self.window = Window()
        self._smoother = Smoother()

    def compose(self) -> ComposeResult:
        self._fit(self.app.size)
        # It is not known yet how many are needed: all for which there is room, since later they take longer.
        for number in range(self._shown):
            yield Plot(id=f"chart-{number}")

    def on_resize(self, event: events.Resize) -> None:
        self._fit(event.size)
        self.draw()

    def _fit(self, size: Size) -> None:
        """Lay out as many charts as there is room for."""
        columns = max(1, min(MOST_BESIDE, size.width // CHART_WIDTH))
        rows = max(1, min(MOST_BELOW, size.height // self.CHART_HEIGHT))
        if (columns, rows) != (self.styles.grid_size_columns, self.styles.grid_size_rows):
            self.styles.grid_size_columns = columns
            self.styles.grid_size_rows = rows
        self._shown = columns * rows

    def _plots(self, count: int) -> list[Plot]:
        """Return the charts there are. At least so many: each costs time, so that none is made in advance."""
        plots = list(self.query(Plot))
        new = [Plot(id=f"chart-{number}") for number in range(len(plots), count)]
        if new:
            self.mount(*new)
        return [*plots, *new]

    def show(self, curves: Curves | None, *, complete: bool) -> None:
        """Show a run's metrics.

        Args:
            curves: None while they are read.
            complete: whether all that was written so far is in them.
        """
        self._curves, self._complete = curves, complete
        self.draw()

    # Which metrics, and on which axes

    def action_turn(self, by: int) -> None:
        count = len(self._families)
        if count <= self._shown:
            self._first = 0
        else:
            step = self._shown if self._shown > 1 else 1
            self._first = (self._first + by * step) % count
        self.draw()

    def action_find(self) -> None:
        names = list(self._families)

        def chosen(name: str | None) -> None:
            if name in names:
                self._first = names.index(name)
                self.draw()

        choices = [Choice(name, ", ".join(self._families[name][:3])) for name in names]
        self.app.push_screen(Choose("Metric", choices), chosen)

    def action_log(self) -> None:
        self.app.view.log_y = not self.app.view.log_y
        self.draw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What is measured of a machine has no epochs and no splits."""
        return not (self.FIXED_AXIS and action in ("axis", "split"))

    def action_axis(self) -> None:
        self.app.view.axis = AXES[(AXES.index(self._axis) + 1) % len(AXES)]
        self.window.forget()
        self.draw()

    def action_smooth(self, by: int) -> None:
        level = self.app.view.smoothing + by if by else 0
        self.app.view.smoothing = max(0, min(len(SMOOTHINGS) - 1, level))
        self.draw()

    def action_split(self) -> None:
        splits = ["", *SPLITS[:3]]
        self.app.view.split = splits[(splits.index(self._split) + 1) % len(splits)]
        self.draw()

    # Zoom and read-out

    def points(self) -> Sequence[float]:
        """Return where on the x axis the metric was measured that was measured most often."""
        lines = self._curves.lines.values() if self._curves else ()
        longest: Any = max((getattr(line, self._axis) for line in lines), key=len, default=())
        scale = self._seconds if self._axis == "times" else 1.0
        return longest if scale == 1.0 else [x / scale for x in longest]

    @property
    def whole(self) -> Span:
        ends = [one.x[-1] for series in self._series() for one in series if one.x]
        return 0.0, max(ends, default=1.0)

    @property
    def in_steps(self) -> bool:
        return self._axis == "steps"

    # Drawing

    @property
    def _axis(self) -> str:
        chosen = self.FIXED_AXIS or self.app.view.axis
        return chosen if chosen in AXES else AXES[0]

    @property
    def _split(self) -> str:
        return self.app.view.split if self.app.view.split in SPLITS[:3] else ""

    @property
    def _weight(self) -> float:
        return SMOOTHINGS[max(0, min(len(SMOOTHINGS) - 1, self.app.view.smoothing))]

    @property
    def _seconds(self) -> float:
        return time_unit(self._curves)[0] if self._curves else 1.0

    @property
    def _families(self) -> dict[str, list[str]]:
        return self._curves.families() if self._curves else {}

    def _on_screen(self) -> list[tuple[str, list[str], int]]:
        """Return name, metrics and position of each family that has a chart."""
        families = list(self._families.items())
        count = len(families)
        places = [(self._first + number) % count for number in range(min(self._shown, count))]
        return [(*families[place], place) for place in places]

    def _series(self) -> list[list[Any]]:
        if self._curves is None:
            return []
        return [
            of_family(
                self._curves,
                members,
                axis=self._axis,
                split=self._split,
                weight=self._weight,
                smoother=self._smoother,
                seconds=self._seconds,
            )
            for _, members, _ in self._on_screen()
        ]

    def draw(self) -> None:
        shown, series = self._on_screen(), self._series()
        count = len(self._families)
        unit = _UNITS.get(self._axis) or (time_unit(self._curves)[1] if self._curves else "")
        for number, plot in enumerate(self._plots(len(shown))):
            plot.set_class(number >= max(1, len(shown)), "-hidden")
            if number >= len(shown):
                plot.draw("reading …" if not self._complete else self.EMPTY, (), empty="")
                continue
            name, _, place = shown[number]
            plot.draw(
                self._title(name, place, count),
                series[number],
                unit=unit,
                log_y=self.app.view.log_y,
                x_range=self.window.zoom,
                cursor=self.window.cursor,
                zero=self.FROM_ZERO,
            )

    def _title(self, name: str, place: int, count: int) -> str:
        title = name.replace("_", " ")
        if self.app.view.log_y:
            title += ", log scale"
        if self._weight:
            title += f", smoothed {self._weight:g}"
        if self.window.zoom:
            title += ", zoomed"
        return title + (f"   {place + 1} of {count}" if count > self._shown else "")

    def action_write(self) -> None:
        """Copy what is on the screen."""
        names = [name for _, members, _ in self._on_screen() for name in members]
        if self._curves is not None and names:
            text = sheet.of_curves(self._curves, names)
            self.app.copy(text, f"{plural(text.count(chr(10)) - 1, 'row')} of CSV")
