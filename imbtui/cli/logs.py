"""`imbtui logs`: what a run printed."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imbtui.cli import options, output

if TYPE_CHECKING:
    from imbtui.store import RunView

EXAMPLES = ("imbtui logs @last", "imbtui logs -f 3", "imbtui logs @last | grep -i warning")
LINES = 200
POLL = 0.2  # seconds
CHUNK = 1 << 20  # bytes read at once


def command(
    run: options.Run,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", metavar="N", min=1, help="Only the last N lines.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", "-a", help="The whole log.")] = False,
    runs: options.Runs = None,
) -> None:
    """Print a run's log.

    In a terminal its last 200 lines, into a pipe all of it. With -f, the exit code is 1 if the run fails
    or crashes.
    """
    from imbtui import store

    view = store.resolve(options.runs_paths(runs), run)
    count = None if every else limit or (LINES if output.is_terminal() else None)
    start = 0 if count is None else _offset_of_last(view.path.log, count)
    if start and limit is None:
        output.say(f"Only the last {LINES} lines; --all shows the whole log.")
    if follow:
        from imbtui.cli.records import outcome

        view = _follow(view, start)
        output.say(f"{view.id} {outcome(view)}")
        if view.state in ("failed", "crashed"):
            raise typer.Exit(1)
    elif not _print_rest(view.path.log, start):
        output.say(f"{view.id} is {view.state} and has printed nothing.")


def _offset_of_last(path: Path, count: int) -> int:
    """Return where the last `count` lines begin, reading from the end."""
    try:
        with open(path, "rb") as file:
            end = file.seek(0, 2)
            position, found = end, 0
            while position > 0:
                step = min(CHUNK, position)
                position -= step
                file.seek(position)
                data = file.read(step)
                cut = len(data)
                while (cut := data.rfind(b"\n", 0, cut)) >= 0:
                    # The newline at the very end closes the last line; it begins none.
                    if position + cut + 1 < end:
                        found += 1
                    if found == count:
                        return position + cut + 1
    except OSError:
        pass
    return 0


def _print_rest(path: Path, start: int) -> bool:
    """Print a log from an offset to its end; return whether there was anything."""
    printed = False
    try:
        with open(path, "rb") as file:
            file.seek(start)
            # In pieces, should somebody have printed 100 MB without a newline.
            while line := file.readline(CHUNK):
                _print(line)
                printed = True
    except FileNotFoundError:
        pass
    return printed


def _follow(view: RunView, start: int) -> RunView:
    """Print a log from an offset on until its run has ended; return the run."""
    from imbtui import files, queue, store
    from imbtui.cli.watch import Watched
    from imbtui.paths import RunsPaths

    watched = Watched(view.path)
    if view.state == "queued":
        why = {row["id"]: row["why"] for row in queue.view(RunsPaths(view.path.root.parent))}.get(view.id)
        output.say(f"{view.id} is queued" + (f": {why}" if why else ""))
    tail = files.Tail(view.path.log, offset=start)
    printed = start
    while True:
        ended = watched.ended()  # asked first, so that nothing printed before the end is missed
        lines = tail.read()
        if tail.restarted:
            printed = 0
        for line in lines:
            _print(line)
            printed += len(line) + 1
        sys.stdout.flush()
        if ended and not lines:
            _print_rest(view.path.log, printed)
            return store.read(view.path)
        if not lines:
            time.sleep(POLL)
        watched.poll()


def _print(line: bytes) -> None:
    from imbtui.text import log_line

    print(log_line(line.decode("utf-8", "replace")))
