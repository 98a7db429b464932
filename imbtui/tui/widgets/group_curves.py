"""One metric of groups of runs over training: the mean of each group, with a band over its seeds."""

from __future__ import annotations

import string
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import Screen

from imbtui import text
from imbtui.files import printable
from imbtui.plotting.braille import Series
from imbtui.report.band import mean_band
from imbtui.report.groups import Group
from imbtui.text import plural
from imbtui.tui import sheet
from imbtui.tui.curves import FIRST_FAMILIES, SPLITS, Curves, family
from imbtui.tui.dialogs.choose import Choice, Choose
from imbtui.tui.series import AXES, SMOOTHINGS, Smoother, time_unit
from imbtui.tui.widgets.head import Head
from imbtui.tui.widgets.lines import Line, Lines, bar
from imbtui.tui.widgets.panes import Panes
from imbtui.tui.widgets.plot import Plot
from imbtui.tui.widgets.tab_bar import TabBar
from imbtui.tui.widgets.table import Table, cell
from imbtui.tui.widgets.windowed import Windowed
from imbtui.tui.window import Span, Window

if TYPE_CHECKING:
    from imbtui.tui.app import ImbtuiApp

MOST = 8  # groups at a time that can be told apart, unless all are asked for
_UNITS = {"epochs": "epoch", "steps": "step"}


