"""The sixteen papers: how much of each has run, its numbers beside ours, its verdict so far."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen

from imbtui import text
from imbtui.papers import PAPERS
from imbtui.tui.dialogs.choose import Choice, Choose
from imbtui.tui.messages import Row
from imbtui.tui.verdict_lines import STYLES, claim_lines
from imbtui.tui.widgets.head import Head
from imbtui.tui.widgets.key_bar import KeyBar
from imbtui.tui.widgets.lines import Line, Lines
from imbtui.tui.widgets.table import Column
from imbtui.tui.widgets.verdict_table import VerdictTable

if TYPE_CHECKING:
    from imbtui.report.papers import PaperReport
    from imbtui.tui.app import ImbtuiApp

KEY = "P"
TITLE = "Papers"

READING = "reading …"
REST = 2.0  # seconds between two looks at the papers while runs end one after another


class PapersRead(Message, bubble=False):
    """What is known of the papers was put together in a thread: of the first few, or of all that can be."""

    def __init__(self, reports: Sequence[PaperReport], *, done: bool = False) -> None:
        super().__init__()
        self.reports = reports
        self.done = done

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, PapersRead)


COLUMNS: tuple[Column, ...] = (
    Column("paper", "paper", 13, lambda r: r["id"], style="table--strong"),
    Column("verdict", "verdict", 12, lambda r: r["verdict"]),
    Column("held", "held", 8, lambda r: r["held"], right=True),
    Column("runs", "runs", 0, lambda r: r["runs"], style="table--quiet", least=9),
    Column("last", "last run", 8, lambda r: r["last"], style="table--quiet", needs=100, right=True),
    # Numbers mean something beside what they are of; where there is no room, they stand below.
    Column("reported", "reported", 8, lambda r: r["reported"], needs=170, right=True),
    Column("measured", "measured", 15, lambda r: r["measured"], needs=170, right=True),
    Column("of", "of", 0, lambda r: r["of"], style="table--quiet", needs=170),
    Column("gist", "claim", 0, lambda r: r["gist"], fills=True),
)


class Papers(Screen[None]):
    """A line a paper; below it the claim of the one under the cursor."""

    app: ImbtuiApp
    DEFAULT_CSS = """
    Papers > VerdictTable { height: auto; max-height: 75%; }
    Papers > Lines { height: 1fr; padding: 0 2; border-top: solid $foreground 15%; }
    """
    AUTO_FOCUS = "VerdictTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "back", id="papers.back", tooltip="Back."),
        Binding("r", "run", "run", id="papers.run", tooltip="Run one of its recipes; it asks first."),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._reports: dict[str, PaperReport] = {}
        self._reading = False
        self._again = False

    def compose(self) -> ComposeResult:
        yield Head("Papers")
        yield VerdictTable(COLUMNS)
        about = Lines()
        about.can_focus = False
        yield about
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(VerdictTable).show([_unread(paper.slug, paper.gist) for paper in PAPERS])

    def on_screen_resume(self) -> None:
        self.on_machine_seen()
        self._read()

    # What the poller says

    def on_machine_seen(self) -> None:
        head = self.query_one(Head)
        head.machine(self.app.live.machine)
        head.runs(self.app.live.counts)

    def on_runs_changed(self) -> None:
        self._read()

    def _read(self) -> None:
        """Put together anew what is known, unless that is under way; then once more after it."""
        self._again = self._reading
        if not self._reading:
            self._reading = True
            self.run_worker(self._read_it, thread=True, group="read", exit_on_error=False)

    def _read_it(self) -> None:
        from imbtui.report.papers import each_paper

        reports: list[PaperReport] = []
        try:
            for report in each_paper(self.app.runs, warn=self.app.warn):
                reports.append(report)
                self.post_message(PapersRead(tuple(reports)))
        except Exception as error:  # the screen stays up whatever a damaged file does
            self.app.say_failed("the papers cannot be read", error)
        finally:
            self.post_message(PapersRead(tuple(reports), done=True))

    def on_papers_read(self, message: PapersRead) -> None:
        self._reports |= {report.paper.slug: report for report in message.reports}
        reports = [(paper, self._reports.get(paper.slug)) for paper in PAPERS]
        unread = "not read" if message.done else READING
        self.query_one(VerdictTable).show(
            [_row(report) if report else _unread(paper.slug, paper.gist, unread) for paper, report in reports]
        )
        self._show_about()
        if message.done:
            self._reading = False
            if self._again:
                self.set_timer(REST, self._read)

    # The paper under the cursor

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self._show_about)

    @on(VerdictTable.Highlighted)
    def _show_about(self) -> None:
        lines = self.query_one(Lines)
        row = self.query_one(VerdictTable).row
        if row is not None:
            paper = next(paper for paper in PAPERS if paper.slug == row["id"])
            width = max(20, self.size.width - 6)
            report = self._reports.get(paper.slug)
            shown: list[Line] = [[(part, "strong")] for part in textwrap.wrap(paper.title, width)]
            if report is not None:
                shown += _headline(report, width)
            shown += [[(part, "text")] for part in textwrap.wrap(paper.claim, width)]
            if report is not None:
                shown += _studies(report, width)
            lines.show(shown)

    @on(VerdictTable.Opened)
    def _opened(self, event: VerdictTable.Opened) -> None:
        self.app.open_paper(event.row["id"])

    def action_run(self) -> None:
        row = self.query_one(VerdictTable).row
        report = self._reports.get(row["id"]) if row else None
        if report is None:
            return
        if not report.recipes:
            self.notify("This paper has no recipe yet.", severity="warning")
            return
        first = f"{report.paper.slug}/quick"
        if len(report.recipes) == 1:
            self.app.run_study(report.recipes[0])
            return
        abouts = {study.name: study.title or study.trouble for study in report.studies}
        choices = [Choice(name, abouts.get(name, "")) for name in report.recipes]
        self.app.push_screen(Choose("Which recipe shall run?", choices, current=first), self._chosen)

    def _chosen(self, name: str | None) -> None:
        if name is not None:
            self.app.run_study(name)


def _unread(slug: str, gist: str, why: str = READING) -> Row:
    empty = dict.fromkeys(("held", "reported", "measured", "of", "last"), "")
    return {"id": slug, "gist": gist, "verdict": "", "runs": why, **empty}


def _row(report: PaperReport) -> Row:
    number = report.headline
    return {
        "id": report.paper.slug,
        "gist": report.paper.gist,
        "verdict": report.verdict if report.studies else "–",
        "held": report.held or "–",
        "runs": report.progress if report.studies else "no recipe",
        "reported": number.reported_text() if number else "–",
        "measured": number.measured.text() if number and number.measured else "–",
        "of": number.of if number else "",
        "last": text.ago(report.last_run) or "–",
    }


def _headline(report: PaperReport, width: int) -> list[Line]:
    """Return the number that stands for a paper, beside what was measured, and what it is of."""
    number = report.headline
    if number is None:
        return []
    figures: Line = [
        ("reported ", "quiet"),
        (number.reported_text(), "text"),
        ("   measured ", "quiet"),
        (number.measured_text() if number.measured else "not yet", "good" if number.measured else "quiet"),
    ]
    of = number.of + ("" if number.verified else "   † from memory")
    if sum(len(part) for part, _ in figures) + 3 + len(of) <= width:
        return [[*figures, (f"   {of}", "quiet")]]
    return [figures, [(of, "quiet")]]


def _studies(report: PaperReport, width: int) -> list[Line]:
    """Return each study that was submitted with its claims; then the recipes that can be run."""
    if not report.studies:
        return [[("", "text")], [("No recipe of it comes along yet.", "quiet")]]
    lines: list[Line] = []
    waiting = [study for study in report.by_interest if not study.variant]
    for study in report.by_interest:
        if study.variant:
            lines += [
                [("", "text")],
                [
                    (study.name, "accent"),
                    (f"   {study.progress}   ", "quiet"),
                    (study.verdict, STYLES.get(study.verdict, "text")),
                ],
                *claim_lines(study, width),
            ]
    if waiting:
        name = max(len(study.name) for study in waiting) + 2
        lines += [[("", "text")], [("Not run yet; r runs one", "quiet")]]
        for study in waiting:
            runs = "broken" if study.trouble else text.plural(study.asked, "run")
            lines.append(
                [(f"{study.name:<{name}}", "accent"), (f"{runs:<10}", "quiet"), (study.title, "text")]
            )
    return lines


build = Papers
