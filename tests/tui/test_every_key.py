"""Every key of every screen, pane and dialog: what can be seen, or is on disk, after it and was not before.

The bindings are read from the classes. One without a line in `PLACES` fails by its name.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import OptionList

import imbtui.tui
from imbtui import queue, store
from imbtui.paths import RunsPaths
from imbtui.tui.app import ImbtuiApp
from imbtui.tui.dialogs.ask_text import AskText
from imbtui.tui.dialogs.choose import Choose
from imbtui.tui.dialogs.confirm import Confirm
from imbtui.tui.dialogs.help import Help
from imbtui.tui.dialogs.jump import Jump
from imbtui.tui.dialogs.show_recipes import ShowRecipes
from imbtui.tui.screens.compare import Compare
from imbtui.tui.screens.form import FormScreen
from imbtui.tui.screens.new_run import NewRun
from imbtui.tui.screens.paper import PaperScreen
from imbtui.tui.screens.papers import Papers
from imbtui.tui.screens.queue import Queue
from imbtui.tui.screens.run import Run
from imbtui.tui.screens.runs import Runs
from imbtui.tui.widgets.fields import Fields
from imbtui.tui.widgets.filter_line import FilterLine
from imbtui.tui.widgets.group_curves import GroupCurves
from imbtui.tui.widgets.heat_map import HeatMap
from imbtui.tui.widgets.lines import Lines
from imbtui.tui.widgets.plot import Plot
from imbtui.tui.widgets.preview import Preview
from imbtui.tui.widgets.runs_table import RunsTable
from imbtui.tui.widgets.table import Table

SMALL, LARGE = (80, 24), (200, 50)
QUEUED, RUNNING, DONE, STOPPED = "qdrwab-ldam-drw-s1", "rldama-ldam-drw-s0", "fdrwaa-drw-s0", "sceaab-ce-s1"


@dataclass
class Scene:
    """The dashboard as a test sees it."""

    app: ImbtuiApp
    runs: RunsPaths
    text_of: Callable[[], str]
    size: tuple[int, int]
    launched: list[Any] = field(default_factory=list)

    @property
    def screen(self) -> Screen[Any]:
        return self.app.screen

    @property
    def text(self) -> str:
        return self.text_of()

    def one(self, kind: Any) -> Any:
        """The widget of a kind on the screen; of several, the first that is shown."""
        found = (
            widget
            for screen in reversed(self.app.screen_stack)
            for widget in screen.query(kind)
            if widget.display
        )
        return next(widget for widget in found if widget.region.area)

    @property
    def at(self) -> int:
        """Position of a table's cursor, as its edge is drawn."""
        lines = self.text.splitlines()
        table = self.one(Table)
        top = table.region.y
        edge = next(n for n, line in enumerate(lines[top:]) if line[table.region.x] == "▌")
        return edge - 1 + table.scroll_offset.y

    @property
    def scrolled(self) -> tuple[int, int]:
        """How far the focused widget is scrolled, sideways and down."""
        assert self.app.focused is not None
        return tuple(self.app.focused.scroll_offset)  # type: ignore[return-value]

    @property
    def chart(self) -> str:
        """Title and legend of the first chart."""
        return self.one(Plot).render_line(0).text

    @property
    def option(self) -> int:
        """Position of a list's cursor."""
        return self.one(OptionList).highlighted

    @property
    def copied(self) -> str:
        """What the clipboard holds, once its file holds it too."""
        file = Path(os.environ["XDG_CACHE_HOME"]) / "imbtui" / "clipboard.txt"
        return self.app.clipboard if file.is_file() and file.read_text() == self.app.clipboard else ""

    @property
    def turns(self) -> list[str]:
        """First letters of the waiting runs, in the order that is written."""
        return [row["id"][0] for row in queue.view(self.runs)][1:]

    def state(self, run_id: str) -> str:
        return store.read(self.runs.run(run_id)).state

    def said(self, sentence: str) -> bool:
        return any(sentence in notification.message for notification in self.app._notifications)


Seen = Callable[[Scene], Any]


