"""`imbtui doctor`: what may keep runs from working, and what to do about it."""

from __future__ import annotations

from imbtui.cli import options, output
from imbtui.files import printable

EXAMPLES = ("imbtui doctor", "imbtui doctor --json")


def command(runs: options.Runs = None, json: options.Json = False) -> None:
    """Check this machine and the runs folder; say what to do."""
    from rich.text import Text

    from imbtui import doctor, text

    found = doctor.examine(options.runs_paths(runs))
    if json:
        output.document([check.to_json() for check in found])
        return
    width = max(len(check.check) for check in found)
    for check in found:
        mark = Text("ok  " if check.ok else "fix ", style="green" if check.ok else "bold red")
        output.line(mark.append(f"{check.check:<{width}}  ").append(printable(check.says)))
        if check.do:
            output.line(Text(" " * (width + 6) + printable(check.do), style="bold"))
    wrong = sum(not check.ok for check in found)
    output.say("Everything is in order." if not wrong else f"{text.plural(wrong, 'thing')} to look at.")
