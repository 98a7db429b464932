"""How a command line begins and ends: the bare command, all others, and what becomes of their errors.

`imbtui` and `imbtui --runs DIR` are recognised here: Typer and the files of all commands would take a fifth
of the time until the dashboard shows its first chart.
"""

from __future__ import annotations

import errno
import gc
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from imbtui.cli import output
from imbtui.errors import UserError

LONGEST_COMPLAINT = 12  # lines

# The disk is full, or something may not be written: no fault of the program's.
_NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
# With this variable the shell asks for completions; the arguments say nothing then.
_COMPLETION = "_IMBTUI_COMPLETE"


def run() -> None:
    """Run the process's command line and exit."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that knows no ± is shown a question mark instead of a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    arguments = sys.argv[1:]
    if is_bare(arguments) and _COMPLETION not in os.environ:
        given = Path(arguments[-1].removeprefix("--runs=")) if arguments else None
        sys.exit(exit_code(lambda: open_dashboard(given)))
    from imbtui.cli.app import main

    sys.exit(main(arguments))


def is_bare(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for the dashboard and says at most where the runs are."""
    match arguments:
        case []:
            return True
        case ["--runs", folder]:
            return bool(folder) and not folder.startswith("-")
        case [word]:
            return word.startswith("--runs=") and word != "--runs="
    return False


def open_dashboard(given: Path | None) -> int:
    """Open the dashboard, and return 0 when it is left.

    Args:
        given: the runs folder; default: `IMBTUI_RUNS`, else `./runs`.

    Raises:
        UserError: there is no terminal, or no folder of that name can be.
    """
    in_browser = "TEXTUAL_DRIVER" in os.environ  # how `imbtui serve` starts one
    if not in_browser and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError(
            "the dashboard needs a terminal", hint="`imbtui ls` lists runs, `imbtui --help` the rest."
        )
    from imbtui.paths import runs_paths

    runs = runs_paths(given)
    # Textual holds a change back until the next of so many frames a second: with its 60 a key shows its curve
    # after 31 ms, with 120 after 22, with 480 after 12, at about the same processor time.
    os.environ.setdefault("TEXTUAL_FPS", "480")
    gc.disable()  # nothing that an import makes is garbage
    from imbtui.tui.app import run as open_it

    gc.freeze()
    gc.set_threshold(20_000, 10, 10)  # and of what its start builds, little
    gc.enable()
    open_it(runs)
    return 0


def exit_code(work: Callable[[], int]) -> int:
    """Do something and return its exit code.

    What the user or the machine is to blame for becomes one complaint on stderr and 2; errors of the
    program pass through with their traceback.
    """
    try:
        return work()
    except UserError as error:
        complain(str(error))
        return 2
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        if error.errno not in _NOT_OURS and not isinstance(error, TimeoutError):
            raise
        where = f"{error.filename}: " if error.filename else ""
        complain(where + (error.strerror or str(error)))
        return 2


def complain(text: str) -> None:
    """Tell the user what is wrong."""
    lines = text.splitlines() or [""]
    if len(lines) > LONGEST_COMPLAINT:
        lines = [*lines[: LONGEST_COMPLAINT - 1], "..."]
    output.say("\n".join(["imbtui: " + lines[0], *lines[1:]]))