@dataclass(frozen=True)
class Step:
    """A key and what it does.

    Attributes:
        name: id of its binding.
        key: as Textual calls it.
        then: holds after the key, and not before.
        first: keys that lead to where it means something.
        once: holds before the key is pressed; what `first` does may take a while.
        changes: instead of `then`: something that is another one afterwards.
        sizes: of the terminal.
    """

    name: str
    key: str
    then: Seen | None = None
    first: tuple[str, ...] = ()
    once: Seen | None = None
    changes: Seen | None = None
    sizes: tuple[tuple[int, int], ...] = (SMALL, LARGE)


@dataclass(frozen=True)
class Place:
    """A place with keys.

    Attributes:
        fixture: makes the runs folder.
        go: opens it.
        ready: holds when it is there.
    """

    fixture: str
    go: Callable[[Scene], None] | tuple[str, ...]
    ready: Seen
    steps: tuple[Step, ...]


def is_screen(kind: type) -> Seen:
    return lambda s: isinstance(s.screen, kind)


def shows(*words: str) -> Seen:
    return lambda s: all(word in s.text for word in words)


def lacks(word: str) -> Seen:
    return lambda s: word not in s.text


def at(position: int) -> Seen:
    return lambda s: s.at == position


def copies(start: str) -> Seen:
    return lambda s: s.copied.startswith(start)


def to_run(run_id: str, tab: str) -> Callable[[Scene], None]:
    def go(scene: Scene) -> None:
        scene.app.open_run(run_id)
        scene.app.simulate_key(tab)

    return go


MOVES = (
    *(Step("table.down", key, at(1 + n)) for n, key in enumerate(("down", "j"))),
    *(Step("table.up", key, at(1 - n)) for n, key in enumerate(("up", "k"))),
    *(Step("table.end", key, at(13), first=("home",)) for key in ("end", "G")),
    *(Step("table.top", key, at(0), first=("end",)) for key in ("home", "g")),
    Step("table.page_down", "pagedown", at(13)),
    Step("table.page_up", "pageup", at(0)),
)

