"""What probes and methods measured, and the artefacts they left: charts, bars, matrices, files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content as Styled
from textual.message import Message
from textual.widgets import ContentSwitcher, OptionList
from textual.widgets.option_list import Option

from imbtui import text
from imbtui.files import printable
from imbtui.tui import sheet
from imbtui.tui.artefacts import Artefact, Content
from imbtui.tui.curves import Curves, family
from imbtui.tui.curves import Line as Measured
from imbtui.tui.series import of_family
from imbtui.tui.widgets.heat_map import HeatMap
from imbtui.tui.widgets.lines import Line, Lines, bar
from imbtui.tui.widgets.plot import Plot

if TYPE_CHECKING:
    from imbtui.tui.app import ImbtuiApp

BAR = 30


class ProbesPane(Horizontal):
    """A list of what there is; the selected one beside it."""

    app: ImbtuiApp
    TITLE = "Probes and artefacts"
    DEFAULT_CSS = """
    ProbesPane > OptionList {
        width: 34%; max-width: 44; height: 1fr; border: none; padding: 0 1; background: $surface;
        text-wrap: nowrap; text-overflow: ellipsis; scrollbar-size-vertical: 1;
    }
    ProbesPane > ContentSwitcher { width: 1fr; height: 1fr; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "log", "log y", show=False, id="probes.log", tooltip="Logarithmic y axis, and back."),
        Binding("enter", "into", "scroll it", show=False, id="probes.open", tooltip="Go into a matrix."),
        Binding(
            "w", "write", "copy", show=False, id="probes.write", tooltip="Copy the selected numbers as CSV."
        ),
    ]

    class Wanted(Message):
        """The content of an artefact is needed."""

        def __init__(self, artefact: Artefact) -> None:
            super().__init__()
            self.artefact = artefact

    def __init__(self) -> None:
        super().__init__()
        self._curves: Curves | None = None
        self._artefacts: dict[str, Artefact] = {}
        self._contents: dict[str, tuple[int, Content]] = {}
        self._listed: list[str] = []
        self._log_y = False
        self._touched = False
        self._put_at = 0

    def compose(self) -> ComposeResult:
        yield OptionList(compact=True)
        with ContentSwitcher(initial="probe-text"):
            yield Plot(id="probe-chart")
            yield HeatMap(id="probe-map")
            yield Lines(id="probe-text")

    def on_mount(self) -> None:
        self._list()

    def show(self, curves: Curves | None) -> None:
        """Show another state of the run's metrics."""
        self._curves = curves
        self._list()

    def show_artefacts(self, artefacts: list[Artefact], contents: Mapping[str, tuple[int, Content]]) -> None:
        """Show the files there are.

        Args:
            contents: of files that were read, with the time stamp they had then.
        """
        self._artefacts = {artefact.name: artefact for artefact in artefacts}
        self._contents |= contents
        self._list()

    # The list: `m NAME` a number over time, `l NAME` a list, `x NAME` a matrix, `a FILE`, `a FILE\0MATRIX`

    def _keys(self) -> list[str]:
        curves = self._curves or Curves()
        keys = [f"m {name}" for name in sorted(curves.lines) if family(name) == name]
        keys += [f"l {name}" for name in sorted(curves.lists) if family(name) == name]
        keys += [f"x {name}" for name in sorted(curves.matrices)]
        for name in self._artefacts:
            keys.append(f"a {name}")
            if name in self._contents:
                keys += [f"a {name}\0{matrix}" for matrix in self._contents[name][1].matrices]
        return keys

    def _list(self) -> None:
        keys = self._keys()
        if keys != self._listed:
            listed = self.query_one(OptionList)
            chosen = self._chosen
            self._listed = keys
            listed.clear_options()
            listed.add_options(Option(self._prompt(key), id=str(place)) for place, key in enumerate(keys))
            if keys:
                # Until the user has chosen, the first one is shown, whatever arrived first.
                self._put_at = keys.index(chosen) if self._touched and chosen in keys else 0
                listed.highlighted = self._put_at
        self._draw()

    @property
    def _chosen(self) -> str | None:
        place = self.query_one(OptionList).highlighted
        return self._listed[place] if place is not None and place < len(self._listed) else None

    def _prompt(self, key: str) -> Styled:
        kind, _, name = key.partition(" ")
        file, _, matrix = name.partition("\0")
        if matrix:
            return Styled.assemble(("    ▦ ", "$text-muted"), printable(matrix))
        sign = {"m": "∿ ", "l": "≡ ", "x": "▦ ", "a": "◫ "}[kind]
        size = f"  {text.size(self._artefacts[file].size)}" if kind == "a" else ""
        return Styled.assemble((sign, "$text-muted"), printable(name), (size, "$text-muted"))

    @on(OptionList.OptionHighlighted)
    def _moved(self, event: OptionList.OptionHighlighted) -> None:
        self._touched |= event.option_index != self._put_at
        self._draw()

    def action_log(self) -> None:
        self._log_y = not self._log_y
        self._draw()

    def action_into(self) -> None:
        if self.query_one(ContentSwitcher).current == "probe-map":
            self.screen.set_focus(self.query_one(HeatMap))

    def action_write(self) -> None:
        kind, _, name = (self._chosen or "").partition(" ")
        curves, (file, _, matrix) = self._curves or Curves(), name.partition("\0")
        contents = self._contents[file][1].matrices if file in self._contents else {}
        if name in curves.lines and kind == "m":
            self.app.copy(sheet.of_curves(curves, [name]), f"{name}, as CSV,")
        elif name in curves.lists and kind == "l":
            rows = enumerate(curves.lists[name])
            self.app.copy(sheet.csv_text(["", name], rows), f"{name}, as CSV,")
        elif name in curves.matrices and kind == "x":
            self.app.copy(sheet.of_matrix(curves.matrices[name]), f"{name}, as CSV,")
        elif matrix in contents:
            self.app.copy(sheet.of_matrix(contents[matrix]), f"{matrix} of {file}, as CSV,")
        elif kind == "a":
            self.notify("This file has no numbers to copy.", severity="warning")

    @on(OptionList.OptionSelected)
    def _selected(self) -> None:
        self.action_into()

    # What is selected

    def _draw(self) -> None:
        key = self._chosen
        if key is None:
            nothing = "No probe has measured anything yet, and there are no artefacts."
            hint = 'Probes stand in the recipe: [[probes]] name = "norms"'
            self._text([[(nothing, "quiet")], [("", "text")], [(hint, "quiet")]])
            return
        kind, _, name = key.partition(" ")
        curves = self._curves or Curves()
        if kind == "m" and name in curves.lines and len(curves.lines[name].values) == 1:
            self._text(_once(name, curves.lines[name]))
        elif kind == "m" and name in curves.lines:
            title = name + (", log scale" if self._log_y else "")
            self._put("probe-chart")
            series = of_family(curves, [name])
            self.query_one(Plot).draw(title, series, unit="epoch", log_y=self._log_y)
        elif kind == "l" and name in curves.lists:
            self._text(_bars(name, curves.lists[name]))
        elif kind == "x" and name in curves.matrices:
            self._put("probe-map")
            self.query_one(HeatMap).show(name, curves.matrices[name])
        elif kind == "a":
            self._draw_file(*name.partition("\0")[::2])

    def _draw_file(self, name: str, matrix: str) -> None:
        artefact = self._artefacts.get(name)
        if artefact is None:
            return
        changed, content = self._contents.get(name, (0, Content()))
        if changed != artefact.changed:
            self.post_message(self.Wanted(artefact))
        if matrix in content.matrices:
            self._put("probe-map")
            counts = name == "confusion.json"
            title = f"{name}: {matrix}" + (", per cent of the true class" if counts else "")
            self.query_one(HeatMap).show(title, content.matrices[matrix], about=content.axes, shares=counts)
            return
        lines: list[Line] = [[(name, "strong")], [(text.size(artefact.size), "quiet")], [("", "text")]]
        lines += [[(printable(line), "text")] for line in content.about]
        self._text(lines)

    def _put(self, pane: str) -> None:
        self.query_one(ContentSwitcher).current = pane

    def _text(self, lines: list[Line]) -> None:
        self._put("probe-text")
        self.query_one("#probe-text", Lines).show(lines)


def _once(name: str, measured: Measured) -> list[Line]:
    """Return a metric that was measured a single time: a chart of it would be a dot."""
    when = f"epoch {measured.epochs[0]:g}, step {measured.steps[0]:g}"
    return [[(name, "strong")], [(text.number(measured.values[0]), "text"), (f"   at {when}", "quiet")]]


def _bars(name: str, values: list[float | None]) -> list[Line]:
    """Return a line for each entry of a list: its place, a bar, its number."""
    largest = max((abs(value) for value in values if value is not None), default=0.0) or 1.0
    lines: list[Line] = [[(f"{name}, newest", "strong")], [("", "text")]]
    for place, value in enumerate(values):
        share = 0.0 if value is None else abs(value) / largest
        shown = "–" if value is None else text.number(value)
        lines.append([(f"{place:>5}  ", "quiet"), *bar(share, BAR), (f"  {shown}", "text")])
    return lines
