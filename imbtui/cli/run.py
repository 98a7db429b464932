"""`imbtui run`: from recipes to finished runs, a table and a verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imbtui.cli import options, output
from imbtui.errors import UserError

if TYPE_CHECKING:
    from imbtui.paths import RunsPaths
    from imbtui.recipe import Study
    from imbtui.store import RunView
    from imbtui.submit import Entry

EXAMPLES = (
    "imbtui run quickstart",
    "imbtui run cao2019/quick --seeds 0-4 --set train.epochs=20",
    "imbtui run my-study.toml --gpus 0,1 --detach",
)
MOST_REASONS = 3  # different reasons of failures whose logs are shown
FAILED = ("failed", "crashed")


def command(
    recipes: options.Recipes,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", "-s", metavar="KEY=VALUE", help="Change a key of the recipe, e.g. loss.name=ldam."
        ),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option("--seeds", metavar="SEEDS", help="0-4 or 0,2,5 instead of the recipe's.")
    ] = None,
    gpus: Annotated[
        str | None, typer.Option("--gpus", metavar="0,1", help="Only these GPUs.", show_default=False)
    ] = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="No GPU.")] = False,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Queue the runs and return.")] = False,
    here: Annotated[
        bool, typer.Option("--here", help="Train in this process, one run after another; breakpoints work.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the runs and create nothing.")] = False,
    rerun: Annotated[bool, typer.Option("--rerun", help="Train also what has finished before.")] = False,
    allow_plugins: Annotated[
        bool, typer.Option("--allow-plugins", help="Run plug-ins from outside imbtui that the recipe names.")
    ] = False,
    runs: options.Runs = None,
    json: options.Json = False,
) -> None:
    """Run recipes: queue, follow, then print table and verdict.

    Runs that finished before are reused. Ctrl-C stops the runs after a checkpoint, a second Ctrl-C leaves
    them to the worker; so does closing the terminal.
    """
    from imbtui import submit
    from imbtui.recipe import load_study
    from imbtui.verdict import check_claims

    if detach and here:
        raise UserError("--here trains in this terminal and cannot be detached", where="--detach")
    if cpu and gpus is not None:
        raise UserError("give --gpus or --cpu and not both", where="--gpus")
    chosen = None if seeds is None else submit.parse_seeds(seeds)
    device: list[int] | str | None = "cpu" if cpu else None if gpus is None else submit.parse_gpus(gpus)
    studies = [
        load_study(reference, assignments or (), seeds=chosen, allow_plugins=allow_plugins)
        for reference in recipes
    ]
    for study in studies:
        check_claims(study.record())
        for warning in study.warnings:
            output.say(f"warning: {study.name}: {warning}")
    if strangers := _from_outside(studies):
        output.say(f"this runs code from outside imbtui: {', '.join(strangers)}")
    paths = options.runs_paths(runs)
    try:
        submit.check(studies, device, here=here)
    except UserError as error:
        if not dry_run:
            raise
        output.say(f"warning: {error!s}")
    planned = submit.plan(paths, studies, rerun=rerun)
    if dry_run:
        _print_plan(planned, json)
        return
    code = _execute(paths, studies, planned, device, detach=detach, here=here, json=json)
    raise typer.Exit(code)


def _from_outside(studies: Sequence[Study]) -> list[str]:
    """Return the plug-ins of runs that are not imbtui's."""
    from imbtui.plugins import is_outside

    found: dict[str, None] = {}
    for study in studies:
        for recipe in (planned.recipe for planned in study.runs):
            several = [*recipe.corruptions, *recipe.methods, *recipe.probes]
            for plugin in (recipe.dataset, recipe.model, recipe.loss, *several):
                if is_outside(plugin.name):
                    found[plugin.name] = None
    return list(found)


def _print_plan(entries: Sequence[Entry], json: bool) -> None:
    from imbtui import text

    rows = [
        {
            "study": entry.study.name,
            "arm": entry.planned.arm,
            "point": entry.planned.point,
            "seed": entry.planned.seed,
            "digest": entry.planned.digest,
            "status": entry.status,
            "id": entry.id,
        }
        for entry in entries
    ]
    if json:
        output.document({"runs": rows})
        return
    several = len({entry.study.name for entry in entries}) > 1
    columns = [
        output.Column("arm", [entry.planned.arm or "-" for entry in entries]),
        output.Column("point", [text.point(entry.planned.point) for entry in entries], 1),
        output.Column("seed", [str(entry.planned.seed) for entry in entries], right=True),
        output.Column("digest", [entry.planned.digest for entry in entries]),
        output.Column("", [_outcome(entry) for entry in entries], 2),
    ]
    if several:
        columns.insert(0, output.Column("study", [entry.study.name for entry in entries]))
    output.table([c for c in columns if c.title != "point" or any(c.cells)])
    counts = Counter(entry.status for entry in entries)
    output.line(
        f"{text.plural(len(entries), 'run')}: {counts['new']} to train, {counts['reused']} finished before, "
        f"{counts['joined']} under way."
    )


