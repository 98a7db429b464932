"""One paper: its claim, its recipes, their claims and numbers beside ours, and a figure."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Static

from imbtui import text
from imbtui.errors import UserError
from imbtui.papers import BY_SLUG
from imbtui.tui.live import Wants
from imbtui.tui.messages import Row, RowsArrived
from imbtui.tui.verdict_lines import claim_lines
from imbtui.tui.widgets.group_curves import ChartScreen, GroupCurves
from imbtui.tui.widgets.head import Head
from imbtui.tui.widgets.key_bar import KeyBar
from imbtui.tui.widgets.lines import Line, Lines
from imbtui.tui.widgets.panes import Panes
from imbtui.tui.widgets.table import Column
from imbtui.tui.widgets.verdict_table import VerdictTable

if TYPE_CHECKING:
    from imbtui.report.groups import Group
    from imbtui.report.papers import Number, PaperReport, StudyReport
    from imbtui.tui.app import ImbtuiApp

KEY = ""
TITLE = "Paper"

COLUMNS: tuple[Column, ...] = (
    Column("recipe", "recipe", 0, lambda r: r["id"], style="table--strong", least=12),
    Column("runs", "runs", 0, lambda r: r["runs"], least=9),
    Column("verdict", "verdict", 12, lambda r: r["verdict"]),
    Column("last", "last run", 8, lambda r: r["last"], style="table--quiet", needs=100, right=True),
    Column("title", "what it studies", 0, lambda r: r["title"], style="table--quiet", least=10, fills=True),
)


class PaperRead(Message, bubble=False):
    """What is known of the paper was put together in a thread.

    Attributes:
        groups: the arms of each study that was submitted.
        named: of each study the metrics that its claims are about, in their order, with the arms they name.
    """

    def __init__(
        self,
        report: PaperReport,
        groups: Mapping[str, Sequence[Group]],
        named: Mapping[str, Mapping[str, Collection[str]]],
    ) -> None:
        super().__init__()
        self.report = report
        self.groups = groups
        self.named = named

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, PaperRead)


class PaperScreen(ChartScreen):
    """One paper; the recipe under the cursor says what is shown below.

    Args:
        slug: the paper's.
    """

    app: ImbtuiApp
    DEFAULT_CSS = """
    PaperScreen > #claim { height: auto; max-height: 4; padding: 0 2; background: $surface; }
    PaperScreen > VerdictTable { height: auto; max-height: 30%; }
    PaperScreen Lines { padding: 0 1; }
    PaperScreen Panes.-wide #numbers { height: auto; max-height: 50%; margin-top: 1; }
    """
    AUTO_FOCUS = "VerdictTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "back", id="paper.back", tooltip="Back to the papers."),
        Binding("r", "run", "run", id="paper.run", tooltip="Run the selected recipe's study; it asks first."),
        Binding(
            "c", "compare", "compare", id="paper.compare", tooltip="Compare the arms of the selected study."
        ),
        Binding(
            "A",
            "chart('all')",
            "all arms",
            show=False,
            id="paper.all",
            tooltip="All arms in the figure, or those that the claims about its metric name.",
        ),
    ]

    def __init__(self, slug: str) -> None:
        super().__init__()
        self.paper = BY_SLUG[slug]
        self._seen: PaperRead | None = None
        self._ids: frozenset[str] = frozenset()

    def compose(self) -> ComposeResult:
        yield Head(self.paper.slug, self.paper.title)
        yield Static(self.paper.claim, id="claim", markup=False)
        yield VerdictTable(COLUMNS)
        yield Panes(
            ["Claims", "Figure", "Numbers"],
            [
                Lines(id="claims"),
                GroupCurves("nothing of this recipe has run yet: r runs it", keyed=True),
                Lines(id="numbers"),
            ],
        )
        yield KeyBar()

    def on_screen_resume(self) -> None:
        self.on_machine_seen()
        self.read()
        self.app.live.poke()

    def wants(self) -> Wants:
        """The curves of the selected study's runs."""
        return Wants(self._ids)

    # What the poller says

    def on_runs_changed(self) -> None:
        self.read()

    def on_rows_arrived(self, message: RowsArrived) -> None:
        if message.run_id in self._ids:
            self._show_figure()

    def read_in_thread(self) -> None:
        try:
            self.post_message(read_paper(self.app, self.paper.slug))
        except Exception as error:  # the screen stays up whatever a damaged file does
            self.app.say_failed("this paper cannot be read", error)
            self.app.call_from_thread(self.was_read)

    def on_paper_read(self, message: PaperRead) -> None:
        self.was_read()
        first, self._seen = self._seen is None, message
        table = self.query_one(VerdictTable)
        table.show([_row(study) for study in message.report.by_interest])
        if first:
            table.select(_likeliest(message.report))
        self._show_study()

    # The recipe under the cursor

    @property
    def _study(self) -> StudyReport | None:
        row = self.query_one(VerdictTable).row
        if row is None or self._seen is None:
            return None
        return next(study for study in self._seen.report.studies if study.name == row["id"])

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self._show_study)

    @on(VerdictTable.Highlighted)
    def _show_study(self) -> None:
        study = self._study
        claims, numbers = self.query_one("#claims", Lines), self.query_one("#numbers", Lines)
        if self._seen is None:
            claims.show([[("reading …", "quiet")]])
            return
        if study is None:
            claims.show([[("No recipe of this paper comes along yet.", "quiet")]])
            return
        groups = self._seen.groups.get(study.name, ())
        self._ids = frozenset(run_id for group in groups for run_id in group.ids)
        heading: Line = [(f"Claims of {study.name}", "strong")]
        claims.show([heading, *claim_lines(study, claims.size.width - 3)])
        found = [number for number in self._seen.report.numbers if number.study == study.name]
        numbers.show(_numbers(study.name, found, numbers.size.width - 3))
        self._show_figure()
        self.app.live.poke()

    def _show_figure(self) -> None:
        study = self._study
        if study is not None and self._seen is not None:
            groups = self._seen.groups.get(study.name, ())
            named = self._seen.named.get(study.name, {})
            main = next(iter(named), "")
            self.query_one(GroupCurves).show(groups, self.app.live.curves, prefer=main, named=named)

    # What is done with it

    @on(VerdictTable.Opened)
    def action_compare(self) -> None:
        study = self._study
        if study is None:
            return
        if not study.variant:
            self.notify("It has not run yet; r runs it.", severity="warning")
            return
        self.app.open_study(study.name, study.variant)

    def action_run(self) -> None:
        study = self._study
        if study is not None:
            self.app.run_study(study.name)