HOME = (
    *MOVES,
    Step("runs.sort", "s", lambda s: re.search(r"(state|device)▴", s.text)),
    Step("runs.turn", "S", lambda s: re.search(r"(state|device)▾", s.text)),
    Step("runs.order", "o", lambda s: isinstance(s.screen, Choose) and "Sort by" in s.text),
    Step("choose.choose", "enter", shows("age▾"), first=tuple("age")),
    Step("runs.columns", "C", lambda s: isinstance(s.screen, Choose) and "Show or put away" in s.text),
    Step("choose.down", "down", lambda s: s.option == 1),
    Step("choose.up", "up", lambda s: s.option == 0),
    Step("choose.page_down", "pagedown", lambda s: s.option == 7),
    Step("choose.page_up", "pageup", lambda s: s.option == 0),
    Step("choose.back", "escape", is_screen(Runs)),
    Step("runs.view", "v", shows("▾ quickstart")),
    Step("runs.unfold", "right", shows("▾ LDAM-DRW")),
    Step("runs.fold", "left", shows("▸ LDAM-DRW")),
    Step("runs.mark", "space", lambda s: "●" in s.text and s.one(Table).marks, first=("v", "home")),
    Step("runs.clear", "escape", lacks("●")),
    Step("runs.search", "slash", shows("state == finished and")),
    Step("filter.back", "escape", lacks("state == finished and")),
    Step("filter.keep", "enter", lambda s: not s.one(RunsTable).filter.typing, first=("slash", *"fashion")),
    Step("runs.clear", "escape", lacks("6 of 14 runs"), once=shows("6 of 14 runs")),
    Step("filter.keep", "down", lambda s: not s.one(RunsTable).filter.typing, first=("slash", "r")),
    Step("runs.info", "i", changes=lambda s: s.screen.query_one(Preview).display, first=("escape",)),
    Step("runs.tag", "t", lambda s: isinstance(s.screen, AskText) and "Tags" in s.text, first=("end",)),
    Step("ask.back", "escape", is_screen(Runs)),
    Step(
        "ask.give",
        "enter",
        lambda s: store.read_notes(s.runs.run("oldfaa-rw-s5"))[0] == ("paper",),
        first=("t", *"paper"),
    ),
    Step("runs.note", "e", lambda s: isinstance(s.screen, AskText) and "Note" in s.text),
    Step("runs.write", "w", copies("oldfaa-rw-s5"), first=("escape",)),
    Step(
        "runs.refresh",
        "ctrl+r",
        lambda s: s.one(Table).rows[-1]["state"] == "crashed",
        # The poller goes by what trainers and the command line write, and this is neither.
        once=lambda s: s.runs.run("oldeaa-rw-s4").submit.write_text("{"),
    ),
    Step("runs.stop", "X", lambda s: isinstance(s.screen, Confirm) and "Stop" in s.text, first=("g", "j")),
    Step("confirm.no", "n", is_screen(Runs)),
    Step("confirm.other", "left", lambda s: s.app.focused.id == "yes", first=("X",)),
    Step("confirm.other", "right", lambda s: s.app.focused.id == "no"),
    Step("confirm.no", "escape", is_screen(Runs)),
    Step("confirm.yes", "y", lambda s: s.runs.run(RUNNING).stop.is_file(), first=("X",)),
    Step("runs.resume", "R", lambda s: s.state(STOPPED) == "queued", first=("home", *["down"] * 5)),
    Step("runs.delete", "delete", is_screen(Confirm), first=("home", "down", "down", "down", "down")),
    Step("confirm.yes", "y", lambda s: not s.runs.run("fceaaa-ce-s0").root.exists()),
    Step(
        "runs.undo", "u", lambda s: s.runs.run("fceaaa-ce-s0").root.is_dir(), once=lambda s: s.said("trash")
    ),
    Step("runs.open", "enter", lambda s: isinstance(s.screen, Run) and s.screen.run_id == QUEUED, ("home",)),
    Step("run.back", "escape", is_screen(Runs)),
    Step("runs.compare", "c", is_screen(Compare)),
    Step("compare.back", "escape", is_screen(Runs)),
    Step("app.new_run", "n", is_screen(NewRun)),
    Step("new.back", "escape", is_screen(Runs)),
    Step("app.queue", "Q", is_screen(Queue)),
    Step("queue.back", "escape", is_screen(Runs)),
    Step("app.papers", "P", is_screen(Papers)),
    Step("papers.back", "escape", is_screen(Runs)),
    *(Step("app.help", key, is_screen(Help), ("escape",)) for key in ("question_mark", "f1")),
    Step("help.close", "escape", is_screen(Runs)),
    *(Step("help.close", key, is_screen(Runs), ("f1",)) for key in ("question_mark", "f1", "q", "enter")),
    Step("app.jump", "ctrl+o", is_screen(Jump)),
    Step("jump.back", "escape", is_screen(Runs)),
    Step("jump.back", "ctrl+o", is_screen(Runs), ("ctrl+o",)),
    Step("app.theme", "f2", changes=lambda s: (s.app.theme, s.screen.styles.background)),
    Step("app.quit", "q", lambda s: not s.app.is_running),
)

