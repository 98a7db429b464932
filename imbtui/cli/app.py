"""The command line: which commands there are.

Command files import nothing heavy at their top, so that `imbtui --help` stays cheap; each imports what it
needs when it is called.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from imbtui import __version__
from imbtui.cli import entry, options, output

# A command is a file of this folder with a function `command` and its EXAMPLES, or with a Typer `group`.
PANELS: dict[str, tuple[str, ...]] = {
    "Runs": (
        "run", "ls", "show", "logs", "compare", "plot", "stop", "resume", "rm", "tag", "note",
    ),
    "Studies": ("recipes", "papers", "verdict", "table"),
    "Machine": ("queue", "worker", "serve", "data", "doctor", "reindex"),
}  # fmt: skip

# The base of everything typer itself raises about a command line.
_UsageProblem: Any = typer.BadParameter.__bases__[0].__bases__[0]


class _Root(TyperGroup):
    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands by panel."""
        for panel, names in PANELS.items():
            with formatter.section(panel):
                room = formatter.width - 12
                formatter.write_dl([(n, self.commands[n].get_short_help_str(room)) for n in names])

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:  # `imbtui ls | head`: the reader has what it wanted
            output.mute()
            return 0
        return result


def build() -> typer.Typer:
    """Return the whole command line."""
    app = typer.Typer(
        name="imbtui",
        cls=_Root,
        invoke_without_command=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        epilog=options.examples("imbtui run quickstart", "imbtui ls", "imbtui show @last"),
    )
    app.callback()(_main)
    for panel, names in PANELS.items():
        for name in names:
            _add(app, import_module(f"imbtui.cli.{name}"), name, panel)
    return app


def _add(app: typer.Typer, module: ModuleType, name: str, panel: str) -> None:
    if hasattr(module, "group"):
        app.add_typer(module.group, name=name, rich_help_panel=panel)
        return
    epilog = options.examples(*module.EXAMPLES)
    app.command(
        name,
        cls=getattr(module, "CLASS", None),
        help=options.paragraphs(module.command.__doc__),
        epilog=epilog,
        rich_help_panel=panel,
    )(module.command)


def _version(asked: bool) -> None:
    if asked:
        print(f"imbtui {__version__}")
        raise typer.Exit


def _main(
    ctx: typer.Context,
    runs: options.Runs = None,
    version: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Experiments on class imbalance, label noise and pruning, run and compared in the terminal.

    Without a command: the dashboard.
    """
    options.set_runs_everywhere(runs)
    if ctx.invoked_subcommand is None:
        entry.open_dashboard(runs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code, see `entry.exit_code`.

    Args:
        arguments: default: those of the process.
    """
    return entry.exit_code(lambda: _invoke(arguments))


def _invoke(arguments: Sequence[str] | None) -> int:
    try:
        code = build()(
            args=None if arguments is None else list(arguments), prog_name="imbtui", standalone_mode=False
        )
    except _UsageProblem as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "imbtui"
        entry.complain(f"{error.format_message()}\nTry `{command} --help`.")
        return 2
    except typer.Abort:
        return 130
    return code if isinstance(code, int) else 0
