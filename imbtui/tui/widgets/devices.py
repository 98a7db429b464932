"""The machine's GPUs, a line each: how busy, how full, and who is on it. Without GPUs, its CPU."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from imbtui.text import plural
from imbtui.tui.machine import GIB, GpuSeen, Machine
from imbtui.tui.widgets.kept import Kept
from imbtui.tui.widgets.table import cell

BAR = 10
MOST = 8


class Devices(Kept):
    """Nothing in a terminal without room; then the first line of the screen says it.

    Args:
        cpu: show the CPU where there are no GPUs.
    """

    DEFAULT_CSS = """
    Devices { height: 0; background: $surface; }
    Devices > .devices--name { color: $text-primary; background: $surface; }
    Devices > .devices--text { color: $foreground; background: $surface; }
    Devices > .devices--quiet { color: $text-muted; background: $surface; }
    Devices > .devices--bar { color: $text-primary; background: $surface; }
    Devices > .devices--others { color: $text-warning; background: $surface; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"devices--{name}" for name in ("name", "text", "quiet", "bar", "others")
    }

    def __init__(self, *, cpu: bool = False) -> None:
        super().__init__()
        self._gpus: tuple[GpuSeen, ...] = ()
        self._machine: Machine | None = None
        self._cpu = cpu

    def show(self, machine: Machine | None, *, room: int) -> None:
        """Show a reading.

        Args:
            room: lines that it may take.
        """
        gpus = machine.gpus if machine else ()
        if self._cpu and machine and not gpus:
            self._machine = machine
            self.styles.height = 1
            self.repaint()
            return
        shown = gpus[:MOST] if len(gpus[:MOST]) <= room else ()
        if len(shown) != len(self._gpus):
            self.styles.height = len(shown)
        if shown != self._gpus:
            self._gpus = shown
            self.repaint()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        quiet = self._style("quiet")
        if y == 0 and self._machine is not None:
            return Strip(self._cpu_line(self._machine)).crop_extend(0, width, quiet)
        if y >= len(self._gpus):
            return Strip.blank(width, quiet)
        gpu = self._gpus[y]
        memory = f"{gpu.memory_used / GIB:5.1f} of {gpu.memory_total / GIB:.0f} GiB"
        segments = [
            Segment(f" GPU {gpu.index} ", self._style("name")),
            *self._busy(gpu.utilisation),
            *self._bar(gpu.memory_used / max(1, gpu.memory_total)),
            Segment(f" {memory}  ", self._style("text")),
        ]
        room = width - sum(cell_len(s.text) for s in segments)
        ours, others = ", ".join(gpu.ours), ", ".join(gpu.others)
        if ours:
            segments.append(Segment(ours[:room] + ("  " if others else ""), self._style("text")))
        if others:
            segments.append(Segment(f"{others} (not ours)", self._style("others")))
        if not ours and not others:
            segments.append(Segment(cell(gpu.name, max(0, room)).rstrip(), quiet))
        return Strip(segments).crop_extend(0, width, quiet)

    def _cpu_line(self, machine: Machine) -> list[Segment]:
        return [
            Segment(" CPU   ", self._style("name")),
            *self._busy(machine.cpu),
            Segment(plural(machine.cores, "core"), self._style("text")),
        ]

    def _busy(self, share: float | None) -> list[Segment]:
        words = "  – " if share is None else f"{100 * share:3.0f} %"
        return [*self._bar(share or 0.0), Segment(f" {words}  ", self._style("text"))]

    def _bar(self, share: float) -> list[Segment]:
        full = round(BAR * min(1.0, max(0.0, share)))
        return [Segment("━" * full, self._style("bar")), Segment("┄" * (BAR - full), self._style("quiet"))]

    def _style(self, name: str) -> Style:
        return self.style_of(f"devices--{name}")
