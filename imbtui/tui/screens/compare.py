"""Runs, or a study's arms, beside each other: curves, settings, metrics, and whether they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Static

from imbtui import text
from imbtui.files import printable
from imbtui.tui import rows as say
from imbtui.tui.dialogs.choose import Choice, Choose
from imbtui.tui.live import Wants
from imbtui.tui.messages import RowsArrived
from imbtui.tui.widgets.group_curves import ChartScreen, GroupCurves, letter
from imbtui.tui.widgets.head import Head
from imbtui.tui.widgets.key_bar import KeyBar
from imbtui.tui.widgets.lines import Line, Lines
from imbtui.tui.widgets.panes import Panes
from imbtui.tui.widgets.table import Column, Table, cell

if TYPE_CHECKING:
    from imbtui.report.compare import Line as Setting
    from imbtui.report.groups import Comparison, Group
    from imbtui.report.spread import Spread
    from imbtui.tui.app import ImbtuiApp
    from imbtui.verdict.difference import Difference

KEY = ""
TITLE = "Compare"

LONGEST = 26  # cells of a setting's value
GONE = "These runs are gone. Esc leads back."


@dataclass(frozen=True)
class Wanted:
    """What is compared, and how.

    Attributes:
        ids: runs.
        study: name and variant of the study whose arms are compared; empty: the runs as they are.
        apart: each run by itself, instead of seeds together.
        at: `last` or `best`, see `metrics.pick`.
        baseline: position of the group that the others are compared with.
    """

    ids: tuple[str, ...] = ()
    study: tuple[str, str] = ("", "")
    apart: bool = False
    at: str = "last"
    baseline: int = 0


class Compared(Message, bubble=False):
    """The comparison was made in a thread.

    Attributes:
        comparison: None: there is nothing to compare.
        differences: by metric, one a group; None for the baseline itself.
        trouble: why there is nothing to compare.
    """

    def __init__(
        self,
        wanted: Wanted,
        comparison: Comparison | None,
        differences: Mapping[str, Sequence[Difference | None]],
        trouble: str = GONE,
    ) -> None:
        super().__init__()
        self.wanted = wanted
        self.comparison = comparison
        self.differences = differences
        self.trouble = trouble

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Compared)


class Compare(ChartScreen):
    """Groups with the chosen metric and its differences; curves, all metrics, settings that differ.

    Args:
        ids: runs to compare.
        study: name and variant of the study that they are of, to compare its arms.
    """

    app: ImbtuiApp
    DEFAULT_CSS = """
    Compare > Table { height: auto; max-height: 30%; }
    Compare > #note { height: auto; max-height: 2; padding: 0 1; color: $text-muted; background: $surface; }
    """
    AUTO_FOCUS = "Table"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "back", id="compare.back", tooltip="Back."),
        Binding(
            "b", "baseline", "baseline", id="compare.baseline", tooltip="Compare all with the selected group."
        ),
        Binding(
            "v", "view", "seeds apart", id="compare.view", tooltip="Seeds together, or each run by itself."
        ),
        Binding(
            "a",
            "at",
            "best epoch",
            id="compare.at",
            tooltip="Metrics after the last epoch, or at the best one by validation.",
        ),
    ]

    def __init__(self, *, ids: tuple[str, ...] = (), study: tuple[str, str] = ("", "")) -> None:
        super().__init__()
        self._wanted = Wanted(ids, study)
        self._seen: Compared | None = None
        self._ids = frozenset(ids)
        self._states: object = None

    def compose(self) -> ComposeResult:
        yield Head("Compare", self._wanted.study[0])
        yield Table(_columns(""))
        yield Static("reading …", id="note", markup=False)
        yield Panes(
            ["Curves", "Metrics", "Settings"], [GroupCurves(), Lines(id="metrics"), Lines(id="settings")]
        )
        yield KeyBar()

    def on_screen_resume(self) -> None:
        self.on_machine_seen()
        self.on_runs_changed()
        self.app.live.poke()

    def wants(self) -> Wants:
        """The curves of all that is compared."""
        return Wants(self._ids)

    # What the poller says

    def on_runs_changed(self) -> None:
        """Compare anew when one of the runs is in another state, or the study has other runs."""
        study, variant = self._wanted.study
        states = [
            (row["id"], row["state"])
            for row in self.app.live.rows
            if row["id"] in self._ids
            or (study and row.get("study") == study and row.get("variant") == variant)
        ]
        if states != self._states:
            self._states = states
            self.read()

    def on_rows_arrived(self, message: RowsArrived) -> None:
        if message.run_id in self._ids:
            self._show_curves()

    def read_in_thread(self) -> None:
        try:
            self.post_message(make(self.app, self._wanted))
        except Exception as error:  # the screen stays up whatever a damaged file does
            trouble = self.app.say_failed("these runs cannot be compared", error)
            self.post_message(Compared(self._wanted, None, {}, printable(trouble)))

    def on_compared(self, message: Compared) -> None:
        self.was_read()
        self._seen = message
        found = message.comparison
        self._ids = frozenset(i for group in found.groups for i in group.ids) if found else self._ids
        self._show_curves()
        self._show_groups()
        self._show_tables()
        self.app.live.poke()

    # What is shown

    @property
    def _groups(self) -> Sequence[Group]:
        return self._seen.comparison.groups if self._seen and self._seen.comparison else ()

    def _show_curves(self) -> None:
        if self._groups:
            self.query_one(GroupCurves).show(self._groups, self.app.live.curves, prefer=say.MAIN_METRIC)

    @on(GroupCurves.Turned)
    def _show_groups(self) -> None:
        """Show the groups with the metric of the chart, or with the main one where that is not finished."""
        table, note = self.query_one(Table), self.query_one("#note", Static)
        seen = self._seen
        if seen is None or seen.comparison is None:
            table.show([])
            note.update(seen.trouble if seen else "reading …")
            return
        found = seen.comparison
        charted = self.query_one(GroupCurves).metric
        metric = charted if charted in found.metrics else next(iter(found.metrics), "")
        spreads = found.metrics.get(metric, (None,) * len(found.groups))
        differences = seen.differences.get(metric, (None,) * len(found.groups))
        baseline = min(seen.wanted.baseline, len(found.groups) - 1)
        says = [difference.p_text() if difference else "" for difference in differences]
        table.columns = _columns(metric, max(9, *map(len, says)))
        table.show(
            [
                {
                    "id": str(number),
                    "letter": letter(number, len(found.groups)),
                    "label": printable(group.label),
                    "runs": group.size_text,
                    "value": spread.text() if spread else "–",
                    "difference": _difference(difference, number == baseline),
                    "interval": difference.interval_text() if difference else "",
                    "p": p,
                }
                for number, (group, spread, difference, p) in enumerate(
                    zip(found.groups, spreads, differences, says, strict=True)
                )
            ]
        )
        note.update(_note(found, metric, baseline, seen.wanted))

    def _show_tables(self) -> None:
        found = self._seen.comparison if self._seen else None
        metrics, settings = self.query_one("#metrics", Lines), self.query_one("#settings", Lines)
        if found is None or self._seen is None:
            metrics.show([])
            settings.show([])
            return
        metrics.show(_metric_lines(found, self._seen.wanted.at))
        settings.show(_setting_lines(found.groups, found.recipe))

    # Keys

    def _change(self, **changes: Any) -> None:
        self._wanted = replace(self._wanted, **changes)
        self.read()

    def action_baseline(self) -> None:
        row = self.query_one(Table).row
        if row is not None:
            self._change(baseline=int(row["id"]))

    def action_view(self) -> None:
        self._change(apart=not self._wanted.apart, baseline=0)

    def action_at(self) -> None:
        self._change(at="best" if self._wanted.at == "last" else "last")

    @on(Table.Opened)
    def _opened(self, event: Table.Opened) -> None:
        ids = self._groups[int(event.row["id"])].ids
        if len(ids) == 1:
            self.app.open_run(ids[0])
        elif ids:
            rows = {row["id"]: row for row in self.app.live.rows}
            choices = [Choice(i, f"{say.label(rows[i])}, {rows[i]['state']}") for i in ids if i in rows]
            self.app.push_screen(Choose("Which run?", choices), self._chosen)

    def _chosen(self, run_id: str | None) -> None:
        if run_id is not None:
            self.app.open_run(run_id)


def make(app: ImbtuiApp, wanted: Wanted) -> Compared:
    """Compare what is wanted; runs whose folders are gone are left out."""
    from imbtui import store
    from imbtui.report.groups import compare_groups, of_study, over_seeds, single
    from imbtui.report.studies import views_of

    records = [
        record
        for record in (store.studies(app.runs, warn=app.warn) if wanted.study[0] else ())
        if (record.get("study"), record.get("variant")) == wanted.study
    ]
    if records:
        groups = of_study(records[-1], views_of(app.runs, records))
    else:
        there = [app.runs.run(run_id) for run_id in wanted.ids]
        groups = over_seeds([store.read(run) for run in there if run.root.is_dir()])
    if wanted.apart:
        groups = single([m.run for group in groups for m in group.members if m.run is not None])
    if not groups:
        return Compared(wanted, None, {})
    comparison = compare_groups(groups, at=wanted.at)
    baseline = min(wanted.baseline, len(groups) - 1)
    places = range(len(groups))
    differences = {
        metric: [None if p == baseline else comparison.difference(metric, p, baseline) for p in places]
        for metric in comparison.metrics
    }
    return Compared(wanted, comparison, differences)


def _columns(metric: str, width: int = 9) -> tuple[Column, ...]:
    """Return the columns.

    Args:
        width: cells that p, or why there is none, takes.
    """
    name = metric.removeprefix("test/").replace("_", " ")
    return (
        Column("letter", "", 1, lambda r: r["letter"], style="table--accent"),
        Column("label", "group", 0, lambda r: r["label"], style="table--strong", least=14),
        Column("runs", "runs", 7, lambda r: r["runs"], style="table--quiet", right=True),
        Column("value", name or "metric", max(15, len(name)), lambda r: r["value"], right=True),
        Column("difference", "difference", 10, lambda r: r["difference"], right=True),
        Column("interval", "95 % interval", 16, lambda r: r["interval"], style="table--quiet", needs=96),
        Column("p", "p", width, lambda r: r["p"]),
    )


def _difference(difference: Difference | None, baseline: bool) -> str:
    if baseline:
        return "baseline"
    return difference.mean_text() if difference else ""


def _note(found: Comparison, metric: str, baseline: int, wanted: Wanted) -> str:
    at = "at the best epoch by validation" if wanted.at == "best" else "after the last epoch"
    if not metric:
        nothing = "no finished run has a validation split" if wanted.at == "best" else "no run has finished"
        return f"{nothing}; the curves show what there is"
    if len(found.groups) < 2:
        return f"{at}; there is only one group: v takes its runs apart"
    return f"{at}; difference from {printable(found.groups[baseline].label)}: paired t test, not corrected"


def _metric_lines(found: Comparison, at: str) -> list[Line]:
    which = "at the best epoch by validation" if at == "best" else "after the last epoch"
    heading: Line = [(f"Metrics {which}, mean ± sd over seeds", "strong")]
    if not found.metrics:
        return [heading, [("No finished run has any.", "quiet")]]
    texts = {
        name: [_spread_text(spread, group) for spread, group in zip(spreads, found.groups, strict=True)]
        for name, spreads in found.metrics.items()
    }
    return [heading, *_grid(found.groups, texts, right=True)]


def _spread_text(spread: Spread | None, group: Group) -> str:
    if spread is None:
        return "–"
    return spread.text() + (f" (n={spread.n})" if spread.n != group.finished else "")


def _setting_lines(groups: Sequence[Group], settings: Sequence[Setting]) -> list[Line]:
    heading: Line = [("Settings that differ", "strong")]
    if not settings:
        same = "There is only one group." if len(groups) == 1 else "None: these are the same runs."
        return [heading, [(same, "quiet")]]
    texts = {
        line.key: ["–" if value is None else text.shown(value, line.key) for value in line.values]
        for line in settings
    }
    return [heading, *_grid(groups, texts, right=False)]


def _grid(groups: Sequence[Group], texts: Mapping[str, Sequence[str]], *, right: bool) -> list[Line]:
    """Return keys by groups, a letter and a label above each column."""
    first = max(cell_len(key) for key in texts) + 2
    titles = [f"{letter(n, len(groups))} {printable(g.label)}".strip() for n, g in enumerate(groups)]
    widths = [
        min(LONGEST, max(cell_len(title), *(cell_len(values[number]) for values in texts.values())))
        for number, title in enumerate(titles)
    ]
    lines: list[Line] = [
        [
            (" " * first, "quiet"),
            *((f"{cell(t, w, right)}  ", "accent") for t, w in zip(titles, widths, strict=True)),
        ]
    ]
    for key, values in texts.items():
        shown = [(f"{cell(v, w, right)}  ", "text") for v, w in zip(values, widths, strict=True)]
        lines.append([(cell(printable(key), first), "quiet"), *shown])
    return lines


build = Compare