CURVES = (
    Step("curves.metric", "m", changes=lambda s: s.chart),
    Step("curves.metric_before", "M", changes=lambda s: s.chart),
    Step("curves.find", "f", lambda s: isinstance(s.screen, Choose) and "Metric" in s.text),
    Step("choose.choose", "enter", lambda s: s.chart.startswith("nll"), first=tuple("nll")),
    Step("curves.log", "y", lambda s: "log scale" in s.chart),
    Step(
        "curves.axis", "x", lambda s: s.one(Plot).render_line(s.one(Plot).size.height - 1).text[-4:] == "step"
    ),
    Step("curves.read", "left", shows("┊"), first=("y", "x", "x")),
    Step("curves.read_far_left", "shift+left", changes=lambda s: s.chart),
    Step("curves.read_right", "right", changes=lambda s: s.one(Plot)._cursor),
    Step("curves.read_far", "shift+right", changes=lambda s: s.chart),
    Step("curves.zoom", "z", lambda s: s.one(Plot).x_range == (40.0, 80.0) and "┊" in s.text),
    Step("curves.unzoom", "Z", lambda s: s.one(Plot).x_range == (0.0, 80.0)),
    Step("curves.unread", "backspace", lacks("┊")),
    Step("curves.more", "plus", lambda s: "smoothed 0.3" in s.chart),
    Step("curves.more", "equals_sign", lambda s: "smoothed 0.6" in s.chart),
    Step("curves.less", "minus", lambda s: "smoothed 0.3" in s.chart),
    Step("curves.raw", "0", lambda s: "smoothed" not in s.chart),
    Step("curves.split", "d", lambda s: "test" in s.chart and "train" not in s.chart),
    Step("curves.write", "w", copies("step,epoch,test/nll,train/nll")),
    Step("run.classes", "2", shows("▌2 Classes", "test accuracy")),
    Step("classes.split", "d", shows("train accuracy")),
    Step("classes.write", "w", copies("class,trained on,test/class_accuracy,train/class_accuracy\n0,120,")),
    Step("classes.view", "v", lacks("trained on"), first=("d",), sizes=(SMALL,)),
    Step("classes.write", "w", copies(",0,1,2,3,4,5,6,7,8,9\n0,40,1,"), sizes=(SMALL,)),
    Step("run.recipe", "3", shows("▌3 Recipe", "[dataset]")),
    Step("recipe.view", "v", shows("Other than in the tables")),
    Step("recipe.write", "w", lambda s: "[dataset]" in s.copied),
    Step("run.next", "tab", shows("▌4 Log")),
    Step("run.previous", "shift+tab", shows("▌3 Recipe")),
    Step("run.system", "5", shows("▌5 System", "CPU of the process")),
    Step("run.curves", "1", shows("▌1 Curves")),
    Step("run.back", "escape", is_screen(Runs)),
)

LOG = (
    *(Step("lines.top", key, lambda s: s.scrolled[1] == 0, ("end",)) for key in ("home", "g")),
    *(Step("lines.down", key, changes=lambda s: s.scrolled) for key in ("down", "j")),
    *(Step("lines.up", key, changes=lambda s: s.scrolled) for key in ("up", "k")),
    Step("lines.page_down", "pagedown", changes=lambda s: s.scrolled),
    Step("lines.page_up", "pageup", changes=lambda s: s.scrolled),
    Step("lines.right", "right", changes=lambda s: s.scrolled),
    Step("lines.left", "left", changes=lambda s: s.scrolled),
    *(Step("lines.end", key, shows("line 199"), ("home",), lacks("line 199")) for key in ("end", "G")),
    Step("log.write", "w", copies("line 0\nline 1\n")),
    Step("log.search", "slash", shows("what to look for")),
    Step(
        "log.keep", "enter", lambda s: not s.one(FilterLine).line.typing, tuple("loss"), shows("4 of 4 lines")
    ),
    Step("log.hit", "n", shows("1 of 4 lines")),
    Step("log.hit_before", "N", shows("4 of 4 lines")),
    Step("log.back", "escape", lacks("of 4 lines")),
    Step("run.probes", "6", shows("▌6 Probes", "norms/scale")),
    Step("probes.log", "y", lambda s: "log scale" in s.chart, ("down",), lambda s: "norms/scale" in s.chart),
    Step("probes.write", "w", copies("step,epoch,norms/scale")),
    Step("probes.open", "enter", lambda s: isinstance(s.app.focused, HeatMap), ("down", "down", "down")),
    *(Step("map.down", key, changes=lambda s: s.scrolled) for key in ("down", "j")),
    *(Step("map.up", key, changes=lambda s: s.scrolled) for key in ("up", "k")),
    Step("map.page_down", "pagedown", changes=lambda s: s.scrolled),
    Step("map.page_up", "pageup", changes=lambda s: s.scrolled),
    Step("map.right", "right", changes=lambda s: s.scrolled),
    Step("map.left", "left", changes=lambda s: s.scrolled),
    *(Step("map.end", key, changes=lambda s: s.scrolled, first=("home",)) for key in ("end", "G")),
    *(Step("map.top", key, lambda s: s.scrolled[1] == 0, ("end",)) for key in ("home", "g")),
    Step("probes.write", "w", copies(",0,1,2,3")),
    Step("run.log", "4", shows("▌4 Log")),
)

