"""Following runs on the screen: a table that is redrawn in a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from imbtui import text
from imbtui.cli import output
from imbtui.cli.records import outcome
from imbtui.cli.watch import Watched
from imbtui.files import printable

if TYPE_CHECKING:
    from rich.text import Text

SPARSE = 20.0  # seconds between plain lines about progress
_ORDER = {"running": 0, "failed": 1, "crashed": 1, "stopped": 1, "finished": 2, "queued": 3}
_NARROWEST_BAR = 8


class Screen:
    """A table of runs, redrawn in place."""

    def __init__(self) -> None:
        from rich.live import Live

        self._console = output.console(stderr=not sys.stdout.isatty())
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
        self._began = time.monotonic()

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, runs: Sequence[Watched], why: Mapping[str, str], changed: Sequence[Watched]) -> None:
        """Draw the present state."""
        from rich.console import Group

        size = self._console.size
        rows = table(runs, why, width=size.width, height=size.height - 3)
        footer = count_line(runs, why) + f"   {text.duration(time.monotonic() - self._began)}"
        self._live.update(Group(*rows, "", footer), refresh=True)

    def tell(self, sentence: str) -> None:
        """Print a line above the table."""
        self._console.print(printable(sentence))


class Lines:
    """One line for each change of a state, and a sparse one about progress.

    Args:
        stderr: print there, because stdout is for results.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        self._stderr = stderr
        self._told = time.monotonic()
        self._why = ""

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: Any) -> None:
        return

    def show(self, runs: Sequence[Watched], why: Mapping[str, str], changed: Sequence[Watched]) -> None:
        """Print what is new."""
        for run in changed:
            self.tell(f"{run.id} {outcome(run.view)}")
        waits = next((why[run.id] for run in runs if run.view.state == "queued" and why.get(run.id)), "")
        training = [run for run in runs if run.view.state == "running"]
        if waits and waits != self._why and not training:
            self.tell(f"waiting: {waits}")
            self._why = waits
        if time.monotonic() - self._told >= SPARSE and training:
            self._told = time.monotonic()
            self.tell(count_line(runs, {}) + "; " + "; ".join(f"{r.id} {r.progress()}" for r in training[:4]))

    def tell(self, sentence: str) -> None:
        """Print a line; runs are followed to their end also when nobody reads it."""
        with output.reader_may_leave():
            print(printable(sentence), file=sys.stderr if self._stderr else sys.stdout, flush=True)


def count_line(runs: Sequence[Watched], why: Mapping[str, str]) -> str:
    """Return how many runs are in which state, and why the first one waits: `3 finished, 2 queued (...)`."""
    counts = Counter(run.view.state for run in runs)
    states = ("running", "finished", "stopped", "failed", "crashed", "queued")
    parts = [f"{counts[state]} {state}" for state in states if counts[state]]
    waits = next((why[run.id] for run in runs if run.view.state == "queued" and why.get(run.id)), "")
    return ", ".join(parts) + (f" ({printable(waits)})" if waits else "")


def table(runs: Sequence[Watched], why: Mapping[str, str], *, width: int, height: int) -> list[Text]:
    """Return the lines of a table of runs, headings first.

    All runs in their order where they fit; else the active ones first, then those that ended last.

    Args:
        why: why queued runs wait, by id.
        width, height: of the table, in characters.
    """
    room = max(1, height - 1)
    shown = list(runs)
    if len(shown) > room:
        shown = sorted(shown, key=lambda run: _ORDER[run.view.state])[:room]
        places = {run.id: place for place, run in enumerate(runs)}
        shown.sort(key=lambda run: places[run.id])
    fixed = [
        output.Column("run", [run.id for run in shown]),
        output.Column("state", [output.state(run.view.state) for run in shown]),
        output.Column("epoch", [_epoch(run) for run in shown], 3, right=True),
        output.Column("loss", [_or_empty(run.loss) for run in shown], 4, right=True),
        output.Column("balanced", [_or_empty(run.balanced_accuracy) for run in shown], 1, right=True),
        output.Column("left", [_left(run) for run in shown], 2, right=True),
    ]
    rows, left_out = output.arrange(fixed, width - _NARROWEST_BAR - 6)
    bar = max(_NARROWEST_BAR, min(24, width - max(row.cell_len for row in rows) - 6))
    fixed.insert(2, output.Column("", [_bar(run, bar) for run in shown]))
    return output.arrange([c for c in fixed if c.title not in left_out], width)[0]


def _bar(run: Watched, width: int) -> Text:
    from rich.text import Text

    if run.view.state == "queued":
        return Text("")
    share = 1.0 if run.view.state == "finished" else run.share
    full = round(share * width)
    bar = Text("━" * full, style=output.STYLES.get(run.view.state, ""))
    bar.append("─" * (width - full), style="dim")
    return bar.append(f" {share:>3.0%}")


def _epoch(run: Watched) -> str:
    if run.view.state == "queued" or not run.latest:
        return ""
    stage = f"{printable(run.stage)} " if run.stage not in ("", "train") else ""
    return f"{stage}{run.epoch:.0f}" + (f"/{run.epochs}" if run.epochs else "")


def _left(run: Watched) -> str:
    if run.view.state == "running":
        return text.duration(run.left) if run.left is not None else ""
    return f"took {text.duration(run.view.seconds)}" if run.view.seconds is not None else ""


def _or_empty(value: float | None) -> str:
    return "" if value is None else text.number(value, 3)
