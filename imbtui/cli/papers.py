"""`imbtui papers`: the sixteen papers, their numbers beside ours, and the verdict so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imbtui.cli import options, output
from imbtui.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from imbtui.papers import Paper
    from imbtui.paths import RunsPaths
    from imbtui.verdict import Verdict

EXAMPLES = ("imbtui papers", "imbtui papers cao2019", "imbtui papers --json")


def command(
    slug: Annotated[
        str | None, typer.Argument(metavar="[PAPER]", help="One of them, with its claim and numbers.")
    ] = None,
    runs: options.Runs = None,
    json: options.Json = False,
) -> None:
    """List the sixteen papers: verdict so far, reported beside measured."""
    from imbtui.papers import BY_SLUG, PAPERS

    if slug is not None and slug not in BY_SLUG:
        raise UserError("there is no such paper", where=slug, hint=did_you_mean(slug, list(BY_SLUG)))
    papers = PAPERS if slug is None else (BY_SLUG[slug],)
    rows = _rows(options.runs_paths(runs), papers)
    if json:
        output.document([{key: value for key, value in row.items() if key != "verdicts"} for row in rows])
    elif slug is None:
        _print_all(rows)
    else:
        _print_one(rows[0])


def _rows(runs: RunsPaths, papers: Sequence[Paper]) -> list[dict[str, Any]]:
    from imbtui import store
    from imbtui.cli import conclude, studies
    from imbtui.recipe import known
    from imbtui.verdict import judge_study, overall

    recipes = known()
    by_study: dict[str, list[studies.Record]] = {}
    for record in store.studies(runs):
        by_study.setdefault(str(record.get("study", "")), []).append(record)
    submitted = {name: studies.newest(variants) for name, variants in by_study.items()}
    views = conclude.views_of(runs, list(submitted.values()))
    rows = []
    for paper in papers:
        names = [name for name in recipes if name.startswith(f"{paper.slug}/")]
        ours = {n: r for n, r in submitted.items() if r.get("paper") == paper.slug or n in names}
        planned = [ours.get(name) or _record(name) for name in names]
        planned += [record for name, record in ours.items() if name not in names]
        records = [record for record in planned if record]
        verdicts = [v for record in ours.values() for v in judge_study(record, views)]
        reported = [r for record in records for r in _reported(record, views)]
        rows.append(
            {
                "slug": paper.slug,
                "title": paper.title,
                "claim": paper.claim,
                "recipes": names,
                "verdict": overall(verdicts),
                "reported": [{k: v for k, v in r.items() if k != "measured"} for r in reported],
                "measured": [r["measured"] for r in reported],
                "verdicts": verdicts,
            }
        )
    return rows


def _record(recipe: str) -> Mapping[str, Any] | None:
    """Return a recipe as a study nobody has submitted, or None when it is broken."""
    from imbtui.recipe import load_study

    try:
        return load_study(recipe).record()
    except UserError as error:
        output.say(f"{recipe}: {output.complaint(error)}")
        return None


def _reported(record: Mapping[str, Any], views: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a study's reported numbers, each with what its runs measured, or None."""
    from imbtui import where
    from imbtui.members import members_of
    from imbtui.metrics import Reader
    from imbtui.recipe.overrides import flatten
    from imbtui.report.spread import spread

    members = members_of(record, views)
    reader = Reader()
    rows = []
    for table in record.get("reported", ()):
        wanted = flatten(table["where"])
        meant = [m for m in members if all(where.equal(m.lookup(k), v) for k, v in wanted.items())]
        measured, _ = spread(meant, table["metric"], reader=reader)
        rows.append(
            {
                "study": record.get("study"),
                **table,
                "measured": None if measured is None else measured.to_json(),
            }
        )
    return rows


def _print_all(rows: Sequence[Mapping[str, Any]]) -> None:
    pairs = [_first_pair(row) for row in rows]
    output.table(
        [
            output.Column("paper", [row["slug"] for row in rows]),
            output.Column("verdict", [output.state(row["verdict"]) for row in rows]),
            output.Column("recipes", [str(len(row["recipes"])) for row in rows], 2, right=True),
            output.Column("reported", [reported for reported, _ in pairs], 1, right=True),
            output.Column("measured", [measured for _, measured in pairs], 1, right=True),
            output.Column("title", [row["title"] for row in rows], 3, shrink=True),
        ]
    )
    output.say("`imbtui papers PAPER` tells more of one.")


def _first_pair(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return a paper's first number that was measured too, else its first one."""
    pairs = list(zip(row["reported"], row["measured"], strict=True))
    if not pairs:
        return "-", "-"
    reported, measured = next((pair for pair in pairs if pair[1] is not None), pairs[0])
    return _value(reported), _spread(measured)


def _value(reported: Mapping[str, Any]) -> str:
    from imbtui import text

    return text.number(reported["value"], 3) + ("" if reported["confidence"] == "verified" else "†")


def _spread(measured: Mapping[str, Any] | None) -> str:
    from imbtui import text

    if measured is None:
        return "-"
    sd = "" if measured["sd"] is None else f" ± {text.number(measured['sd'], 3)}"
    return text.number(measured["mean"], 3) + sd


def _print_one(row: Mapping[str, Any]) -> None:
    from imbtui import text
    from imbtui.cli import conclude

    output.heading(row["title"])
    output.line(row["claim"])
    output.line()
    output.fields(
        [("recipes", ", ".join(row["recipes"]) or "none yet"), ("verdict", output.state(row["verdict"]))]
    )
    verdicts: Sequence[Verdict] = row["verdicts"]
    if verdicts:
        output.line()
        conclude.print_verdicts(verdicts)
    if row["reported"]:
        output.line()
        output.table(
            [
                output.Column("study", [r["study"] for r in row["reported"]], 2),
                output.Column("where", [text.point(r["where"]) for r in row["reported"]], shrink=True),
                output.Column("metric", [r["metric"] for r in row["reported"]], 1),
                output.Column("reported", [_value(r) for r in row["reported"]], right=True),
                output.Column("measured", [_spread(m) for m in row["measured"]], right=True),
            ]
        )
        if any(r["confidence"] == "memory" for r in row["reported"]):
            output.line("† from memory, not checked against the paper")