def read_paper(app: ImbtuiApp, slug: str) -> PaperRead:
    """Put together what is known of a paper."""
    from imbtui import store
    from imbtui.report.groups import of_study
    from imbtui.report.papers import report_papers
    from imbtui.report.studies import views_of

    (report,) = report_papers(app.runs, [BY_SLUG[slug]], warn=app.warn)
    wanted = {(study.name, study.variant) for study in report.studies if study.variant}
    records = [r for r in store.studies(app.runs) if (r.get("study"), r.get("variant")) in wanted]
    views = views_of(app.runs, records)
    groups = {str(record["study"]): of_study(record, views) for record in records}
    return PaperRead(report, groups, {str(record["study"]): _named(record) for record in records})


def _named(record: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return the metrics that a study's claims are about, in their order, with the arms they name."""
    from imbtui.verdict import expression

    found: dict[str, set[str]] = {}
    for claim in record.get("claims", []):
        with contextlib.suppress(UserError):  # recorded by another version
            references = expression.parse(str(claim.get("metric"))).references
            arms = _texts([claim.get(key) for key in ("arm", "above", "below", "against", "to")])
            for reference in references:
                found.setdefault(reference.name, set()).update(_texts(reference.arm) or arms)
    return found


def _texts(value: Any) -> set[str]:
    """Return all texts in a value of a claim: an arm, several, or a grid point of one."""
    if isinstance(value, str):
        return {value}
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return {text for part in parts for text in _texts(part)}


def _likeliest(report: PaperReport) -> str:
    """Return the study that one most likely came for: the one run last, else the quick one."""
    submitted = [study for study in report.studies if study.variant]
    return max(submitted, key=lambda s: s.last_run).name if submitted else f"{report.paper.slug}/quick"


def _row(study: StudyReport) -> Row:
    return {
        "id": study.name,
        "runs": _runs(study),
        "verdict": study.verdict if study.says else "" if study.trouble else "no claims",
        "last": text.ago(study.last_run),
        "title": study.trouble or study.title,
    }


def _runs(study: StudyReport) -> str:
    if study.trouble:
        return "broken"
    return study.progress if study.variant else text.plural(study.asked, "run")


def _numbers(study: str, numbers: Sequence[Number], width: int) -> list[Line]:
    """Return what the paper reports beside what was measured, a line a number."""
    heading: Line = [(f"Reported beside measured, {study}", "strong")]
    if not numbers:
        return [heading, [("The recipe states no numbers of the paper.", "quiet")]]
    room = max(16, width - 33)
    lines: list[Line] = [heading, [(f"{'':<{room}}{'reported':>10}{'measured':>22}", "quiet")]]
    for number in numbers:
        first, *more = textwrap.wrap(number.of, room - 1) or [""]
        measured = number.measured_text()
        lines.append(
            [
                (f"{first:<{room}}", "text"),
                (f"{number.reported_text():>10}", "text"),
                (f"{measured:>22}", "good" if number.measured else "quiet"),
            ]
        )
        lines += [[(part, "text")] for part in more]
    if not all(number.verified for number in numbers):
        lines.append([("† from memory, not checked against the paper", "quiet")])
    return lines


build = PaperScreen
