"""The sixteen papers: their numbers beside ours, and what the runs say of their claims so far."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
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
from imbtui.verdict import HELD, Verdict, judge_study, overall


@dataclass(frozen=True)
class Number:
    """A number of a paper beside what its runs here measured.

    Attributes:
        study: the study whose recipe states it.
        where: the arm and settings it belongs to.
        value: as reported, of `metric`.
        verified: it was checked against the source; otherwise it is from memory.
        source: where in the paper it stands.
        says: what it is, where the metric's name does not tell.
        headline: its recipe says that it stands for the paper.
        measured: over seeds, after the last epoch; None: no run has finished.
    """

    study: str
    where: Mapping[str, Any]
    metric: str
    value: float
    verified: bool
    source: str
    says: str
    headline: bool
    measured: Spread | None

    def reported_text(self) -> str:
        """Return `0.296`, or `0.296†` when it is from memory."""
        return number(self.value) + ("" if self.verified else FROM_MEMORY)

    def measured_text(self) -> str:
        """Return `0.298 ± 0.011 (n=3)`, or `-` where no run has finished."""
        return "-" if self.measured is None else f"{self.measured.text()} (n={self.measured.n})"

    @property
    def of(self) -> str:
        """What it is a number of, without the paper's slug: `cifar10-lt, CDT, ratio = 100: test/error`."""
        study = self.study.partition("/")[2] or self.study
        conditions = [
            str(value) if key == "arm" else f"{key.rpartition('.')[2]} = {value}"
            for key, value in flatten(self.where).items()
        ]
        return f"{', '.join([study, *conditions])}: {self.says or self.metric}"


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
        last_run: when the newest of its runs was started or, not started yet, submitted; empty without any.
        trouble: why its recipe cannot be read; empty when it can.
    """

    name: str
    title: str = ""
    says: tuple[str, ...] = ()
    variant: str = ""
    states: Mapping[str, int] | None = None
    verdicts: tuple[Verdict, ...] = ()
    last_run: str = ""
    trouble: str = ""

    @property
    def asked(self) -> int:
        """Runs that it asks for."""
        return sum((self.states or {}).values())

    @property
    def progress(self) -> str:
        """How much of it has run, in a few words: `not run`, `9 of 12 runs`, `12 runs`."""
        return _progress(Counter(self.states or {}))

    @property
    def verdict(self) -> str:
        """One word for all its claims, see `verdict.overall`."""
        return overall(self.verdicts)


@dataclass(frozen=True)
class PaperReport:
    """A paper with its studies, those that come along as recipes first."""

    paper: Paper
    recipes: tuple[str, ...]
    studies: tuple[StudyReport, ...]
    numbers: tuple[Number, ...]

    @property
    def by_interest(self) -> tuple[StudyReport, ...]:
        """The studies, what has run last first; then the quick one, as what to run next."""
        quick = f"{self.paper.slug}/quick"
        newest = sorted(self.studies, key=lambda study: study.last_run, reverse=True)
        return tuple(sorted(newest, key=lambda study: (not study.variant, study.name != quick)))

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Those of all its studies that were submitted."""
        return tuple(verdict for study in self.studies for verdict in study.verdicts)

    @property
    def verdict(self) -> str:
        """One word for all of them, see `verdict.overall`."""
        return overall(self.verdicts)

    @property
    def held(self) -> str:
        """How many asserted claims of its submitted studies are held: `5 of 6`; empty without any."""
        asserted = [one for one in self.verdicts if one.asserted]
        return f"{sum(one.verdict == HELD for one in asserted)} of {len(asserted)}" if asserted else ""

    @property
    def last_run(self) -> str:
        """When the newest of its runs was started, as ISO 8601; empty without any."""
        return max((study.last_run for study in self.studies), default="")

    @property
    def progress(self) -> str:
        """How much of its submitted studies has run; `no recipe yet` where there is nothing to run."""
        if not self.studies:
            return "no recipe yet"
        submitted = [study for study in self.studies if study.variant]
        return _progress(sum((Counter(study.states) for study in submitted), Counter()))

    @property
    def headline(self) -> Number | None:
        """The number that stands for it: the one its recipe says, else the first that has been measured."""
        ranked = sorted(self.numbers, key=lambda one: (not one.headline, one.measured is None))
        return ranked[0] if ranked else None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON document; `reported` and `measured` go together by position."""
        return {
            "slug": self.paper.slug,
            "title": self.paper.title,
            "claim": self.paper.claim,
            "recipes": list(self.recipes),
            "verdict": self.verdict,
            "progress": self.progress,
            "last_run": self.last_run or None,
            "reported": [
                {
                    "study": one.study,
                    "where": dict(one.where),
                    "metric": one.metric,
                    "value": one.value,
                    "source": one.source,
                    "says": one.says,
                    "headline": one.headline,
                    "confidence": "verified" if one.verified else "memory",
                }
                for one in self.numbers
            ],
            "measured": [None if one.measured is None else one.measured.to_json() for one in self.numbers],
        }


def report_papers(
    runs: RunsPaths, papers: Sequence[Paper] = PAPERS, *, warn: Callable[[str], None] = lambda sentence: None
) -> list[PaperReport]:
    """Return what is known of papers, see `each_paper`."""
    return list(each_paper(runs, papers, warn=warn))


def each_paper(
    runs: RunsPaths, papers: Sequence[Paper] = PAPERS, *, warn: Callable[[str], None] = lambda sentence: None
) -> Iterator[PaperReport]:
    """Yield what is known of each paper: from its recipes, and from the runs of a folder.

    Args:
        warn: takes sentences about what cannot be read.
    """
    recipes = known()
    slugs = {paper.slug for paper in papers}
    by_study: dict[str, list[Record]] = {}
    for record in store.studies(runs, warn=warn):
        name = str(record.get("study", ""))
        if record.get("paper") in slugs or name.partition("/")[0] in slugs:
            by_study.setdefault(name, []).append(record)
    submitted = {name: newest(variants) for name, variants in by_study.items()}
    views = views_of(runs, list(submitted.values()), warn=warn)
    for paper in papers:
        names = [name for name in recipes if name.startswith(f"{paper.slug}/")]
        others = [n for n, r in submitted.items() if r.get("paper") == paper.slug and n not in names]
        studies, numbers = [], []
        for name in [*names, *others]:
            ours = submitted.get(name)
            try:
                planned = ours or _planned(name, recipes[name])
                members = members_of(planned, views)
                found = _numbers(name, planned, members)
            except UserError as error:
                studies.append(StudyReport(name, trouble=str(error)))
                warn(f"{name}: {error}")
                continue
            studies.append(_study(name, planned, members, ours is not None, views))
            numbers += found
        yield PaperReport(paper, tuple(names), tuple(studies), tuple(numbers))


def _planned(name: str, path: Path) -> Record:
    """Return what a recipe asks for; one that has not changed since is not read again."""
    try:
        status = path.stat()
    except OSError:
        return load_study(name).record()  # says what is wrong
    return _read(name, path.absolute(), (status.st_ino, status.st_mtime_ns, status.st_size))


@functools.lru_cache(maxsize=256)
def _read(name: str, path: Path, stamp: tuple[int, int, int]) -> Record:
    return load_study(name).record()


def _study(
    name: str, record: Record, members: Sequence[Member], submitted: bool, views: Mapping[str, Any]
) -> StudyReport:
    runs = [views[m["digest"]] for m in record.get("members", []) if m["digest"] in views]
    return StudyReport(
        name,
        str(record.get("title", "")),
        tuple(str(claim.get("says", "")) for claim in record.get("claims", [])),
        str(record.get("variant", "")) if submitted else "",
        Counter(member.state for member in members),
        tuple(judge_study(record, views)) if submitted else (),
        max((one.started or one.created for one in runs), default=""),
    )


def _numbers(name: str, record: Record, members: Sequence[Member]) -> list[Number]:
    """Return a study's reported numbers, each with what its runs measured."""
    reader = Reader()
    found = []
    for table in record.get("reported", ()):
        wanted = flatten(table["where"])
        meant = [m for m in members if all(where.equal(m.lookup(k), v) for k, v in wanted.items())]
        measured, _ = spread(meant, table["metric"], among=members, reader=reader)
        found.append(
            Number(
                name,
                table["where"],
                table["metric"],
                table["value"],
                table["confidence"] == "verified",
                table["source"],
                table.get("says", ""),
                bool(table.get("headline")),
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
