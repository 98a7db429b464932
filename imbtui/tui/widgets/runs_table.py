"""The table of runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import itemgetter, methodcaller
from textwrap import wrap
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from imbtui import text
from imbtui.files import printable
from imbtui.tui import rows as say
from imbtui.tui.grouping import Group, arrange, mean
from imbtui.tui.messages import Row
from imbtui.tui.ordering import Order
from imbtui.tui.places import Places
from imbtui.tui.selection import Ascending, Selection
from imbtui.tui.widgets.run_lines import RunLines
from imbtui.tui.widgets.table import GAP, MEASURED, Column, cell
from imbtui.tui.widgets.typed_line import STYLES, TypedLine


def _value(row: Row, which: Callable[[Row], float | None]) -> str:
    group = row.get("group")
    if group is not None:
        spread = group.spread(which)
        return spread.text(4, sign=" ±") if spread else ""
    value = which(row)
    return "–" if value is None else text.number(value)


def _number(row: Row, which: Callable[[Row], float | None]) -> float | None:
    group = row.get("group")
    return which(row) if group is None else mean(group, which)


def _name(row: Row) -> str:
    group = row.get("group")
    if group is not None:
        return f"{'  ' * group.level}{'▾' if group.opened else '▸'} {group.label}"
    return say.name(row)


def _seed(row: Row) -> str:
    group = row.get("group")
    return str(row.get("seed", "")) if group is None else group.seeds()


def _age(row: Row) -> str:
    group = row.get("group")
    return text.ago((row if group is None else group.runs[0]).get("created", ""))


def _device(row: Row) -> str | None:
    # Most runs ended without one being stored; thousands of them are asked at a key.
    return row.get("device") or (say.device(row) or None if "live" in row else None)


COLUMNS: tuple[Column, ...] = (
    Column("id", "id", 6, lambda r: printable(r["id"])[:6], itemgetter("id"), "table--quiet", 124),
    Column("state", "state", 8, itemgetter("state"), itemgetter("state"), rank=say.STATES.index),
    Column("name", "name", 0, _name, _name, rank=str.lower, least=10),
    Column(
        "study",
        "study",
        0,
        lambda r: printable(r.get("study", "")),
        methodcaller("get", "study", ""),
        "table--quiet",
        64,
    ),
    Column("seed", "seed", 4, _seed, methodcaller("get", "seed"), right=True),
    Column("knobs", "main knobs", 0, say.knobs, say.knobs, "table--quiet", 104, least=16),
    Column(
        "progress",
        "progress",
        0,
        say.situation,
        say.share,
        "table--quiet",
        descends=True,
        least=18,
        fills=True,
    ),
    Column(
        "last",
        "bal.acc",
        7,
        lambda r: _value(r, say.last),
        partial(_number, which=say.last),
        right=True,
        descends=True,
    ),
    Column(
        "best",
        "at best",
        7,
        lambda r: _value(r, say.best),
        partial(_number, which=say.best),
        needs=88,
        right=True,
        descends=True,
    ),
    Column(
        "age",
        "age",
        6,
        _age,
        methodcaller("get", "order"),
        "table--quiet",
        right=True,
        descends=True,
    ),
    Column("device", "device", 6, say.device, _device, "table--quiet", 96),
)
HINT = "ldam   or   state == finished and test/accuracy > 0.8"
COMPLAINT_LINES = 3
SPREAD_WIDTH = 14  # cells of `0.8213 ±0.0207`
_IN_GROUPS = ("name", "seed", "last", "best", "age", "progress")


class RunsTable(RunLines):
    """Runs as lines, sorted by a column; or grouped by study, with mean ± sd over seeds.

    Attributes:
        filter: the line in which a filter is typed; while it is, letters go there.
        typed: told when keys have changed it.
    """

    DEFAULT_CSS = """
    RunsTable > .filter-line--prompt { color: $text-primary; background: $surface; }
    RunsTable > .filter-line--text { color: $foreground; background: $surface; }
    RunsTable > .filter-line--quiet { color: $text-muted; background: $surface; }
    RunsTable > .runs-table--complaint { color: $text-error; background: $surface; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {*STYLES, "runs-table--complaint"}

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", id="runs.open", tooltip="Open the selected run."),
        Binding(
            "space",
            "mark",
            "mark",
            id="runs.mark",
            tooltip="Mark or unmark: stop, resume and delete take all marked.",
        ),
        Binding("s", "sort", "sort", id="runs.sort", tooltip="Sort by the next column."),
        Binding("S", "turn", "reverse", show=False, id="runs.turn", tooltip="Reverse the order."),
        Binding("v", "group", "group", id="runs.view", tooltip="Group by study, with mean ± sd over seeds."),
        Binding(
            "right", "open_group(True)", show=False, id="runs.unfold", tooltip="Show what is in a group."
        ),
        Binding("left", "open_group(False)", show=False, id="runs.fold", tooltip="Hide what is in a group."),
    ]

    class Arranged(Message):
        """The user changed order or grouping."""

    def __init__(self, columns: Sequence[Column] = COLUMNS, *, id: str | None = None) -> None:
        super().__init__(columns, id=id)
        self.sort_key = "age"
        self.grouped = False
        self.toggled: set[str] = set()
        self.hidden: set[str] = set()
        self._all: list[Row] = []
        self._all_places = Places(self._all)
        self._among: Selection | None = None
        self._orders: dict[str, Order] = {}
        self._has_best = False
        self.filter = TypedLine(HINT)
        self.filter.changed = self._show_filter
        self.typed: Callable[[], None] = lambda: None
        self._complaint = ""

    # What it shows

    @property
    def run(self) -> Row | None:
        """The run under the cursor; None on a group."""
        row = self.row
        return None if row is None or "group" in row else row

    @property
    def group(self) -> Group | None:
        """The group under the cursor."""
        return None if self.row is None else self.row.get("group")

    @property
    def chosen(self) -> list[Row]:
        """The marked runs; without marks the one under the cursor, or all of the group under it."""
        if self.marks:
            marked = sorted(self._places_of(self.marks).values())
            among = self._among
            return [self._all[at] for at in marked if among is None or among.position(at) is not None]
        if self.group is not None:
            return list(self.group.runs)
        return [self.run] if self.run else []

    def show_runs(self, rows: list[Row], among: Sequence[int] | None = None) -> None:
        """Show runs; the order of each column is learnt once a list, whatever is shown of it.

        Args:
            rows: all runs, newest first. The list is not copied: `update` is told of rows that change.
            among: places of those to show, in the order of the list; None: all.
        """
        if rows is not self._all:
            self._all, self._all_places, self._orders = rows, Places(rows), {}
        self._among = None if among is None else Ascending(rows, among)
        self._show_again()

    def _show_again(self) -> None:
        self.show(self._all if self._among is None else self._among)

    def position(self, row_id: str) -> int | None:
        if isinstance(self.rows, Selection):
            place = self._all_places.get(row_id)
            return None if place is None else self.rows.position(place)
        return super().position(row_id)

    def update(self, rows: Mapping[str, Row]) -> None:
        super().update(rows)
        for run_id, place in self._places_of(rows).items():
            self._all[place] = rows[run_id]
            for column in self.columns:
                if column.key in self._orders:
                    self._orders[column.key].change(place, column.order(rows[run_id]))

    def _places_of(self, ids: Iterable[str]) -> dict[str, int]:
        """Return where runs stand among all, those that are there."""
        places = {run_id: self._all_places.get(run_id) for run_id in ids}
        return {run_id: place for run_id, place in places.items() if place is not None}

    def is_marked(self, row: Row) -> bool:
        group = row.get("group")
        return super().is_marked(row) if group is None else all(r["id"] in self.marks for r in group.runs)

    def measure(self) -> None:
        super().measure()
        runs = self._all if self._among is None else self._among
        self._has_best = any(row.get("best") for row in runs[:MEASURED])

    def shown_columns(self, width: int) -> list[Column]:
        # Columns that were put away leave their room to those that need more of it.
        room = width + sum(c.width + GAP for c in self.columns if c.key in self.hidden)
        shown = [c for c in super().shown_columns(room) if c.key not in self.hidden]
        shown = [c for c in shown if c.key != "best" or self._has_best]
        if not self.grouped:
            return shown
        return [
            replace(c, width=SPREAD_WIDTH) if c.key in ("last", "best") else c
            for c in shown
            if c.key not in ("study", "knobs")
        ]

    def hide(self, key: str, *, not_hidden: bool = False) -> None:
        """Put a column away, or show it again."""
        self.hidden = self.hidden - {key} if not_hidden else self.hidden | {key}
        self.refresh()

    def arranged(self, rows: Iterable[Row]) -> list[Row] | Selection:
        if self.grouped:
            return arrange(rows, self.toggled, self._sorted)
        if self.sort_key == "age":  # they come newest first
            places = range(len(self._all)) if self._among is None else self._among.places
            return Ascending(self._all, places) if self.descending else Selection(self._all, places[::-1])
        column = self._sorted_by
        if column.key not in self._orders:
            self._orders[column.key] = Order(map(column.order, self._all), column.rank)
        places = self._orders[column.key].places(descending=self.descending)
        if self._among is not None:
            places = list(filter(set(self._among.places).__contains__, places))
        return Selection(self._all, places)

    @property
    def _sorted_by(self) -> Column:
        return next(column for column in self.columns if column.key == self.sort_key)

    def _sorted(self, rows: list[Row]) -> list[Row]:
        if self.sort_key == "age":
            return rows if self.descending else rows[::-1]
        column = self._sorted_by
        if rows and "group" in rows[0] and column.key not in ("name", "last", "best"):
            return rows
        places = Order(map(column.order, rows), column.rank).places(descending=self.descending)
        return [rows[place] for place in places]

    # The filter

    def complain(self, sentence: str) -> None:
        """Say below the filter what is wrong with it; empty: nothing is."""
        if sentence != self._complaint:
            self._complaint = sentence
            self._show_filter()

    @property
    def complains(self) -> bool:
        """Whether it says what is wrong with the filter."""
        return bool(self._complaint)

    def is_filter(self, y: int) -> bool:
        """Whether a line of the table is the filter's."""
        return y == 0 and self.filter.shown

    def _show_filter(self) -> None:
        width = self.size.width
        lines = [self.filter.draw(width, self.style_of)] if self.filter.shown else []
        if self._complaint:
            style = self.style_of("runs-table--complaint")
            said = wrap(self._complaint, max(1, width - 2), max_lines=COMPLAINT_LINES, placeholder=" …")
            lines += [Strip([Segment(f" {line}", style)]).crop_extend(0, width, style) for line in said]
        self.stand_above(lines)

    def on_resize(self) -> None:
        self._show_filter()

    def forget(self) -> None:
        super().forget()
        if self._above:
            self._show_filter()

    # Keys

    def take_key(self, event: events.Key) -> bool:
        """Take a key that edits the filter; return whether it does."""
        before = self.filter.text
        taken = self.filter.typing and self.filter.edit(event)
        if self.filter.text != before:
            self.typed()
        return taken

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        if self.filter.typing:
            self.filter.insert(event.text)
            self.typed()

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return self.filter.typing and character is not None and character.isprintable()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Enter and the arrows leave a filter that is typed; without lines there is nothing to act on."""
        if action in ("open", "mark", "sort", "turn", "group", "open_group"):
            return bool(self.rows) and not self.filter.typing
        if action == "move" and self.filter.typing:
            return False
        return super().check_action(action, parameters)

    def action_open(self) -> None:
        if self.group is None:
            super().action_open()
        else:
            self._toggle(self.group)

    def action_mark(self) -> None:
        if self.group is None:
            super().action_mark()
            return
        ids = {row["id"] for row in self.group.runs}
        self.marks = self.marks - ids if ids <= self.marks else self.marks | ids
        self.repaint()
        self._go(self._cursor + 1)
        self._tell(always=True)

    def action_group(self) -> None:
        run = self.run
        self.grouped = not self.grouped
        self._show_again()
        if self.grouped and run is not None and self.position(run["id"]) is None:
            # The run is folded away: the cursor stands on the innermost group that shows.
            self.select(next(key for key in reversed(say.group_keys(run)) if self.position(key) is not None))
        self.refresh()
        self.post_message(self.Arranged())

    def action_open_group(self, opened: bool) -> None:
        group = self.group
        if group is not None and group.opened != opened:
            self._toggle(group)
        elif group is None and self.run is not None and self.grouped and not opened:
            self.select(self.run["groups"][1])

    def _toggle(self, group: Group) -> None:
        self.toggled.symmetric_difference_update({group.key})
        self._show_again()
        self._tell(always=True)

    def action_sort(self) -> None:
        keys = [column.key for column, _ in self._layout()]
        following = keys[(keys.index(self.sort_key) + 1) % len(keys)] if self.sort_key in keys else keys[0]
        column = next(c for c in self.columns if c.key == following)
        self.sort_by(column.key, descending=column.descends)

    def action_turn(self) -> None:
        self.sort_by(self.sort_key, descending=not self.descending)

    def sort_by(self, key: str, *, descending: bool) -> None:
        """Sort by a column."""
        self.sort_key, self.descending = key, descending
        self._show_again()
        self.post_message(self.Arranged())

    def heading_clicked(self, column: Column | None) -> None:
        if column is not None:
            again = column.key == self.sort_key
            self.sort_by(column.key, descending=not self.descending if again else column.descends)

    # Lines

    def heading_of(self, row: Row, style: Callable[[str], Style]) -> list[Segment] | None:
        group = row.get("group")
        if group is None or group.level:
            return None
        return [
            Segment(_name(row), style("table--accent")),
            Segment(f"   {text.plural(len(group.runs), 'run')}: {group.states()}", style("table--quiet")),
        ]

    def cells(self, row: Row, column: Column, width: int, style: Callable[[str], Style]) -> list[Segment]:
        group = row.get("group")
        if group is not None:
            return self._of_group(group, row, column, width, style)
        if column.key == "name" and self.grouped:
            return [Segment(cell(f"      {printable(row['id'])[:6]}", width), style(column.style))]
        return super().cells(row, column, width, style)

    def _of_group(
        self, group: Group, row: Row, column: Column, width: int, style: Callable[[str], Style]
    ) -> list[Segment]:
        shown = column.show(row) if column.key in _IN_GROUPS else ""
        name = column.style
        if column.key == "progress":
            shown = group.states()
        elif column.key in ("name", "last", "best"):
            name = "table--strong"
        return [Segment(cell(shown, width, column.right), style(name))]