UNDER_WAY = (
    Step("run.stop", "X", is_screen(Confirm)),
    Step("confirm.yes", "y", lambda s: s.runs.run(RUNNING).stop.is_file()),
)
STOPPED_RUN = (Step("run.resume", "R", lambda s: s.state(STOPPED) == "queued"),)

COMPARED = (
    Step("panes.2", "2", lambda s: isinstance(s.app.focused, Lines) and "Metrics after" in s.text),
    Step("panes.3", "3", lambda s: s.app.focused.id == "settings" and "Settings that differ" in s.text),
    Step("panes.1", "1", lambda s: isinstance(s.app.focused, Table) and s.one(Plot)),
    Step("panes.next", "tab", lambda s: s.app.focused.id == "metrics"),
    Step("chart.write", "w", copies("Metrics after the last epoch")),
    Step("panes.before", "shift+tab", lambda s: isinstance(s.app.focused, Table)),
    Step("chart.write", "w", copies("epoch,CE mean,CE low,CE high,LDAM mean")),
    Step("chart.metric", "m", lambda s: "test/loss" in s.chart),
    Step("chart.metric_before", "M", lambda s: "test/balanced accuracy" in s.chart),
    Step("chart.find", "f", lambda s: isinstance(s.screen, Choose) and "Which metric?" in s.text),
    Step("choose.choose", "enter", lambda s: "few accuracy" in s.chart, first=tuple("test/few")),
    Step("chart.log", "y", lambda s: "log scale" in s.chart),
    Step(
        "chart.axis", "x", lambda s: s.one(Plot).render_line(s.one(Plot).size.height - 1).text[-4:] == "step"
    ),
    Step("chart.more", "plus", lambda s: "smoothed 0.3" in s.chart),
    Step("chart.more", "equals_sign", lambda s: "smoothed 0.6" in s.chart),
    Step("chart.less", "minus", lambda s: "smoothed 0.3" in s.chart),
    Step("chart.raw", "0", lambda s: "smoothed" not in s.chart),
    Step(
        "chart.read",
        "left",
        lambda s: "┊" in s.text and re.search(r"b LDAM 0\.\d+", s.chart),
        first=("x", "x"),
    ),
    Step("chart.read_far_left", "shift+left", changes=lambda s: s.chart),
    Step("chart.read_right", "right", changes=lambda s: s.one(Plot)._cursor),
    Step("chart.read_far", "shift+right", changes=lambda s: s.chart),
    Step("chart.zoom", "z", lambda s: s.one(Plot).x_range == (40.0, 80.0) and "┊" in s.text),
    Step("chart.unzoom", "Z", lambda s: s.one(Plot).x_range == (0.0, 80.0)),
    Step("chart.unread", "backspace", lacks("┊")),
    Step("compare.baseline", "b", shows("difference from LDAM"), first=("down",)),
    Step("compare.at", "a", shows("at the best epoch")),
    Step("compare.at", "a", lacks("at the best epoch")),
    Step("table.open", "enter", lambda s: isinstance(s.screen, Choose) and "Which run?" in s.text, ("up",)),
    Step("choose.back", "escape", is_screen(Compare)),
    Step("compare.view", "v", shows("CE, seed 0", "LDAM, seed 1")),
    Step("compare.back", "escape", is_screen(Runs)),
)