def _outcome(entry: Entry) -> str:
    words = {"new": "to train", "reused": f"finished: {entry.id}", "joined": f"under way: {entry.id}"}
    return words[entry.status]


def _execute(
    paths: RunsPaths,
    studies: Sequence[Study],
    planned: Sequence[Entry],
    device: list[int] | str | None,
    *,
    detach: bool,
    here: bool,
    json: bool,
) -> int:
    from imbtui import submit, worker
    from imbtui.cli.follow import catch_interrupts, follow

    _tell_reused(planned)
    interrupted = False
    if here:
        from imbtui.cli.here import run_here

        entries, interrupted = run_here(paths, planned, device=device, quiet=json)
    with catch_interrupts() as interrupts:
        if not here:
            entries = submit.submit(paths, planned, device=device)
            if any(entry.status != "reused" for entry in entries):
                worker.ensure(paths)
        ids = _ids(entries)
        if detach:
            _print_detached(paths, ids, json)
            return 0
        active = _ids([e for e in entries if e.status == "joined" or (e.status == "new" and not here)])
        if active and not interrupted:
            own = set(_ids([e for e in entries if e.status == "new"]))
            watched = follow(paths, active, own=own, interrupts=interrupts, results_on_stdout=json)
            if not all(run.ended() for run in watched):
                output.say("The runs go on by themselves; `imbtui ls` shows them.")
                return 130
        interrupted = interrupted or bool(interrupts)
    return _finish(paths, studies, ids, json=json, interrupted=interrupted)


def _ids(entries: Sequence[Entry]) -> list[str]:
    """Return the runs of entries, each once, in order."""
    return list(dict.fromkeys(entry.id for entry in entries if entry.id is not None))


def _tell_reused(entries: Sequence[Entry]) -> None:
    from imbtui import text

    for status, sentence in (
        ("reused", "finished before and {} reused; --rerun trains anew"),
        ("joined", "under way already and {} followed"),
    ):
        ids = _ids([entry for entry in entries if entry.status == status])
        if ids:
            verb = sentence.format("is" if len(ids) == 1 else "are")
            output.say(f"{text.plural(len(ids), 'run')} {verb}: {_named(ids)}")


def _print_detached(paths: RunsPaths, ids: Sequence[str], json: bool) -> None:
    from imbtui import folders, store
    from imbtui.documents import record

    views = [store.read(paths.run(run_id)) for run_id in ids]
    folders.remember_listing(paths, ids)
    if json:
        output.document({"runs": [record(view) for view in views], "verdict": []})
        return
    for view in views:
        output.line(f"{view.id} {view.state}")
    output.say("The runs go on by themselves; `imbtui ls` shows them, `imbtui logs -f @last` follows one.")


def _finish(
    paths: RunsPaths, studies: Sequence[Study], ids: Sequence[str], *, json: bool, interrupted: bool
) -> int:
    """Print what came out and return the exit code."""
    from imbtui import store, text
    from imbtui.cli import conclude
    from imbtui.documents import record
    from imbtui.report.studies import views_of
    from imbtui.verdict import judge_study, members_of

    views = [store.read(paths.run(run_id)) for run_id in ids]
    failed = [view for view in views if view.state in FAILED]
    studied: list[dict[str, Any]] = [study.record() for study in studies]
    found = views_of(paths, studied, warn=output.say)
    verdicts = [judge_study(one, found) for one in studied]
    with output.reader_may_leave():
        if json:
            said = [verdict.to_json() for each in verdicts for verdict in each]
            output.document({"runs": [record(view) for view in views], "verdict": said})
        elif any(view.state == "finished" for view in views):
            for study, document, judged in zip(studies, studied, verdicts, strict=True):
                output.line()
                conclude.print_summary(members_of(document, found), title=study.title or study.name)
                if judged:
                    output.line()
                    conclude.print_verdicts(judged)
    _complain(failed)
    stopped = [view for view in views if view.state == "stopped"]
    if stopped:
        one = stopped[0].id if len(stopped) == 1 else "RUN..."
        output.say(f"{text.plural(len(stopped), 'run')} stopped; `imbtui resume {one}` goes on.")
    if interrupted:
        return 130
    if failed:
        return 1
    return 130 if stopped else 0


def _complain(failed: Sequence[RunView]) -> None:
    """Say which runs failed, and show the end of one log for each different reason."""
    from imbtui import files, text
    from imbtui.cli.records import outcome
    from imbtui.cli.show import LOG_LINES

    alike: dict[str, list[RunView]] = {}
    for view in failed:
        alike.setdefault(outcome(view), []).append(view)
    for what, (first, *others) in list(alike.items())[:MOST_REASONS]:
        output.say(f"{first.id} {what}")
        for line in files.last_lines(first.path.log, LOG_LINES):
            output.say(f"  {text.log_line(line)}")
        if others:
            output.say(f"  The same became of {len(others)} more: {_named([view.id for view in others])}")
    if len(alike) > MOST_REASONS:
        output.say("More failed for other reasons: imbtui ls --where 'state in [failed, crashed]'")


def _named(ids: Sequence[str]) -> str:
    return ", ".join(ids[:3]) + (", ..." if len(ids) > 3 else "")
