"""`imbtui ls`: the runs, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from imbtui.cli import options, output

if TYPE_CHECKING:
    from imbtui.paths import RunsPaths
    from imbtui.where import Filter

EXAMPLES = (
    "imbtui ls",
    "imbtui ls --where 'state == finished and loss.name == ldam'",
    "imbtui ls --sort test/balanced_accuracy",
    "imbtui ls --columns id,arm,seed,test/few_accuracy --limit 10",
)
NEWEST = 50
# What a row of the index holds; anything else is asked of the run folder.
_INDEXED = {"id", "state", "study", "variant", "title", "arm", "seed", "digest", "created", "attempt"}
_INDEXED |= {"tag", "tags"}


def command(
    where: Annotated[
        str, typer.Option("--where", "-w", metavar="EXPR", help="Only runs for which this holds.")
    ] = "",
    sort: Annotated[
        str, typer.Option("--sort", metavar="METRIC", help="Best first by this metric, or by any key.")
    ] = "",
    columns: Annotated[
        str, typer.Option("--columns", metavar="KEY,...", help="Fields, recipe keys or metrics to show.")
    ] = "",
    study: Annotated[str, typer.Option("--study", metavar="NAME", help="Only runs of this study.")] = "",
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", metavar="N", min=1, help=f"At most so many rows (else {NEWEST})."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", "-a", help="All rows.")] = False,
    runs: options.Runs = None,
    json: options.Json = False,
) -> None:
    """List runs, newest first.

    EXPR compares fields (state, arm, seed, tag), recipe keys (loss.name) and metrics (test/accuracy), with
    == != < <= > >= ~ in, joined by and, or, not; a bare word is looked for everywhere. JSON lists all runs
    unless a limit is given.
    """
    from imbtui import where as filters

    wanted = filters.parse(where)
    shown = [key.strip() for key in columns.split(",") if key.strip()]
    for key, source in [*((key, "--columns") for key in shown), *([(sort, "--sort")] if sort else [])]:
        filters.check_key(key, where=source)
    paths = options.runs_paths(runs)
    found = _select(paths, wanted, study, sort)
    count = limit or (len(found) if every or json else NEWEST)
    listed = found[:count]
    if json:
        _print_json(paths, listed)
    else:
        _print_table(paths, listed, shown, sort, len(found))


def _select(paths: RunsPaths, wanted: Filter, study: str, sort: str) -> list[dict[str, Any]]:
    """Return the index rows of the runs that are meant, in order."""
    from imbtui import index, metrics, store
    from imbtui import where as filters

    rows = index.query(paths, warn=output.say)
    if study:
        rows = [row for row in rows if row.get("study") == study]
    indexed = _INDEXED | set(index.LISTED_METRICS)

    def subject(row: dict[str, Any], keys: set[str]) -> Any:
        return row if keys <= indexed else store.read(paths.run(row["id"]))

    if wanted.text.strip():
        rows = [row for row in rows if wanted(subject(row, set(wanted.keys)))]
    if sort:
        values = {row["id"]: filters.lookup(subject(row, {sort}), sort) for row in rows}
        if rows and "/" in sort and all(value is None for value in values.values()):
            _require_measured(paths, sort)
        kind: Any = int | float if any(isinstance(v, int | float) for v in values.values()) else str
        having = [row for row in rows if isinstance(values[row["id"]], kind)]
        falling = "/" in sort and not metrics.lower_is_better(sort)
        having.sort(key=lambda row: values[row["id"]], reverse=falling)
        rows = having + [row for row in rows if not isinstance(values[row["id"]], kind)]
    return rows


def _require_measured(paths: RunsPaths, metric: str) -> None:
    """Refuse a metric that no study of the runs folder records, not even once its runs have ended.

    Raises:
        UserError: it is one.
    """
    from imbtui import store
    from imbtui.recipe.measured import check_metric

    known = {name for record in store.studies(paths) for name in record.get("metrics", ("*",))}
    check_metric(metric, sorted(known) or ["*"], where="--sort")


def _print_json(paths: RunsPaths, rows: list[dict[str, Any]]) -> None:
    from imbtui import documents, store

    output.document([documents.record(store.read(paths.run(row["id"]))) for row in rows])


def _print_table(
    paths: RunsPaths, rows: list[dict[str, Any]], chosen: list[str], sort: str, total: int
) -> None:
    from rich.text import Text

    from imbtui import folders, store, text
    from imbtui import where as filters
    from imbtui.cli import records

    if not rows:
        output.say("no run matches" if paths.root.is_dir() else f"no runs in {paths.root}")
        return
    folders.remember_listing(paths, [row["id"] for row in rows])
    numbers = [str(position) for position in range(1, len(rows) + 1)]
    if chosen:
        views = [store.read(paths.run(row["id"])) for row in rows]
        table = [output.Column("#", numbers, right=True)]
        for key in chosen:
            cells: list[str | Text] = [text.shown(filters.lookup(view, key), key) for view in views]
            if key == "state":
                cells = [output.state(view.state) for view in views]
            table.append(output.Column(key, cells, right="/" in key))
        output.table(table, everything=True)
        return

    states: list[str | Text] = []
    for row in rows:
        word = output.state(row["state"])
        if row["state"] == "running":
            word.append(records.condition(store.read(paths.run(row["id"]))).removeprefix("running"))
        states.append(word)

    def values(name: str) -> list[str]:
        return [text.number(row.get("metrics", {}).get(name)) for row in rows]

    columns = [
        output.Column("#", numbers, right=True),
        output.Column("id", [row["id"] for row in rows]),
        output.Column("state", states),
        output.Column("balanced", values("test/balanced_accuracy"), 1, right=True),
        output.Column("accuracy", values("test/accuracy"), 3, right=True),
        output.Column("study", [row.get("study") or "-" for row in rows], 2),
        output.Column("age", [text.ago(row.get("created", "")) for row in rows], 4, right=True),
        output.Column("took", [text.duration(row.get("seconds")) for row in rows], 5, right=True),
        output.Column("tags", [" ".join(row.get("tags", ())) for row in rows], 6),
        output.Column("reason", [row.get("reason", "") for row in rows], 7, shrink=True),
    ]
    if sort and sort not in ("test/balanced_accuracy", "test/accuracy", "state", "id", "study"):
        found = [filters.lookup(store.read(paths.run(row["id"])), sort) for row in rows]
        columns.insert(3, output.Column(sort, [text.shown(value, sort) for value in found], right=True))
    empty = ("", "-")
    filled = [c for c in columns if c.importance == 0 or any(str(cell) not in empty for cell in c.cells)]
    hidden = output.table(filled)
    if output.is_terminal() and hidden:
        output.say(f"Not shown for lack of width: {', '.join(hidden)}.")
    if total > len(rows):
        output.say(f"{len(rows)} of {text.plural(total, 'run')}; -n N or --all shows more.")