PAPERS = (
    Step("papers.run", "r", lambda s: isinstance(s.screen, Confirm) and "Run cao2019/quick?" in s.text),
    Step("table.open", "enter", is_screen(PaperScreen), first=("escape",)),
    Step("paper.compare", "c", lambda s: s.said("It has not run yet"), once=shows("Claims of cao2019/quick")),
    Step("paper.run", "r", lambda s: isinstance(s.screen, Confirm) and "6 runs: 2 arms" in s.text),
    Step("confirm.yes", "y", lambda s: len(store.list_ids(s.runs)) == 6),
    Step("panes.1", "1", lambda s: s.app.focused.id == "claims"),
    Step("panes.1", "1", lambda s: isinstance(s.app.focused, Table)),
    Step("panes.3", "3", lambda s: s.app.focused.id == "numbers" and "0.770†" in s.text),
    Step("panes.next", "tab", lambda s: isinstance(s.app.focused, Table)),
    Step("paper.all", "A", lambda s: s.screen.query_one(GroupCurves)._all),
    Step("paper.compare", "c", is_screen(Compare), once=lambda s: "to come" in s.text),
    Step("paper.back", "escape", is_screen(Papers), first=("escape",)),
    Step("papers.back", "escape", is_screen(Runs)),
)

WAITING = (
    Step("queue.later", "J", lambda s: s.turns == [*"bacd"], first=("down",)),
    Step("queue.later", "shift+down", lambda s: s.turns == [*"bcad"]),
    Step("queue.earlier", "K", lambda s: s.turns == [*"bacd"]),
    Step("queue.earlier", "shift+up", lambda s: s.turns == [*"abcd"]),
    Step("queue.mark", "space", shows("●")),
    Step("queue.write", "w", copies("aaa-ldam-s0")),
    Step("queue.pause", "p", lambda s: queue.settings(s.runs).paused and "p goes on" in s.text),
    Step("queue.pause", "p", lambda s: not queue.settings(s.runs).paused and "p goes on" not in s.text),
    Step("queue.more", "plus", lambda s: queue.settings(s.runs).slots == 3 and "slots: 3" in s.text),
    Step("queue.more", "equals_sign", lambda s: queue.settings(s.runs).slots == 4),
    Step("queue.less", "minus", lambda s: queue.settings(s.runs).slots == 3),
    Step("queue.more_cpu", "right_square_bracket", lambda s: queue.settings(s.runs).slots == 4),
    Step("queue.less_cpu", "left_square_bracket", lambda s: queue.settings(s.runs).slots == 3),
    Step("queue.resume", "R", lambda s: s.said("a worker runs")),
    Step("queue.stop", "X", is_screen(Confirm)),
    Step("confirm.yes", "y", lambda s: s.runs.run("aaa-ldam-s0").stop.is_file()),
    Step("queue.open", "enter", lambda s: isinstance(s.screen, Run) and s.screen.run_id == "bbb-ldam-s1"),
    Step("queue.back", "escape", is_screen(Runs), first=("escape",)),
)

