"""Runs as their folders tell them: found, and read as `RunView`, their state computed and never trusted."""

from __future__ import annotations

import functools
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imbtui import files, metrics, shapes
from imbtui.errors import UserError
from imbtui.jobs import Job
from imbtui.paths import RunPaths, RunsPaths
from imbtui.processes import Identity

ACTIVE = ("queued", "running")
ENDS = ("finished", "stopped", "failed")  # what a trainer can say of itself
SLURM = "SLURM"  # as a device: which one is SLURM's to say
_SEEDS = re.compile(r"^seeds = \[(\d{1,10})\]\n", re.MULTILINE)


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        stage: name of the stage under way; empty before the first row.
        step, steps: steps done and in the stage (0: unknown).
        epoch, epochs: likewise.
        stages_done, stages: whole stages done, and how many there are.
    """

    stage: str = ""
    step: int = 0
    steps: int = 0
    epoch: float = 0
    epochs: int = 0
    stages_done: int = 0
    stages: int = 1

    @classmethod
    def of(cls, row: Mapping[str, Any], env: Mapping[str, Any]) -> Progress:
        """Return the progress that the newest metrics row means, given the run's env.json."""
        steps = env.get("steps") or 0
        epochs = -(-steps // (env.get("steps_per_epoch") or 1))
        names = env.get("stages") or ["train"]
        stage = str(row.get("stage", ""))
        return cls(
            stage=stage,
            step=row.get("step", 0),
            steps=steps,
            epoch=row.get("epoch", 0),
            epochs=epochs,
            stages_done=names.index(stage) if stage in names else 0,
            stages=len(names),
        )

    @property
    def share(self) -> float:
        """Share of the whole run that is done, in [0, 1]."""
        within = min(1.0, self.step / self.steps) if self.steps else 0.0
        return (self.stages_done + within) / self.stages


@dataclass(frozen=True)
class RunView:
    """One run as its folder tells it now."""

    path: RunPaths
    state: str
    reason: str = ""
    submit: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    gpus: tuple[int, ...] = ()
    started: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""
    job: Job | None = None

    @property
    def id(self) -> str:
        return self.path.id

    @property
    def study(self) -> str:
        return self.submit.get("study", "")

    @property
    def variant(self) -> str:
        return self.submit.get("variant", "")

    @property
    def title(self) -> str:
        return self.submit.get("title", "")

    @property
    def paper(self) -> str:
        return self.submit.get("paper", "")

    @property
    def arm(self) -> str | None:
        return self.submit.get("arm")

    @property
    def point(self) -> Mapping[str, Any]:
        return self.submit.get("point", {})

    @property
    def seed(self) -> int:
        return self.submit.get("seed", 0)

    @property
    def digest(self) -> str:
        return self.submit.get("digest", "")

    @property
    def attempt(self) -> int:
        return self.submit.get("attempt", 1)

    @property
    def priority(self) -> int:
        return self.submit.get("priority", 0)

    @property
    def knobs(self) -> Mapping[str, Any]:
        """What mostly makes its recipe, see `imbtui.knobs`; empty for runs of older versions."""
        return self.submit.get("knobs") or {}

    @property
    def device(self) -> str:
        """Where it trains or trained, as it was placed: `CPU`, `GPU 0,1`, `SLURM`; empty before that."""
        if not self.started:
            return ""
        if self.job is not None:
            return SLURM
        return f"GPU {','.join(map(str, self.gpus))}" if self.gpus else "CPU"

    @property
    def order(self) -> int:
        return self.submit.get("order", 0)

    @property
    def created(self) -> str:
        return self.submit.get("created", "")

    @property
    def host(self) -> str:
        return self.submit.get("host", "")

    @property
    def executor(self) -> str:
        """Where it is launched: `local` or `slurm`."""
        return self.submit.get("executor", "local")

    @property
    def here(self) -> bool:
        """Whether the run belongs to `run --here` instead of the worker."""
        return bool(self.submit.get("here", False))

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Last values by name; empty until the run has ended."""
        return self.result.get("metrics", {})

    @property
    def best(self) -> Mapping[str, Any]:
        """Values at the best validation epoch, with `selected_on`; empty without a validation split."""
        return self.result.get("best") or {}

    @property
    def seconds(self) -> float | None:
        return self.result.get("seconds")

    @property
    def steps(self) -> int | None:
        return self.result.get("steps")

    @property
    def epochs(self) -> int | None:
        return self.result.get("epochs")

    @property
    def fit_epoch(self) -> int | None:
        """First epoch with training error 0."""
        return self.result.get("fit_epoch")

    @functools.cached_property
    def recipe(self) -> dict[str, Any]:
        """The resolved recipe's tables; empty when the file is damaged."""
        try:
            text = self.path.recipe.read_text(encoding="utf-8")
        except (OSError, ValueError):
            return {}
        # Runs of a study differ in this line only, and parsing is most of what listing thousands costs.
        seeds = _SEEDS.search(text, 0, text.find("\n[") + 1)
        if seeds is None:
            return _tables(text)
        tables = _tables(text[: seeds.start()] + text[seeds.end() :])
        return tables | {"seeds": [int(seeds[1])]} if tables else {}

    @functools.cached_property
    def env(self) -> dict[str, Any]:
        """Git commit, versions and hardware, as rank 0 found them."""
        return shapes.cleaned(files.read_json(self.path.env), shapes.ENV)

    @functools.cached_property
    def last_row(self) -> dict[str, Any]:
        """The newest whole row of metrics.jsonl."""
        for line in reversed(files.last_lines(self.path.metrics, 4)):
            if (row := metrics.parse_row(line.encode())) is not None:
                return row
        return {}

    @property
    def progress(self) -> Progress:
        """How far the run has come, by its newest metrics row."""
        return Progress.of(self.last_row, self.env)


@functools.lru_cache(maxsize=256)
def _tables(text: str) -> dict[str, Any]:
    """Return the tables of a resolved recipe, which nobody may change; empty when it is damaged."""
    try:
        return shapes.cleaned(tomllib.loads(text), shapes.RECIPE)
    except (ValueError, RecursionError):
        return {}


def studies(runs: RunsPaths, *, warn: Callable[[str], None] = lambda sentence: None) -> list[dict[str, Any]]:
    """Return the records of all studies that were submitted here, oldest first.

    A damaged one is left out: a verdict over the part that can be read would be one on another study.

    Args:
        warn: takes a sentence about each that is damaged.
    """
    records: list[dict[str, Any]] = []
    # They say to the second when they were recorded: of two in one second the files tell which came first.
    for path in sorted(runs.studies.glob("*.json"), key=_written):
        record = files.read_json(path)
        key = shapes.damaged(record, shapes.STUDY) if isinstance(record, dict) else ""
        if isinstance(record, dict) and key is None:
            records.append(record)
        else:
            what = f"holds no usable {key}" if key else "cannot be read"
            name = files.printable(f"{path.parent.name}/{path.name}")
            warn(f"{name} {what}: that study is left out until it is run again, which reuses its runs")
    return sorted(records, key=lambda record: record.get("recorded", ""))


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def list_ids(runs: RunsPaths) -> list[str]:
    """Return the ids of all run folders, in no order."""
    try:
        with os.scandir(runs.root) as entries:
            return [e.name for e in entries if not e.name.startswith(".") and e.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def read(run: RunPaths) -> RunView:
    """Return a run as its folder tells it now. A damaged folder is a crashed run, never an exception."""
    submit = files.read_json(run.submit)
    damaged = damage(submit)
    submit = shapes.cleaned(submit, shapes.SUBMIT)
    attempt = submit.get("attempt", 1)
    tags, note = read_notes(run)
    result = shapes.cleaned(files.read_json(run.result), shapes.RESULT)
    state = shapes.cleaned(files.read_json(run.state), shapes.STATE)
    view: dict[str, Any] = {"submit": submit, "tags": tags, "note": note}
    if damaged:
        return RunView(run, "crashed", damaged, result=result, **view)
    if state.get("attempt") == attempt:
        view |= {"gpus": tuple(state.get("gpus", ())), "started": state.get("at", "")}
        view |= {"job": Job.from_json(state)}
    if _is_of(result, attempt):
        return RunView(run, result["state"], _phrase(result.get("reason")), result=result, **view)
    computed, reason = _state(run, state, attempt)
    if computed not in ACTIVE:
        # The values of the attempt before are still the newest there are.
        view["result"] = result
    return RunView(run, computed, reason, **view)


def read_submit(run: RunPaths) -> dict[str, Any] | None:
    """Return a run's submit.json, or None when it is missing or holds what no submitter writes."""
    submit = files.read_json(run.submit)
    return None if damage(submit) else submit


def damage(submit: Any) -> str:
    """Return what makes a submit.json unusable, as a phrase; empty when nothing does."""
    if not isinstance(submit, dict):
        return "damaged: submit.json is missing or unreadable"
    key = shapes.damaged(submit, shapes.SUBMIT)
    return f"damaged: submit.json holds no usable {key}" if key else ""


def _is_of(result: Mapping[str, Any], attempt: int) -> bool:
    """Whether a result.json is that of an attempt."""
    return result.get("attempt") == attempt and result.get("state") in ENDS


def _state(run: RunPaths, state: Mapping[str, Any], attempt: int) -> tuple[str, str]:
    known = state if state.get("attempt") == attempt else {}
    if known.get("state") == "ended":
        return ("stopped" if known.get("how") == "stopped" else "crashed"), _phrase(known.get("reason"))
    job = Job.from_json(known)
    if job is not None:
        # Where it runs no process can be seen from here: it is what SLURM said, or a rank since then.
        begun = registered(run, attempt, restart=job.restarts)
        return ("running" if begun and not job.waiting else "queued"), job.says
    ranks = registered(run, attempt)
    if any(rank.alive() for rank in ranks):
        return "running", ""
    strangers = {rank.host for rank in ranks if not rank.local}
    if strangers:
        return "running", _phrase(f"on {', '.join(sorted(strangers))}, as far as can be told from here")
    if ranks:
        # The result is written before a rank leaves, so it is looked for once more.
        late = shapes.cleaned(files.read_json(run.result), shapes.RESULT)
        if _is_of(late, attempt):
            return late["state"], _phrase(late.get("reason"))
        return "crashed", "its process is gone"
    if not known and stop_asked(run, attempt):
        return "stopped", ""  # nothing was launched, and whoever might still do so looks for this first
    launcher = Identity.from_json(known)
    return "queued", "starting" if launcher is not None and launcher.alive() else ""


def stop_asked(run: RunPaths, attempt: int) -> bool:
    """Whether the run's stop file means this attempt; an empty file means whichever is current."""
    try:
        text = run.stop.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return False
    return text in ("", str(attempt))


def registered(run: RunPaths, attempt: int, *, restart: int = 0) -> list[Identity]:
    """Return the processes that registered themselves as ranks of this attempt.

    Args:
        restart: only those since a scheduler put the launch back into its queue so many times.
    """
    found = []
    try:
        entries = sorted(run.ranks.glob("*.json"))
    except OSError:
        return []
    for path in entries:
        document = shapes.cleaned(files.read_json(path), shapes.RANK)
        if document.get("attempt") == attempt and document.get("restart", 0) >= restart:
            identity = Identity.from_json(document)
            if identity is not None:
                found.append(identity)
    return found


def _phrase(text: Any) -> str:
    return files.printable(str(text)) if text else ""


def read_notes(run: RunPaths) -> tuple[tuple[str, ...], str]:
    """Return a run's tags and note."""
    try:
        document = shapes.cleaned(tomllib.loads(run.notes.read_text(encoding="utf-8")), shapes.NOTES)
    except (OSError, ValueError, RecursionError):
        return (), ""
    return tuple(document.get("tags", ())), document.get("note", "")


def resolve(runs: RunsPaths, reference: str) -> RunView:
    """Return the run that a user means: an id, its prefix, a row of the last listing, @last or @~1.

    Raises:
        UserError: none or several match.
    """
    return read(runs.run(_resolve_id(runs, reference)))


def _resolve_id(runs: RunsPaths, reference: str) -> str:
    ids = list_ids(runs)
    if reference in ids:
        return reference
    back = re.fullmatch(r"@(?:last|~(\d+))", reference)
    if back:
        ordered = sorted(ids, key=lambda i: (read(runs.run(i)).order, i), reverse=True)
        position = int(back[1] or 0)
        if position >= len(ordered):
            there = f"only {len(ordered)} runs" if ordered else "no runs"
            raise UserError(f"there are {there} in {runs.root}", where=reference)
        return ordered[position]
    if reference.isdigit():
        listing = files.read_json(runs.listing) or []
        row = int(reference)
        if 1 <= row <= len(listing) and listing[row - 1] in ids:
            return listing[row - 1]
        raise UserError(
            f"the last listing has no row {row}", where=reference, hint="`imbtui ls` lists the runs."
        )
    matches = sorted(i for i in ids if i.startswith(reference)) if reference else []
    if len(matches) == 1:
        return matches[0]
    if matches:
        shown = ", ".join(files.printable(m) for m in matches[:4]) + (", ..." if len(matches) > 4 else "")
        raise UserError(
            f"{len(matches)} runs start like this: {shown}", where=reference, hint="Give more letters."
        )
    raise UserError("no run has this id", where=reference or '""', hint="`imbtui ls` lists the runs.")
