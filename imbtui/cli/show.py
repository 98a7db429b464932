"""`imbtui show`: one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imbtui.cli import options, output

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from imbtui.store import RunView

MATRIX_LIMIT = 12
EXAMPLES = ("imbtui show @last", "imbtui show 3 --json")
LOG_LINES = 8
_SPLITS = ("test", "val", "train")


def command(run: options.Run, runs: options.Runs = None, json: options.Json = False) -> None:
    """Show one run: state, metrics, recipe, where it ran."""
    from imbtui import documents, store

    view = store.resolve(options.runs_paths(runs), run)
    if json:
        output.document(documents.whole(view))
        return
    _print_facts(view)
    _print_metrics(view)
    _print_matrices(view)
    _print_recipe(view)
    if view.state in ("failed", "crashed"):
        print_log_end(view)


def _print_facts(view: RunView) -> None:
    from rich.text import Text

    from imbtui import text
    from imbtui.cli.records import condition
    from imbtui.files import printable
    from imbtui.text import shown

    state = output.state(view.state)
    state.append(condition(view).removeprefix(view.state) + (f": {view.reason}" if view.reason else ""))
    counts = [text.plural(view.steps, "step")] if view.steps is not None else []
    if view.epochs is not None:
        counts.append(f"{shown(view.epochs)} epochs")
    env = view.env
    # Steps are those of the last stage, seconds those of all.
    if view.steps and view.seconds and len(env.get("stages", [])) == 1:
        counts.append(f"{view.steps / view.seconds:,.0f} steps/s")
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
            ("job", _job(view)),
            ("classes", shown(env.get("class_counts") or [])),
            ("corrupted", _corrupted(env)),
            ("code", commit),
            ("tags", " ".join(view.tags)),
            ("note", Text(printable(view.note))),
            ("folder", str(view.path.root)),
        ]
    )


def _corrupted(env: Mapping[str, Any]) -> str:
    """Return how many training examples were corrupted; nothing where none was."""
    corrupted, examples = env.get("corrupted") or {}, env.get("examples") or {}
    if not corrupted.get("examples"):
        return ""
    return (
        f"{corrupted['examples']} of {examples.get('train', '?')} training examples, "
        f"{corrupted['flip_rate']:.1%} of the labels wrong"
    )


def _job(view: RunView) -> str:
    """Return which job of a scheduler carries or carried the run; nothing where none did."""
    from imbtui import text
    from imbtui.files import printable

    job = view.job
    if job is None:
        return ""
    again = f", begun again {text.plural(job.restarts, 'time')}" if job.restarts else ""
    return f"SLURM {job.id}{again}, {printable(job.name)}"


def _on(host: str) -> str:
    return f"on {host}" if host else ""


def _print_metrics(view: RunView) -> None:
    from imbtui import metrics, text
    from imbtui.cli.records import scalars
    from imbtui.text import shown

    last, best = scalars(view.metrics), scalars(view.best)
    if not last:
        rows, _ = metrics.read_rows(view.path.metrics)
        last = scalars({key: value for row in rows for key, value in row.items()})
    if not last:
        return
    splits = [split for split in _SPLITS if any(name.startswith(f"{split}/") for name in last)]
    names = list(dict.fromkeys(name.partition("/")[2] for name in last if name.partition("/")[0] in splits))

    def column(title: str, values: dict[str, float], split: str, importance: int) -> output.Column:
        cells = [text.number(values.get(f"{split}/{name}")) for name in names]
        return output.Column(title, cells, importance, right=True)

    output.line()
    columns = [output.Column("metric", names)]
    columns += [column(split, last, split, 1 + place) for place, split in enumerate(splits)]
    if best:
        columns += [column(f"best {split}", best, split, 5 + place) for place, split in enumerate(splits)]
    output.table(columns)
    if best:
        output.line(
            f"best: where {view.best.get('selected_on')} was best, epoch {shown(view.best.get('epoch'))}"
        )
    others = [
        (name, text.number(value)) for name, value in last.items() if name.partition("/")[0] not in splits
    ]
    if others:
        output.line()
        output.fields(others)


def _print_matrices(view: RunView) -> None:
    """Print metrics that are a matrix; one of more classes than a terminal has room for is in the files."""
    from imbtui.cli.records import matrices

    for name, matrix in matrices(view.metrics).items():
        if len(matrix) > MATRIX_LIMIT:
            continue
        output.line()
        output.heading(name)
        columns = [output.Column("", [str(row) for row in range(len(matrix))], right=True)]
        for place, cells in enumerate(zip(*matrix, strict=True)):
            columns.append(output.Column(str(place), [f"{cell:.3f}" for cell in cells], right=True))
        output.table(columns, everything=True)


def _print_recipe(view: RunView) -> None:
    from imbtui.report.compare import dotted
    from imbtui.text import shown

    keys = {key: value for key, value in dotted(view.recipe).items() if key != "seeds"}
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