NEW = (
    Step("new.down", "down", lambda s: s.option == 1),
    Step("new.up", "up", lambda s: s.option == 0),
    Step("new.page_down", "pagedown", lambda s: s.option == 10),
    Step("new.page_up", "pageup", lambda s: s.option == 0),
    Step(
        "new.choose", "enter", lambda s: getattr(s.screen, "recipe_name", "") == "mine", first=tuple("mine")
    ),
    Step("form.down", "down", lambda s: s.one(Fields).cursor == 1, once=shows("4 runs: 2 arms")),
    Step("form.up", "up", lambda s: s.one(Fields).cursor == 0),
    Step("form.last", "end", lambda s: s.one(Fields).cursor == 8),
    Step("form.first", "home", lambda s: s.one(Fields).cursor == 0),
    Step("form.page_down", "pagedown", lambda s: s.one(Fields).cursor == 8),
    Step("form.page_up", "pageup", lambda s: s.one(Fields).cursor == 0),
    Step("form.more", "ctrl+t", shows("── model: mlp")),
    Step("form.more", "ctrl+t", lacks("── model: mlp")),
    Step("form.right", "right", lambda s: s.one(Fields).field.value == "dots", ("down",)),
    Step("form.left", "left", lambda s: s.one(Fields).field.value == "digits"),
    Step("form.reset", "delete", lambda s: s.one(Fields).field.value == "digits", ("right",), shows("●")),
    Step("form.reset", "backspace", lambda s: s.one(Fields).field.value == "digits", ("right",), shows("●")),
    Step("form.edit", "enter", lambda s: s.one(Fields).text == "100", first=("down",)),
    Step("form.erase_before", "backspace", lambda s: s.one(Fields).text == "10"),
    Step("form.erase_under", "delete", lambda s: s.one(Fields).text == "0", first=("home",)),
    Step("form.erase", "ctrl+u", lambda s: s.one(Fields).text == ""),
    Step("form.undo", "escape", lambda s: s.one(Fields).text is None and "100 " in s.text),
    Step("form.keep", "enter", lambda s: s.one(Fields).text is None and "● 50" in s.text, first=tuple("50")),
    Step(
        "form.preview",
        "f3",
        lambda s: isinstance(s.app.focused, Lines) and "ratio = 50.0" in s.app.focused.plain,
        first=("up",),
    ),
    Step("show.next", "right", shows("2 of 2")),
    Step("show.before", "left", shows("1 of 2")),
    Step("show.close", "escape", lambda s: isinstance(s.app.focused, Fields)),
    *(
        Step("show.close", key, lambda s: isinstance(s.app.focused, Fields), ("f3",), sizes=(SMALL,))
        for key in ("q", "f3")
    ),
    Step("form.editor", "f4", shows("seen by the editor 1")),
    Step("form.editor", "ctrl+e", shows("seen by the editor 2")),
    Step("form.save", "ctrl+s", lambda s: isinstance(s.screen, AskText) and "Save as a recipe" in s.text),
    Step("ask.give", "enter", lambda s: Path("recipes/mine-2.toml").is_file()),
    Step("form.next", "tab", lambda s: not isinstance(s.app.focused, Fields)),
    Step("form.launch", "ctrl+l", lambda s: len(store.list_ids(s.runs)) == 4 and isinstance(s.screen, Runs)),
    Step("form.back", "escape", is_screen(NewRun), first=("n", *"mine", "enter"), once=is_screen(FormScreen)),
    Step(
        "form.launch",
        "f5",
        lambda s: len(store.list_ids(s.runs)) == 8,
        first=("enter",),
        once=shows("4 runs"),
    ),
)

PLACES = {
    "runs": Place("gallery", (), lambda s: s.app.live.machine is not None, HOME),
    "curves": Place("rich", to_run(DONE, "1"), shows("▌1 Curves", "⠤⠤⠤⠤ test"), CURVES),
    "log": Place("rich", to_run(DONE, "4"), shows("▌4 Log", "line 199"), LOG),
    "under way": Place("gallery", to_run(RUNNING, "1"), shows("epoch 50 of 80"), UNDER_WAY),
    "stopped": Place("gallery", to_run(STOPPED, "1"), shows("stopped"), STOPPED_RUN),
    "compare": Place("study", ("c",), shows("p = ", "b LDAM"), COMPARED),
    "papers": Place("library", ("P", "down", "down"), shows("0.770†", "Label-Distribution"), PAPERS),
    "queue": Place("waiting", ("Q",), shows("epoch 50 of 80", "slots: 2"), WAITING),
    "new run": Place("recipes", ("n",), shows("quickstart "), NEW),
}


def bindings() -> Iterator[tuple[type, Binding, str]]:
    """Yield class, binding and key of all that the dashboard's own classes bind."""
    for module in pkgutil.walk_packages(imbtui.tui.__path__, "imbtui.tui."):
        for kind in vars(importlib.import_module(module.name)).values():
            if isinstance(kind, type) and kind.__module__ == module.name:
                for binding in vars(kind).get("BINDINGS", ()):
                    for key in binding.key.split(","):
                        yield kind, binding, key


def test_every_binding_is_checked_here() -> None:
    checked = {(step.name, step.key) for place in PLACES.values() for step in place.steps}
    bound = {(binding.id, key) for _, binding, key in bindings()}
    assert sorted(bound - checked) == [], "bound to a key, and not in PLACES"
    assert sorted(checked - bound) == [], "in PLACES, and bound to no key"


