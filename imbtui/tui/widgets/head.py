"""The first line of a screen: where one is, and how busy the machine and the queue are."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip

from imbtui.tui.machine import GIB, Machine
from imbtui.tui.widgets.kept import Kept

LEAST_PLACE = 24  # cells that a place is shortened to at most


class Head(Kept):
    """Title on the left; devices and queue on the right, as much of them as fits."""

    DEFAULT_CSS = """
    Head { height: 1; background: $panel; }
    Head > .head--title { color: $text-primary; text-style: bold; background: $panel; }
    Head > .head--quiet { color: $text-muted; background: $panel; }
    Head > .head--text { color: $foreground; background: $panel; }
    Head > .head--warning { color: $text-warning; text-style: bold; background: $panel; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"head--title", "head--quiet", "head--text", "head--warning"}

    def __init__(self, title: str, place: str = "") -> None:
        super().__init__()
        self.heading = title
        self.place = place
        self._machine: Machine | None = None
        self._counts: Counter[str] = Counter()

    def set(self, *, title: str | None = None, place: str | None = None) -> None:
        """Change what stands on the left."""
        self.heading = self.heading if title is None else title
        self.place = self.place if place is None else place
        self.repaint()

    def machine(self, machine: Machine | None) -> None:
        """Show another reading of the machine."""
        if machine != self._machine:
            self._machine = machine
            self.repaint()

    def runs(self, counts: Counter[str]) -> None:
        """Show how many runs are in which state."""
        if counts != self._counts:
            self._counts = counts
            self.repaint()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        quiet = self.style_of("head--quiet")
        title = Segment(f" {self.heading}", self.style_of("head--title"))
        place = cell_len(self.place)
        for right in self._right():
            # A long place loses its beginning before the machine is left out.
            room = width - cell_len(title.text) - sum(cell_len(s.text) for s in right) - 5
            if room >= min(place, LEAST_PLACE):
                shown = self._placed(room)
                gap = Segment(" " * (room - cell_len(shown) + 2), quiet)
                return Strip([title, Segment(f"  {shown}", quiet), gap, *right]).crop_extend(0, width, quiet)
        shown = self._placed(max(0, width - cell_len(title.text) - 2))
        return Strip([title, Segment(f"  {shown}", quiet)]).crop_extend(0, width, quiet)

    def _placed(self, room: int) -> str:
        """Return the place in at most so many cells."""
        if cell_len(self.place) <= room:
            return self.place
        return "…" + self.place[len(self.place) - room + 1 :] if room > 1 else ""

    def _right(self) -> list[list[Segment]]:
        """Return what could stand on the right, most telling first."""
        queue = self._queue()
        gap = [Segment("   ", self.style_of("head--quiet"))]
        ways = [self._devices(detail) for detail in (2, 1, 0)]
        return [*([*way, *gap, *queue] for way in ways if way), queue]

    def _queue(self) -> list[Segment]:
        style = self.style_of("head--text")
        running, queued = self._counts["running"], self._counts["queued"]
        if self._machine and self._machine.paused:
            warning = self.style_of("head--warning")
            return [Segment(f"{running} running · {queued} queued · ", style), Segment("paused", warning)]
        if not running and not queued:
            return [Segment("nothing queued", self.style_of("head--quiet"))]
        return [Segment(f"{running} running · {queued} queued", style)]

    def _devices(self, detail: int) -> list[Segment]:
        machine = self._machine
        if machine is None:
            return []
        style = self.style_of("head--quiet")
        if not machine.gpus:
            cores = f"CPU, {machine.cores} cores" if detail else "CPU"
            busy = "" if machine.cpu is None else f" {100 * machine.cpu:.0f} %"
            return [Segment(cores + busy, style)]
        if detail == 0:
            in_use = sum(
                (gpu.utilisation or 0) > 0.05 or bool(gpu.ours or gpu.others) for gpu in machine.gpus
            )
            return [Segment(f"GPUs: {in_use} of {len(machine.gpus)} in use", style)]
        parts = []
        for gpu in machine.gpus:
            share = "" if gpu.utilisation is None else f" {100 * gpu.utilisation:.0f} %"
            memory = f" {gpu.memory_used / GIB:.0f}/{gpu.memory_total / GIB:.0f} GiB" if detail > 1 else ""
            parts.append(f"GPU {gpu.index}{share}{memory}")
        return [Segment("  ".join(parts), style)]
