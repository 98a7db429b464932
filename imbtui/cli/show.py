"""`imbtui show`: one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imbtui.cli import options, output

if TYPE_CHECKING:
    from imbtui.store import RunView

EXAMPLES = ("imbtui show @last", "imbtui show 3 --json")
LOG_LINES = 8


def command(run: options.Run, runs: options.Runs = None, json: options.Json = False) -> None:
    """Show one run: state, metrics, recipe, where it ran."""
    from imbtui import store
    from imbtui.cli.records import record

    view = store.resolve(options.runs_paths(runs), run)
    if json:
        output.document(record(view) | {"path": str(view.path.root.absolute()), "env": view.env})
        return
    _print_facts(view)
    _print_metrics(view)
    _print_recipe(view)
    if view.state in ("failed", "crashed"):
        print_log_end(view)


def _print_facts(view: RunView) -> None:
    from rich.text import Text

    from imbtui import text
    from imbtui.cli.records import condition, shown
    from imbtui.files import printable

    state = output.state(view.state)
    state.append(condition(view).removeprefix(view.state) + (f": {view.reason}" if view.reason else ""))
    counts = [text.plural(view.steps, "step")] if view.steps is not None else []
    if view.epochs is not None:
        counts.append(f"{shown(view.epochs)} epochs")
    env = view.env
    commit = str(env.get("git_commit") or "")[:12] + (
        " with uncommitted changes" if env.get("git_dirty") else ""
    )
    device = str(env.get("gpu") or env.get("device") or "")
    output.heading(view.title or view.id)
    output.fields(
        [
            ("id", view.id),
            ("state", state),
            ("study", " ".join(part for part in (view.study, view.variant and f"({view.variant})") if part)),
            ("paper", view.paper),
            ("arm", view.arm or ""),
            ("point", text.point(view.point)),
            ("seed", str(view.seed)),
            ("digest", view.digest),
            ("created", " ".join(part for part in (view.created, _on(view.host)) if part)),
            ("attempt", str(view.attempt) if view.attempt > 1 else ""),
            ("took", ", ".join([text.duration(view.seconds), *counts]) if view.seconds is not None else ""),
            ("fits since", f"epoch {shown(view.fit_epoch)}" if view.fit_epoch is not None else ""),
            ("device", device + (f" (GPU {shown(list(view.gpus))})" if view.gpus else "")),
            ("classes", shown(env.get("class_counts") or [])),
            ("code", commit),
            ("tags", " ".join(view.tags)),
            ("note", Text(printable(view.note))),
            ("folder", str(view.path.root)),
        ]
    )


def _on(host: str) -> str:
    return f"on {host}" if host else ""


def _print_metrics(view: RunView) -> None:
    from imbtui import metrics, text
    from imbtui.cli.records import scalars

    last, best = scalars(view.metrics), scalars(view.best)
    title = "last"
    if not last:
        rows, _ = metrics.read_rows(view.path.metrics)
        last = scalars({key: value for row in rows for key, value in row.items()})
        title = "so far"
    if not last:
        return
    names = sorted(last | best)
    columns = [
        output.Column("metric", names),
        output.Column(title, [text.number(last.get(name)) for name in names], right=True),
    ]
    if best:
        chosen = f"best by {view.best.get('selected_on', 'validation')}"
        columns.append(output.Column(chosen, [text.number(best.get(name)) for name in names], 1, right=True))
    output.line()
    output.table(columns)


def _print_recipe(view: RunView) -> None:
    from imbtui.cli.records import flat, shown

    keys = flat({k: v for k, v in view.recipe.items() if k not in ("title", "paper", "seeds")})
    if keys:
        output.line()
        output.heading("recipe")
        output.fields([(key, shown(value)) for key, value in keys.items()])


def print_log_end(view: RunView) -> None:
    """Print the last lines of a run's log, if it has any."""
    from imbtui import files, text

    lines = files.last_lines(view.path.log, LOG_LINES)
    if lines:
        output.line()
        output.heading("end of the log")
        for entry in lines:
            output.line(text.log_line(entry))