def test_every_binding_can_be_named_and_says_what_it_does() -> None:
    for kind, binding, key in bindings():
        assert binding.id and binding.tooltip.endswith("."), f"{kind.__name__}: {key}"


# These keys say where to, not what.
POSITIONS = re.compile(r"\d|[a-z]{2,}.*|f\d+")


def test_a_letter_means_the_same_on_all_screens() -> None:
    meanings: dict[str, set[str]] = {}
    for kind, binding, key in bindings():
        asks = kind in (Confirm, Help, ShowRecipes)  # over a screen, about one thing
        if not asks and (not POSITIONS.fullmatch(key) or key in ("slash", "space", "plus", "minus")):
            meanings.setdefault(key, set()).add(binding.id.partition(".")[2])
    # While something is searched for in a log, its hits go before a new run.
    assert meanings.pop("n") == {"new_run", "hit"}
    assert {key: names for key, names in meanings.items() if len(names) > 1} == {}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder of its own, where copies and what an editor did are looked for."""
    editor = tmp_path / "editor"
    editor.write_text(
        "#!/bin/sh\necho >> seen; sed -i \"s/^title = .*/title = 'seen by the editor $(wc -l < seen)'/\" $1\n"
    )
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    return tmp_path


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("name", PLACES)
async def test_keys_do_what_they_say(
    name: str,
    size: tuple[int, int],
    folder: Path,
    runs: RunsPaths,
    study_text: str,
    opened: Any,
    wait: Any,
    shown: Any,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = PLACES[name]
    made = request.getfixturevalue(place.fixture)
    if name == "papers":
        (made / "cao2019" / "quick.toml").write_text(study_text)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    for module in ("imbtui.worker", "imbtui.worker.lock"):
        monkeypatch.setattr(f"{module}.ensure", lambda runs: None)  # nobody shall train here
    monkeypatch.setattr(ImbtuiApp, "suspend", lambda self: contextlib.nullcontext())
    queue.set_slots(runs, 2)
    async with opened(runs, size) as (app, pilot):
        scene = Scene(app, runs, lambda: shown(pilot), size)
        if callable(place.go):
            place.go(scene)
        else:
            await pilot.press(*place.go)
        await wait(pilot, lambda: place.ready(scene))
        await check_help(scene, pilot, wait)
        for step in place.steps:
            if size in step.sizes:
                await check(step, scene, pilot, wait)


async def check(step: Step, scene: Scene, pilot: Any, wait: Any) -> None:
    """Press a key and see that what it does is seen, and was not before."""
    await pilot.press(*step.first)
    if step.once is not None:
        await wait(pilot, lambda: step.once(scene))
    await pilot.pause()
    if step.changes is not None:
        before = step.changes(scene)
        holds = lambda: step.changes(scene) != before  # noqa: E731
    else:
        assert step.then is not None
        holds = lambda: step.then(scene)  # noqa: E731
    assert not holds(), f"{step.name} ({step.key}): it is so before the key is pressed"
    await pilot.press(step.key)
    try:
        await wait(pilot, holds)
    except AssertionError as error:
        raise AssertionError(f"{step.name} ({step.key}): {error}") from None


async def check_help(scene: Scene, pilot: Any, wait: Any) -> None:
    """Help has a line for each key in force, none of them cut, and what does not fit is scrolled to."""
    place = scene.screen
    active = {
        active.binding.id: (scene.app.get_key_display(active.binding), active.tooltip)
        for active in place.active_bindings.values()
        if active.binding.id
    }
    await pilot.press("f1")
    lines = scene.screen.query_one(Lines)
    await pilot.pause()
    said = " ".join(" ".join(lines.plain).split())
    for name, (key, tooltip) in active.items():
        assert f"{' '.join(key.split())} " in said and tooltip in said, f"{name} is not in the help"
    assert max(map(len, lines.plain)) <= lines.size.width
    await pilot.press("end")
    await wait(pilot, lambda: "Esc closes" in scene.text)
    await pilot.press("escape")
    assert scene.screen is place
