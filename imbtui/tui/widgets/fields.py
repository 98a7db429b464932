"""Fields of a form as lines: label, value, what it means. Typing edits a value where it stands.

One widget however many fields there are, and it edits itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from imbtui.tui.form import Field
from imbtui.tui.theme import selected

LABEL = 17


class Edited(Message):
    """A value was typed or chosen."""

    def __init__(self, field: Field, value: str) -> None:
        super().__init__()
        self.field = field
        self.value = value


class ChoiceWanted(Message):
    """A value is to be chosen from a list."""

    def __init__(self, field: Field) -> None:
        super().__init__()
        self.field = field


class MoreWanted(Message):
    """The other options are to be shown, or hidden again."""


class Fields(ScrollView, can_focus=True):
    """The fields of a form, and the editor of the one under the cursor."""

    DEFAULT_CSS = """
    Fields { height: 1fr; width: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden; }
    Fields > .fields--label { color: $foreground; }
    Fields > .fields--value { color: $text-primary; }
    Fields > .fields--changed { color: $text-accent; text-style: bold; }
    Fields > .fields--quiet { color: $text-muted; }
    Fields > .fields--wrong { color: $text-error; text-style: bold; }
    Fields > .fields--section { color: $text-muted; text-style: bold; }
    Fields > .fields--cursor { background: $primary 18%; }
    Fields:focus > .fields--cursor { background: $primary 32%; }
    Fields > .fields--editing { color: $text-accent; background: $background; text-style: bold; }
    Fields > .fields--caret { color: $background; background: $accent; }
    Fields > .fields--edge { color: $primary; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"fields--{name}"
        for name in [
            "label",
            "value",
            "changed",
            "quiet",
            "wrong",
            "section",
            "cursor",
            "edge",
            "editing",
            "caret",
        ]
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "edit", "change", id="form.edit", tooltip="Change the value; typing does as well."),
        Binding("enter", "keep", "keep", id="form.keep", tooltip="While typing: keep the value."),
        Binding("escape", "undo", "undo", id="form.undo", tooltip="While typing: leave the value as it was."),
        Binding("up", "move(-1)", show=False, id="form.up", tooltip="The field above."),
        Binding("down", "move(1)", show=False, id="form.down", tooltip="The field below."),
        Binding("pageup", "move(-10)", show=False, id="form.page_up", tooltip="Ten fields up."),
        Binding("pagedown", "move(10)", show=False, id="form.page_down", tooltip="Ten fields down."),
        Binding("home", "home", show=False, id="form.first", tooltip="First field; start of the text."),
        Binding("end", "end", show=False, id="form.last", tooltip="Last field; end of the text."),
        Binding("left", "turn(-1)", show=False, id="form.left", tooltip="Choice before; a letter left."),
        Binding("right", "turn(1)", show=False, id="form.right", tooltip="Next choice; a letter right."),
        Binding(
            "backspace",
            "erase(-1)",
            show=False,
            id="form.erase_before",
            tooltip="While typing: erase the letter before.",
        ),
        Binding(
            "delete",
            "erase(0)",
            show=False,
            id="form.erase_under",
            tooltip="While typing: erase the letter under the cursor.",
        ),
        Binding("ctrl+u", "erase_all", show=False, id="form.erase", tooltip="While typing: erase all of it."),
        Binding("delete,backspace", "reset", "recipe's", id="form.reset", tooltip="As the recipe says."),
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
        self.text: str | None = None
        self._before = ""
        self._caret = 0

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

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Some keys mean one thing while a value is typed and another otherwise."""
        if action in ("keep", "undo", "erase", "erase_all"):
            return self.text is not None
        return self.text is None if action in ("edit", "reset") else True

    # Moving

    def action_move(self, by: int) -> None:
        self.keep()
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

    def action_home(self) -> None:
        if self.text is None:
            self.action_move(-len(self.lines))
        else:
            self._set(self.text, 0)

    def action_end(self) -> None:
        if self.text is None:
            self.action_move(len(self.lines))
        else:
            self._set(self.text, len(self.text))

    def action_turn(self, by: int) -> None:
        field = self.field
        if self.text is not None:
            self._set(self.text, max(0, min(len(self.text), self._caret + by)))
        elif field is None:
            if bool(self.hidden) == (by > 0):
                self.post_message(MoreWanted())
        elif field.choices and not field.fixed:
            at = field.choices.index(field.value) if field.value in field.choices else (-1 if by > 0 else 0)
            self.post_message(Edited(field, field.choices[(at + by) % len(field.choices)]))

    # Editing

    def action_edit(self) -> None:
        field = self.field
        if field is None:
            self.post_message(MoreWanted())
        elif field.choices and not field.fixed:
            self.post_message(ChoiceWanted(field))
        else:
            self._begin(field.value)

    def action_reset(self) -> None:
        if self.field is not None:
            self.post_message(Edited(self.field, ""))

    def action_keep(self) -> None:
        self.action_move(1)

    def action_undo(self) -> None:
        field, self.text = self.field, None
        if field is not None:
            self.post_message(Edited(field, self._before))
        self._changed()

    def action_erase(self, at: int) -> None:
        text, place = self.text or "", self._caret + at
        if 0 <= place < len(text):
            self._set(text[:place] + text[place + 1 :], place)

    def action_erase_all(self) -> None:
        self._set("", 0)

    def take_key(self, event: events.Key) -> bool:
        """Type a letter; return whether it was one."""
        if event.is_printable and event.character:
            self._insert(event.character)
            return True
        return False

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return character is not None and character.isprintable()

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        self._insert(" ".join(event.text.split()))

    def on_blur(self, event: events.Blur) -> None:
        self.keep()

    def keep(self) -> None:
        """End the editing and keep the value; the beginning of one of the choices means that choice."""
        field, text, self.text = self.field, self.text, None
        if field is None or text is None:
            return
        self.post_message(Edited(field, _completed(text, field.choices)))
        self._changed()

    def _begin(self, text: str) -> None:
        field = self.field
        if field is None:
            return
        if field.fixed:
            self.notify(f"{field.label}: {field.fixed}", severity="warning", markup=False)
            return
        self._before = field.value
        self._set(text, len(text))
        self._changed()

    def _insert(self, typed: str) -> None:
        if self.text is None:
            if typed.strip():
                self._begin(typed)
        else:
            self._set(self.text[: self._caret] + typed + self.text[self._caret :], self._caret + len(typed))

    def _set(self, text: str, caret: int) -> None:
        before, self.text, self._caret = self.text, text, caret
        field = self.field
        # A choice counts once it is made: on the way there, other plug-ins' options would come and go.
        if field is not None and text != before and not field.choices:
            self.post_message(Edited(field, text))
        self.refresh()

    def _changed(self) -> None:
        self.refresh()
        self.refresh_bindings()

    def on_click(self, event: events.Click) -> None:
        position = event.y + self.scroll_offset.y
        if position < len(self.lines) and not isinstance(self.lines[position], str):
            self.keep()
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
        back = Style(bgcolor=self.rich_style.bgcolor)
        if position == self.cursor:
            back = selected(Style(), self.get_component_rich_style("fields--cursor"))
        edge = Segment("▌ " if position == self.cursor else "  ", self._style("edge", back))
        if line is None:
            text = f"▸ More options ({self.hidden})" if self.hidden else "▾ More options"
            return Strip([edge, Segment(text, self._style("quiet", back))]).crop_extend(0, width, back)
        return Strip([edge, *self._field(line, back)]).crop_extend(0, width, back)

    def _field(self, field: Field, back: Style) -> list[Segment]:
        about = field.fixed or field.about
        if field.by_arm:
            about = f"in every arm, instead of {field.by_arm}" if field.changed else field.by_arm
        arrow = "▾" if field.choices and not field.fixed else " "
        width = self.value_width
        editing = self.text is not None and field is self.field
        return [
            Segment(_cell(field.label, LABEL), self._style("label", back)),
            Segment("● " if field.changed else "  ", self._style("changed", back)),
            *(self._editor(field, width - 2) if editing else [self._value(field, width - 2, back)]),
            Segment(arrow + "  ", self._style("quiet", back)),
            Segment(_cell(about, max(0, self.size.width - LABEL - width - 5)), self._style("quiet", back)),
        ]

    def _value(self, field: Field, width: int, back: Style) -> Segment:
        value, style = field.value, "changed" if field.changed else "value"
        if field.fixed:
            value, style = "set by the grid", "quiet"
        elif field.by_arm and not field.changed:
            value, style = "differs by arm", "quiet"
        elif not value:
            value, style = "–", "quiet"
        if self.wrong and (field.key == self.wrong or self.wrong.endswith(f".{field.key}")):
            style = "wrong"
        return Segment(_cell(value, width), self._style(style, back))

    def _editor(self, field: Field, width: int) -> list[Segment]:
        """Return what is typed with its caret, and faintly the choice that it begins."""
        typed = self.text or ""
        rest = _completed(typed, field.choices).removeprefix(typed) if typed and field.choices else ""
        # Long text scrolls, so that the caret is in sight.
        first = max(0, self._caret - width + 1)
        shown = typed[first:]
        at = self._caret - first
        style = self.get_component_rich_style("fields--editing")
        caret = self.get_component_rich_style("fields--caret")
        faint = self.get_component_rich_style("fields--quiet") + Style(bgcolor=style.bgcolor)
        before, under, behind = shown[:at], shown[at : at + 1], shown[at + 1 :]
        if not under and rest:
            under, rest = rest[0], rest[1:]
        room = max(0, width - cell_len(before) - cell_len(under or " "))
        return [
            Segment(before, style),
            Segment(under or " ", caret),
            Segment(set_cell_size(behind, min(room, cell_len(behind))), style),
            Segment(set_cell_size(rest, max(0, room - cell_len(behind))), faint),
        ]

    def _style(self, name: str, back: Style) -> Style:
        style = self.get_component_rich_style(f"fields--{name}")
        return Style(reverse=True, bold=style.bold) if back.reverse else style + back


def _completed(text: str, choices: Sequence[str]) -> str:
    """Return the first choice that begins with a text, or holds it; else the text."""
    text = text.strip()
    if not text or text in choices:
        return text
    begin = (choice for choice in choices if choice.startswith(text.lower()))
    hold = (choice for choice in choices if text.lower() in choice)
    return next(begin, next(hold, text))


def _cell(text: str, width: int) -> str:
    """Return text that takes exactly `width` cells; what is cut off shows as an ellipsis."""
    if width <= 0:
        return ""
    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + "…"
    return set_cell_size(text, width)
