"""Fields of a form as lines: label, value, what it means. Typing edits a value where it stands.

One widget however many fields there are; the only input is laid over the value that is edited.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Input

from imbtui.tui.form import Field

LABEL = 17


class Edited(Message):
    """A value was typed or chosen."""

    def __init__(self, field: Field, value: str) -> None:
        super().__init__()
        self.field = field
        self.value = value


class ChoiceWanted(Message):
    """A value is to be chosen from a list; `typed` is what was typed to begin with."""

    def __init__(self, field: Field, typed: str) -> None:
        super().__init__()
        self.field = field
        self.typed = typed


class MoreWanted(Message):
    """The other options are to be shown, or hidden again."""


class FieldLines(ScrollView, can_focus=True):
    """The lines. Its parent edits."""

    DEFAULT_CSS = """
    FieldLines { height: 1fr; width: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden; }
    FieldLines > .fields--label { color: $foreground; }
    FieldLines > .fields--value { color: $text-primary; }
    FieldLines > .fields--changed { color: $text-accent; text-style: bold; }
    FieldLines > .fields--quiet { color: $text-muted; }
    FieldLines > .fields--wrong { color: $text-error; text-style: bold; }
    FieldLines > .fields--section { color: $text-muted; text-style: bold; }
    FieldLines > .fields--cursor { background: $primary 18%; }
    FieldLines:focus > .fields--cursor { background: $primary 32%; }
    FieldLines > .fields--edge { color: $primary; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"fields--{name}"
        for name in ("label", "value", "changed", "quiet", "wrong", "section", "cursor", "edge")
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "edit", "change", id="form.edit", tooltip="Change the value; typing does as well."),
        Binding("up", "move(-1)", show=False, id="form.up", tooltip="The field above."),
        Binding("down", "move(1)", show=False, id="form.down", tooltip="The field below."),
        Binding("pageup", "move(-10)", show=False, id="form.page_up", tooltip="Ten fields up."),
        Binding("pagedown", "move(10)", show=False, id="form.page_down", tooltip="Ten fields down."),
        Binding("home", "move(-1000)", show=False, id="form.first", tooltip="The first field."),
        Binding("end", "move(1000)", show=False, id="form.last", tooltip="The last field."),
        Binding("left", "turn(-1)", show=False, id="form.left", tooltip="The choice before."),
        Binding("right", "turn(1)", show=False, id="form.right", tooltip="The next choice."),
        Binding(
            "delete,backspace",
            "reset",
            "as in the recipe",
            id="form.reset",
            tooltip="Back to what the recipe says.",
        ),
    ]

    class Moved(Message):
        """The cursor stands on another field."""

    def __init__(self) -> None:
        super().__init__()
        # A line is a field, the heading of a section, or None: the switch for more.
        self.lines: list[Field | str | None] = []
        self.cursor = 0
        self.wrong = ""
        self.hidden = 0

    @property
    def field(self) -> Field | None:
        """The field under the cursor; None on the switch for more."""
        line = self.lines[self.cursor] if self.lines else None
        return line if isinstance(line, Field) else None

    def show(self, main: Sequence[Field], more: Sequence[Field], hidden: int) -> None:
        """Show fields.

        Args:
            more: fields under the headings of their sections.
            hidden: how many fields the switch for more would show; 0: they are shown.
        """
        lines: list[Field | str | None] = [*main, None]
        section = ""
        for field in more:
            if field.section != section:
                section = field.section
                lines.append(section)
            lines.append(field)
        at = self.field.key if self.field else None
        self.lines, self.hidden = lines, hidden
        keys = [line.key if isinstance(line, Field) else None for line in lines]
        self.cursor = keys.index(at) if at in keys and at else min(self.cursor, len(lines) - 1)
        self.virtual_size = Size(self.size.width, len(lines))
        self.refresh()

    def mark(self, key: str) -> None:
        """Show the field of this key as wrong; empty: none."""
        self.wrong = key
        self.refresh()

    def action_move(self, by: int) -> None:
        target = max(0, min(len(self.lines) - 1, self.cursor + by))
        step = 1 if by > 0 else -1
        while 0 <= target < len(self.lines) and isinstance(self.lines[target], str):
            target += step
        if not 0 <= target < len(self.lines) or target == self.cursor:
            return
        self.cursor = target
        top = self.scroll_offset.y
        if target < top:
            heading = target > 0 and isinstance(self.lines[target - 1], str)
            self.scroll_to(y=target - heading, animate=False)
        elif target >= top + self.size.height:
            self.scroll_to(y=target - self.size.height + 1, animate=False)
        self.refresh()
        self.post_message(self.Moved())

    def action_turn(self, by: int) -> None:
        field = self.field
        if field is None:
            if bool(self.hidden) == (by > 0):
                self.post_message(MoreWanted())
        elif field.choices and not field.fixed:
            at = field.choices.index(field.value) if field.value in field.choices else (-1 if by > 0 else 0)
            self.post_message(Edited(field, field.choices[(at + by) % len(field.choices)]))

    def action_reset(self) -> None:
        if self.field is not None:
            self.post_message(Edited(self.field, ""))

    def action_edit(self) -> None:
        self._begin("")

    def on_key(self, event: events.Key) -> None:
        if event.is_printable and event.character and not event.character.isspace():
            event.stop()
            event.prevent_default()
            self._begin(event.character)

    def _begin(self, typed: str) -> None:
        field = self.field
        if field is None:
            if not typed:
                self.post_message(MoreWanted())
        elif field.fixed:
            self.notify(f"{field.label}: {field.fixed}", severity="warning", markup=False)
        elif field.choices:
            self.post_message(ChoiceWanted(field, typed))
        else:
            parent = self.parent
            assert isinstance(parent, Fields)
            parent.edit(field, typed)

    def on_click(self, event: events.Click) -> None:
        position = event.y + self.scroll_offset.y
        if position < len(self.lines) and not isinstance(self.lines[position], str):
            again = position == self.cursor
            self.cursor = position
            self.refresh()
            self.post_message(self.Moved())
            if again or event.chain == 2 or self.lines[position] is None:
                self.action_edit()

    def on_resize(self, event: events.Resize) -> None:
        self.virtual_size = Size(self.size.width, len(self.lines))

    @property
    def value_width(self) -> int:
        """Cells of the column of values."""
        return max(14, min(28, (self.size.width - LABEL - 6) // 3))

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        position = y + self.scroll_offset.y
        if position >= len(self.lines):
            return Strip.blank(width, self.rich_style)
        line = self.lines[position]
        if isinstance(line, str):
            style = self.get_component_rich_style("fields--section")
            return Strip([Segment(f"  ── {line} ", style)]).crop_extend(0, width, self.rich_style)
        ground = self.rich_style
        if position == self.cursor:
            ground = self.get_component_rich_style("fields--cursor")
        back = Style(bgcolor=ground.bgcolor)
        edge = Segment("▌ " if position == self.cursor else "  ", self._style("edge", back))
        if line is None:
            text = f"▸ More options ({self.hidden})" if self.hidden else "▾ More options"
            return Strip([edge, Segment(text, self._style("quiet", back))]).crop_extend(0, width, back)
        return Strip([edge, *self._field(line, back)]).crop_extend(0, width, back)

    def _field(self, field: Field, back: Style) -> list[Segment]:
        wrong = bool(self.wrong) and (field.key == self.wrong or self.wrong.endswith("." + field.key))
        value, style = field.value, "changed" if field.changed else "value"
        if field.fixed:
            value, style = "set by the grid", "quiet"
        elif field.by_arm and not field.changed:
            value, style = "differs by arm", "quiet"
        elif not value:
            value, style = "–", "quiet"
        about = field.fixed or field.about
        if field.by_arm:
            about = f"in every arm, instead of {field.by_arm}" if field.changed else field.by_arm
        mark = "●" if field.changed else " "
        arrow = "▾" if field.choices and not field.fixed else " "
        width = self.value_width
        return [
            Segment(_cell(field.label, LABEL), self._style("label", back)),
            Segment(mark, self._style("changed", back)),
            Segment(" " + _cell(value, width - 2), self._style("wrong" if wrong else style, back)),
            Segment(arrow + "  ", self._style("quiet", back)),
            Segment(_cell(about, max(0, self.size.width - LABEL - width - 5)), self._style("quiet", back)),
        ]

    def _style(self, name: str, back: Style) -> Style:
        return self.get_component_rich_style(f"fields--{name}") + back


class Fields(Container):
    """The lines, and the input that is laid over the value being edited."""

    DEFAULT_CSS = """
    Fields { height: 1fr; width: 1fr; layers: lines editor; }
    Fields > FieldLines { layer: lines; }
    Fields > Input {
        layer: editor; position: absolute; display: none; height: 1;
        background: $background; color: $text-accent;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._editing: Field | None = None

    def compose(self) -> ComposeResult:
        yield FieldLines()
        editor = FieldEditor(compact=True, select_on_focus=False)
        yield editor

    @property
    def lines(self) -> FieldLines:
        """The lines."""
        return self.query_one(FieldLines)

    def edit(self, field: Field, typed: str) -> None:
        """Begin to edit the field under the cursor; `typed` replaces its value."""
        lines, editor = self.lines, self.query_one(FieldEditor)
        self._editing = field
        with self.prevent(Input.Changed):
            editor.value = typed or field.value
        editor.cursor_position = len(editor.value)
        editor.styles.width = lines.value_width
        editor.styles.offset = (LABEL + 4, lines.cursor - lines.scroll_offset.y)
        editor.display = True
        editor.focus()
        if typed:
            self.post_message(Edited(field, typed))

    def finish(self, *, keep: bool) -> None:
        """End the editing; without `keep` the value is what it was before."""
        field, self._editing = self._editing, None
        if field is None:
            return
        editor = self.query_one(FieldEditor)
        editor.display = False
        self.post_message(Edited(field, editor.value if keep else field.value))
        self.lines.focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if self._editing is not None:
            self.post_message(Edited(self._editing, event.value))

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.finish(keep=True)
        self.lines.action_move(1)


class FieldEditor(Input):
    """The input over a value."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "keep", id="field.keep", tooltip="Keep the value."),
        Binding("escape", "leave", "undo", id="field.undo", tooltip="Leave the value as it was."),
        Binding("up", "step(-1)", show=False),
        Binding("down,tab", "step(1)", show=False),
    ]

    @property
    def _fields(self) -> Fields:
        assert isinstance(self.parent, Fields)
        return self.parent

    def action_leave(self) -> None:
        self._fields.finish(keep=False)

    def action_step(self, by: int) -> None:
        self._fields.finish(keep=True)
        self._fields.lines.action_move(by)

    def on_blur(self, event: events.Blur) -> None:
        self._fields.finish(keep=True)


def _cell(text: str, width: int) -> str:
    """Return text that takes exactly `width` cells; what is cut off shows as an ellipsis."""
    if width <= 0:
        return ""
    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + "…"
    return set_cell_size(text, width)
