"""`imbtui verdict`: what the runs say about the claims."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from imbtui.cli import options, output
from imbtui.errors import UserError

if TYPE_CHECKING:
    from imbtui.verdict import Verdict

EXAMPLES = ("imbtui verdict quickstart", "imbtui verdict cao2019 --json", "imbtui verdict --all --strict")
NOT_ALL_HELD = 3


def command(
    study: Annotated[
        str | None, typer.Argument(metavar="[STUDY|PAPER]", help="A study, STUDY@VARIANT, or a paper.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", "-a", help="All studies in the runs folder (the default).")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 3 unless every asserted claim is held.")
    ] = False,
    runs: options.Runs = None,
    json: options.Json = False,
) -> None:
    """Judge the claims of studies over what has run.

    held, did not hold: a one-sided test at the 5 % level; undecided: neither, or fewer than two seeds; not
    run: runs are missing.
    """
    from imbtui import store
    from imbtui.cli import conclude, studies
    from imbtui.report.studies import title, views_of
    from imbtui.verdict import judge_study

    if study is not None and every:
        raise UserError("name a study or give --all and not both", where="--all")
    paths = options.runs_paths(runs)
    records = store.studies(paths, warn=output.say) if study is None else studies.find(paths, study)
    views = views_of(paths, records, warn=output.say)
    judged = [judge_study(record, views) for record in records]
    with output.reader_may_leave():
        if json:
            output.document(
                [
                    verdict.to_json()
                    | {"variant": record.get("variant"), "overrides": record.get("overrides")}
                    for record, verdicts in zip(records, judged, strict=True)
                    for verdict in verdicts
                ]
            )
        else:
            for place, (record, verdicts) in enumerate(zip(records, judged, strict=True)):
                if place:
                    output.line()
                output.heading(title(record))
                if verdicts:
                    conclude.print_verdicts(verdicts)
                else:
                    output.line("it makes no claims")
    if not records:
        output.say(f"no study in {paths.root}")
    if strict and not _all_held(judged):
        raise typer.Exit(NOT_ALL_HELD)


def _all_held(judged: Sequence[Sequence[Verdict]]) -> bool:
    """Whether there are asserted claims and all of them are held; a claim with a run missing is not."""
    from imbtui.verdict import HELD

    asserted = [verdict for verdicts in judged for verdict in verdicts if verdict.asserted]
    return bool(asserted) and all(verdict.verdict == HELD for verdict in asserted)
