"""The sixteen papers: their numbers beside ours, and what the runs say of their claims so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imbtui import store, where
from imbtui.errors import UserError
from imbtui.members import Member, members_of
from imbtui.metrics import Reader
from imbtui.papers import PAPERS, Paper
from imbtui.paths import RunsPaths
from imbtui.recipe import known, load_study
from imbtui.recipe.overrides import flatten
from imbtui.report.spread import Spread, number, spread
from imbtui.report.studies import Record, newest, views_of
from imbtui.report.table import FROM_MEMORY
from imbtui.verdict import Verdict, judge_study, overall


@dataclass(frozen=True)
class Number:
    """A number of a paper beside what its runs here measured.

    Attributes:
        study: the study whose recipe states it.
        where: the arm and settings it belongs to.
        value: as reported, of `metric`.
        verified: it was checked against the source; otherwise it is from memory.
        source: where in the paper it stands.
        measured: over seeds, after the last epoch; None: no run has finished.
    """

    study: str
    where: Mapping[str, Any]
    metric: str
    value: float
    verified: bool
    source: str
    measured: Spread | None

    def reported_text(self) -> str:
        """Return `0.296`, or `0.296†` when it is from memory."""
        return number(self.value) + ("" if self.verified else FROM_MEMORY)

    def measured_text(self) -> str:
        """Return `0.298 ± 0.011`, or `-` where no run has finished."""
        return "-" if self.measured is None else self.measured.text()


@dataclass(frozen=True)
class StudyReport:
    """A study of a paper.

    Attributes:
        name: the study's; a recipe's name unless its file is gone.
        title: what it studies.
        says: its claims in words, in order.
        variant: of its newest submission; empty: never submitted.
        states: how many of its runs are in which state (`never run` among them).
        verdicts: one for each claim; empty for a study that was never submitted.
        trouble: why its recipe cannot be read; empty when it can.
    """

    name: str
    title: str = ""
    says: tuple[str, ...] = ()
    variant: str = ""
    states: Mapping[str, int] | None = None
    verdicts: tuple[Verdict, ...] = ()
    trouble: str = ""

    @property
    def asked(self) -> int:
        """Runs that it asks for."""
        return sum((self.states or {}).values())

    @property
    def progress(self) -> str:
        """How much of it has run, in a few words: `not run`, `9 of 12 runs`, `12 runs`."""
        return _progress(Counter(self.states or {}))


@dataclass(frozen=True)
class PaperReport:
    """A paper with its studies, those that come along as recipes first."""

    paper: Paper
    recipes: tuple[str, ...]
    studies: tuple[StudyReport, ...]
    numbers: tuple[Number, ...]

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Those of all its studies that were submitted."""
        return tuple(verdict for study in self.studies for verdict in study.verdicts)

    @property
    def verdict(self) -> str:
        """One word for all of them, see `verdict.overall`."""
        return overall(self.verdicts)

    @property
    def progress(self) -> str:
        """How much of its submitted studies has run; `no recipe yet` where there is nothing to run."""
        if not self.studies:
            return "no recipe yet"
        submitted = [study for study in self.studies if study.variant]
        return _progress(sum((Counter(study.states) for study in submitted), Counter()))

    @property
    def first_number(self) -> Number | None:
        """Its first number that was measured too, else its first one."""
        measured = (one for one in self.numbers if one.measured is not None)
        return next(measured, self.numbers[0] if self.numbers else None)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON document; `reported` and `measured` go together by position."""
        return {
            "slug": self.paper.slug,
            "title": self.paper.title,
            "claim": self.paper.claim,
            "recipes": list(self.recipes),
            "verdict": self.verdict,
            "reported": [
                {
                    "study": one.study,
                    "where": dict(one.where),
                    "metric": one.metric,
                    "value": one.value,
                    "source": one.source,
                    "confidence": "verified" if one.verified else "memory",
                }
                for one in self.numbers
            ],
            "measured": [None if one.measured is None else one.measured.to_json() for one in self.numbers],
        }


def report_papers(
    runs: RunsPaths, papers: Sequence[Paper] = PAPERS, *, warn: Callable[[str], None] = lambda sentence: None
) -> list[PaperReport]:
    """Return what is known of papers: from their recipes, and from the runs of a folder.

    Args:
        warn: takes sentences about what cannot be read.
    """
    recipes = known()
    by_study: dict[str, list[Record]] = {}
    for record in store.studies(runs):
        by_study.setdefault(str(record.get("study", "")), []).append(record)
    submitted = {name: newest(variants) for name, variants in by_study.items()}
    views = views_of(runs, list(submitted.values()), warn=warn)
    reports = []
    for paper in papers:
        names = [name for name in recipes if name.startswith(f"{paper.slug}/")]
        others = [n for n, r in submitted.items() if r.get("paper") == paper.slug and n not in names]
        studies, numbers = [], []
        for name in [*names, *others]:
            ours = submitted.get(name)
            try:
                planned = ours or load_study(name).record()
            except UserError as error:
                studies.append(StudyReport(name, trouble=str(error)))
                warn(f"{name}: {error}")
                continue
            members = members_of(planned, views)
            studies.append(_study(name, planned, members, ours is not None, views))
            numbers += _numbers(name, planned, members)
        reports.append(PaperReport(paper, tuple(names), tuple(studies), tuple(numbers)))
    return reports


def _study(
    name: str, record: Record, members: Sequence[Member], submitted: bool, views: Mapping[str, Any]
) -> StudyReport:
    return StudyReport(
        name,
        str(record.get("title", "")),
        tuple(str(claim.get("says", "")) for claim in record.get("claims", [])),
        str(record.get("variant", "")) if submitted else "",
        Counter(member.state for member in members),
        tuple(judge_study(record, views)) if submitted else (),
    )


def _numbers(name: str, record: Record, members: Sequence[Member]) -> list[Number]:
    """Return a study's reported numbers, each with what its runs measured."""
    reader = Reader()
    found = []
    for table in record.get("reported", ()):
        wanted = flatten(table["where"])
        meant = [m for m in members if all(where.equal(m.lookup(k), v) for k, v in wanted.items())]
        measured, _ = spread(meant, table["metric"], reader=reader)
        found.append(
            Number(
                name,
                table["where"],
                table["metric"],
                table["value"],
                table["confidence"] == "verified",
                table["source"],
                measured,
            )
        )
    return found


def _progress(states: Counter[str]) -> str:
    asked = states.total()
    if asked == 0 or states["never run"] == asked:
        return "not run"
    runs = "run" if asked == 1 else "runs"
    done = f"{asked} {runs}" if states["finished"] == asked else f"{states['finished']} of {asked} {runs}"
    going = states["running"] + states["queued"]
    return f"{done}, {going} to come" if going else done