class GroupCurves(Vertical, Windowed):
    """A chart of one metric."""

    app: ImbtuiApp

    DEFAULT_CSS = """
    GroupCurves { height: 1fr; }
    GroupCurves > Lines { display: none; }
    GroupCurves.-once > Lines { display: block; }
    GroupCurves.-once > Plot { display: none; }
    """

    class Turned(Message):
        """Another metric is shown."""

        def __init__(self, metric: str) -> None:
            super().__init__()
            self.metric = metric

    def __init__(self, nothing: str = "no metrics yet", *, keyed: bool = False) -> None:
        """Create an empty chart.

        Args:
            nothing: what stands there when there is no metric.
            keyed: no table beside it tells which letter stands for which group.
        """
        super().__init__()
        self._keyed = keyed
        self._named: Mapping[str, Collection[str]] = {}
        self._all = not keyed
        self.metric = ""
        self._nothing = nothing
        self._groups: Sequence[Group] = ()
        self._curves: Mapping[str, Curves] = {}
        self._names: list[str] = []
        self._axis = 0
        self._smoothing = 0
        self._smoother = Smoother()
        self._log_y = False
        self._drawn: tuple[object, ...] = ()
        self._series: list[Series] = []
        self._unit = ""
        self.window = Window()

    def on_mount(self) -> None:
        """Begin with the axes and the smoothing that curves were looked at with last."""
        view = self.app.view
        self._axis = AXES.index(view.axis) if view.axis in AXES else 0
        self._smoothing = max(0, min(len(SMOOTHINGS) - 1, view.smoothing))
        self._log_y = view.log_y

    def compose(self) -> ComposeResult:
        yield Plot(keyed=self._keyed)
        yield Lines()

    def on_resize(self) -> None:
        self._drawn = ()
        self.draw()

    def show(
        self,
        groups: Sequence[Group],
        curves: Mapping[str, Curves],
        *,
        prefer: str = "",
        named: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        """Show groups.

        Args:
            curves: of their runs, as far as they are read.
            prefer: the metric to begin with.
            named: by metric, the arms that claims about it name: where there are many, they are shown first.
        """
        self._named = named or {}
        self._groups, self._curves = groups, curves
        known = {name for group in groups for i in group.ids if i in curves for name in curves[i].lines}
        self._names = sorted(known, key=_metric_order)
        if self.metric not in known:
            self._turn_to(prefer if prefer in known else next(iter(self._names), ""))
        self.draw()

    def turn_to(self, metric: str) -> None:
        """Show a metric, where there are curves of it."""
        if metric in self._names and metric != self.metric:
            self._turn_to(metric)
            self.draw()

    def action_turn(self, by: int) -> None:
        if self._names:
            self.turn_to(self._names[(self._names.index(self.metric) + by) % len(self._names)])

    def action_find(self) -> None:
        if self._names:
            choices = [Choice(name) for name in self._names]
            self.app.push_screen(Choose("Which metric?", choices, current=self.metric), self._found)

    def _found(self, metric: str | None) -> None:
        self.turn_to(metric or "")

    def action_all(self) -> None:
        """Show all groups, or those that claims name."""
        self._all = not self._all
        self.draw()

    def _chosen(self) -> tuple[list[int], int]:
        """Return the positions of the groups to show, and how many there would be."""
        there = [n for n, group in enumerate(self._groups) if any(self._has(i) for i in group.ids)]
        if self._all or len(there) <= MOST:
            return there, len(there)
        arms = self._named.get(self.metric, ())
        named = [n for n in there if self._groups[n].members[0].arm in arms]
        return named or there[:MOST], len(there)

    def action_log(self) -> None:
        self._log_y = self.app.view.log_y = not self._log_y
        self.draw()

    def action_axis(self) -> None:
        self._axis = (self._axis + 1) % len(AXES)
        self.app.view.axis = AXES[self._axis]
        self.window.forget()
        self.draw()

    def action_smooth(self, by: int) -> None:
        self._smoothing = max(0, min(len(SMOOTHINGS) - 1, self._smoothing + by if by else 0))
        self.app.view.smoothing = self._smoothing
        self.draw()

    # Zoom and read-out

    @property
    def whole(self) -> Span:
        return 0.0, max((one.x[-1] for one in self._series if one.x), default=1.0)

    @property
    def in_steps(self) -> bool:
        return AXES[self._axis] == "steps"

    def points(self) -> Sequence[float]:
        return max((one.x for one in self._series), key=len, default=())

    # Drawing

    def _turn_to(self, metric: str) -> None:
        self.metric = metric
        self.post_message(self.Turned(metric))

    def draw(self) -> None:
        plot = self.query_one(Plot)
        if not self.metric:
            self.remove_class("-once")
            waiting = any(i not in self._curves for group in self._groups for i in group.ids)
            plot.draw("", (), empty="reading …" if waiting else self._nothing)
            return
        lines = [
            [self._curves[i].lines[self.metric] for i in group.ids if self._has(i)] for group in self._groups
        ]
        lengths = tuple(tuple(len(line.values) for line in group) for group in lines)
        window = self.window
        looks = (self.metric, self._all, self._axis, self._smoothing, self._log_y, window.zoom, window.cursor)
        state = (*looks, lengths, tuple(self._groups))
        if state == self._drawn:
            return
        self._drawn = state
        axis, weight = AXES[self._axis], SMOOTHINGS[self._smoothing]
        first = next((self._curves[i] for group in self._groups for i in group.ids if self._has(i)), None)
        seconds, unit = time_unit(first) if axis == "times" and first else (1.0, _UNITS.get(axis, ""))
        self._series = []
        chosen, count = self._chosen()
        for number in chosen:
            group, members = self._groups[number], lines[number]
            band = mean_band([(getattr(one, axis), self._smoother.smooth(one, weight)) for one in members])
            x = band.x if seconds == 1 else [moment / seconds for moment in band.x]
            mark = letter(number, len(self._groups))
            place = len(self._series)
            self._series.append(Series(group.label, x, band.mean, place, band.low, band.high, mark))
        title = self.metric.replace("_", " ")
        title += ", log scale" if self._log_y else ""
        title += f", smoothed {weight:g}" if weight else ""
        title += ", zoomed" if window.zoom else ""
        title += f"   {len(chosen)} of {count} arms; A shows all" if len(chosen) < count else ""
        self._unit = unit
        once = any(one.x for one in self._series) and all(len(one.x) <= 1 for one in self._series)
        self.set_class(once, "-once")
        if once:
            self.query_one(Lines).show(_once(f"{title}, mean ± sd over seeds", self._series, self.size.width))
        plot.draw(
            title, self._series, unit=unit, log_y=self._log_y, x_range=window.zoom, cursor=window.cursor
        )

    def action_write(self) -> None:
        """Copy the chart: a row for each place on the x axis, mean and band of each group beside it."""
        table: dict[float, dict[int, tuple[float, ...]]] = {}
        for number, one in enumerate(self._series):
            for x, *values in zip(one.x, one.y, one.low, one.high, strict=True):
                table.setdefault(x, {})[number] = tuple(values)
        heading = [f"{one.label} {part}" for one in self._series for part in ("mean", "low", "high")]
        lack = (None, None, None)
        rows = [
            [f"{x:g}", *(value for number in range(len(self._series)) for value in found.get(number, lack))]
            for x, found in sorted(table.items())
        ]
        self.app.copy(
            sheet.csv_text([self._unit, *heading], rows), f"{self.metric}, {plural(len(rows), 'row')} of CSV,"
        )

    def _has(self, run_id: str) -> bool:
        return run_id in self._curves and self.metric in self._curves[run_id].lines


class ChartScreen(Screen[None]):
    """A screen with a chart of groups among its panes: keys work wherever the cursor stands."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(
                str(n),
                f"tab({n - 1})",
                show=False,
                id=f"panes.{n}",
                tooltip=f"Show tab {n}; once more: back to the table.",
            )
            for n in (1, 2, 3)
        ),
        Binding(
            "tab", "next(1)", "next tab", id="panes.next", tooltip="Next tab; after the last: the table."
        ),
        Binding("shift+tab", "next(-1)", show=False, id="panes.before", tooltip="Tab before."),
        Binding("m", "chart('turn', 1)", "metric", id="chart.metric", tooltip="The next metric."),
        Binding(
            "M",
            "chart('turn', -1)",
            "metric before",
            show=False,
            id="chart.metric_before",
            tooltip="The metric before.",
        ),
        Binding(
            "f", "chart('find')", "find metric", show=False, id="chart.find", tooltip="Find a metric by name."
        ),
        Binding("y", "chart('log')", "log y", id="chart.log", tooltip="Logarithmic y axis, and back."),
        Binding("x", "chart('axis')", "axis", id="chart.axis", tooltip="Epochs, steps or time on the axis."),
        Binding(
            "left",
            "chart('read', -1)",
            "read out",
            id="chart.read",
            tooltip="Read values out; further left.",
            key_display="← →",
        ),
        Binding("right", "chart('read', 1)", show=False, id="chart.read_right", tooltip="Read out; right."),
        Binding(
            "shift+left",
            "chart('read', -10)",
            show=False,
            id="chart.read_far_left",
            tooltip="Ten steps left.",
        ),
        Binding(
            "shift+right", "chart('read', 10)", show=False, id="chart.read_far", tooltip="Ten steps right."
        ),
        Binding("backspace", "chart('unread')", show=False, id="chart.unread", tooltip="Read nothing out."),
        Binding(
            "z",
            "chart('zoom', 1)",
            "zoom",
            id="chart.zoom",
            tooltip="Zoom in on what is read out, or the end.",
        ),
        Binding("Z", "chart('zoom', -1)", "zoom out", show=False, id="chart.unzoom", tooltip="Zoom out."),
        Binding(
            "plus,equals_sign",
            "chart('smooth', 1)",
            "smooth",
            key_display="+ −",
            id="chart.more",
            tooltip="Smooth more.",
        ),
        Binding(
            "minus",
            "chart('smooth', -1)",
            "smooth less",
            show=False,
            key_display="−",
            id="chart.less",
            tooltip="Smooth less.",
        ),
        Binding("0", "chart('smooth', 0)", show=False, id="chart.raw", tooltip="Do not smooth."),
        Binding(
            "w",
            "write",
            "copy",
            show=False,
            id="chart.write",
            tooltip="Copy the chart as CSV; a tab's text.",
        ),
    ]

    app: ImbtuiApp
    _reading = False
    _again = False

    def read_in_thread(self) -> None:
        """Put together what the screen shows and post it."""
        raise NotImplementedError

    def read(self) -> None:
        """Put together anew what the screen shows, unless that is under way; then once more after it."""
        self._again = self._reading
        if not self._reading:
            self._reading = True
            self.run_worker(self.read_in_thread, thread=True, group="read", exit_on_error=False)

    def was_read(self) -> None:
        """What was put together has arrived."""
        self._reading = False
        if self._again:
            self.read()

    def on_machine_seen(self) -> None:
        head = self.query_one(Head)
        head.machine(self.app.live.machine)
        head.runs(self.app.live.counts)

    def action_tab(self, number: int) -> None:
        """Show a pane and go into it; from there, or where there is nothing to go into, to the table."""
        panes = self.query_one(Panes)
        pane = panes.pane(number)
        inside = pane is not None and pane is self.focused
        panes.show_tab(number)
        to_pane = pane is not None and pane.focusable and not inside
        self.set_focus(pane if to_pane else self.query(Table).first())

    @on(TabBar.Chosen)
    def _tab_clicked(self, event: TabBar.Chosen) -> None:
        self.action_tab(event.number)

    def action_next(self, by: int) -> None:
        """Show the next pane; behind the last one comes the table, with the first one."""
        panes = self.query_one(Panes)
        number = panes.active + by
        self.action_tab(number % panes.count)
        if not 0 <= number < panes.count:
            self.set_focus(self.query(Table).first())

    def action_write(self) -> None:
        """Copy the text that has the focus, else the chart."""
        if isinstance(self.focused, Lines):
            self.app.copy("\n".join(self.focused.plain), plural(len(self.focused.plain), "line"))
        else:
            self.query_one(GroupCurves).action_write()

    def action_chart(self, name: str, *arguments: int) -> None:
        """Do something to the chart."""
        getattr(self.query_one(GroupCurves), f"action_{name}")(*arguments)


def _once(title: str, series: Sequence[Series], width: int) -> list[Line]:
    """Return a bar a group, for what each measured a single time: curves of it would be dots."""
    shown = [one for one in series if one.x]
    names = [f"{one.mark} {one.label}".strip() for one in shown]
    numbers = [
        text.number(one.y[0]) + (f" ± {text.number(one.high[0] - one.y[0])}" if one.high else "")
        for one in shown
    ]
    room = min(max(map(cell_len, names)), max(12, width // 3))
    full = max(8, width - room - max(map(len, numbers)) - 6)
    largest = max(abs(one.y[0]) for one in shown) or 1.0
    lines: list[Line] = [[(title, "strong")], [("", "text")]]
    for one, name, number in zip(shown, names, numbers, strict=True):
        label = f"{cell(printable(name), room)}  "
        lines.append([(label, "text"), *bar(abs(one.y[0]) / largest, full), (f"  {number}", "text")])
    return lines


def letter(number: int, count: int) -> str:
    """Return the letter that stands at the end of a group's line, and before it in tables."""
    return string.ascii_letters[number] if count > 1 and number < len(string.ascii_letters) else ""


def _metric_order(name: str) -> tuple[int, int, str]:
    """Sort test metrics first, and the main ones among them."""
    split = name.partition("/")[0]
    what = family(name)
    first = FIRST_FAMILIES.index(what) if what in FIRST_FAMILIES else len(FIRST_FAMILIES)
    return (SPLITS.index(split) if split in SPLITS else len(SPLITS), first, name)
