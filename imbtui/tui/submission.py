"""Checking and launching what a form says, through the same functions as `imbtui run`.

The functions take time and are called in threads.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imbtui import text
from imbtui.errors import UserError
from imbtui.paths import RunsPaths
from imbtui.recipe import Study, find, load_study, name_of, parse_study
from imbtui.recipe.study import read_text
from imbtui.text import duration, plural
from imbtui.tui.form import DEVICES, RERUN, SEEDS, Form

if TYPE_CHECKING:
    from imbtui.recipe.schema import Recipe
    from imbtui.submit import Entry

MOST_COMPARED = 64  # runs that are compared with finished ones while the user types


@dataclass(frozen=True)
class Request:
    """A form at one moment."""

    form: Form
    edits: dict[str, str]
    assignments: tuple[str, ...]

    @classmethod
    def of(cls, form: Form) -> Request:
        """Return what a form says now."""
        return cls(form, dict(form.edits), tuple(form.assignments()))


@dataclass(frozen=True)
class Resolved:
    """The recipe of one arm and grid point with all defaults filled in, for the first seed."""

    title: str
    recipe: Recipe

    @property
    def toml(self) -> str:
        """Its text; made when it is asked for, since a study may have many."""
        from imbtui.recipe import to_toml

        return to_toml(self.recipe)


@dataclass(frozen=True)
class Checked:
    """What came of checking a form.

    Attributes:
        sentence: how many runs there would be; or what is wrong.
        wrong: whether it is the latter.
        key: dotted key that is wrong, where that is known.
        warnings: what is allowed but odd.
        resolved: what would run; empty when something is wrong.
    """

    sentence: str
    wrong: bool = False
    key: str = ""
    warnings: tuple[str, ...] = ()
    resolved: tuple[Resolved, ...] = ()


def read_form(name: str) -> Form:
    """Read a recipe and return its form.

    Raises:
        UserError: the recipe is not in order.
    """
    path = find(name)
    here = Path.cwd()
    if here in path.parents:
        path = path.relative_to(here)  # as one would type it; sentences begin with it
    load_study(path)
    return Form(read_text(path), path, name_of(path))


def check(runs: RunsPaths, request: Request) -> Checked:
    """Say what launching would do, in the sentences of the command line."""
    from imbtui import submit

    key = ""
    try:
        key = SEEDS
        chosen = _seeds(request)
        key = DEVICES
        device = _device(request)
        key = ""
        # Seeds differ in nothing that could be wrong: one is checked, which keeps large studies quick.
        seeds = request.form.seeds if chosen is None else chosen
        study = _study(request, seeds[:1] or None)
        submit.check([study], device)
        count = len(study.runs) * len(seeds)
        sentence = _product(study, len(seeds), count)
        if count <= MOST_COMPARED and request.edits.get(RERUN) != "true":
            entries = submit.plan(runs, [_study(request, chosen)])
            sentence += _known(entries) + estimate(runs, entries, device)
    except UserError as error:
        place = DEVICES if error.where == "--gpus" else error.where.rpartition(", ")[2]
        return Checked(str(error), wrong=True, key=key or place)
    return Checked(sentence, warnings=study.warnings, resolved=_resolved(study))


def launch(runs: RunsPaths, request: Request) -> list[tuple[str, str]]:
    """Queue the runs, start the worker, and return sentences about it.

    Raises:
        UserError: something is wrong; nothing was created.
    """
    from imbtui import submit, worker
    from imbtui.verdict import check_claims

    device = _device(request)
    study = _study(request, _seeds(request))
    check_claims(study.record())
    submit.check([study], device)
    planned = submit.plan(runs, [study], rerun=request.edits.get(RERUN) == "true")
    entries = submit.submit(runs, planned, device=device)
    if any(entry.status != "reused" for entry in entries):
        worker.ensure(runs)
    new = len({entry.planned.digest for entry in entries if entry.status == "new"})
    if new == 0:
        return [(f"nothing new to train{_known(entries)}", "warning")]
    return [(f"{plural(new, 'run')} queued{_known(entries)}", "information")]


def estimate(runs: RunsPaths, entries: Sequence[Entry], device: list[int] | str | None) -> str:
    """Return about how long new runs take, by what runs like them took: `; about 2 min, two at a time`.

    Runs like one are those of its arm in its study, else those with its data set, model and length; an arm's
    runs of another length count in proportion.

    Args:
        device: GPU indices, `"cpu"`, or None for what each recipe says.
    """
    from imbtui import index, queue
    from imbtui.knobs import main_knobs
    from imbtui.recipe import tables_of

    new = {entry.planned.digest: entry.planned for entry in entries if entry.status == "new"}
    if not new:
        return ""
    of_arm: dict[Any, list[float]] = {}
    alike: dict[Any, list[float]] = {}
    for row in index.query(runs):
        knobs, seconds = row.get("knobs") or {}, row.get("seconds")
        if row["state"] == "finished" and seconds and knobs:
            length = _length(knobs)
            of_arm.setdefault((row["study"], row.get("arm")), []).append(seconds / length)
            alike.setdefault(_likeness(knobs), []).append(seconds / length)
    total, unknown, seen = 0.0, 0, 0
    for planned in new.values():
        knobs = main_knobs(tables_of(planned.recipe))
        known = of_arm.get((planned.study, planned.arm)) or alike.get(_likeness(knobs))
        if known:
            seen = max(seen, len(known))
            total += statistics.median(known) * _length(knobs)
        else:
            unknown += 1
    if unknown == len(new):
        return "; no earlier run tells how long they take"
    if any(planned.recipe.launch.executor == "slurm" for planned in new.values()):
        return f"; about {duration(total)} in all, by earlier runs, in as many jobs as SLURM runs at once"
    settings = queue.settings(runs)
    at_once = (settings.slots or queue.default_slots()) if not isinstance(device, list) else len(device)
    at_once = max(1, min(at_once, len(new)))
    rest = f", and {plural(unknown, 'run')} of unknown length" if unknown else ""
    beside = f", {at_once} at a time" if at_once > 1 else ""
    return f"; about {duration(total / at_once)}{beside}{rest}, by earlier runs"


def _length(knobs: Mapping[str, Any]) -> float:
    length = knobs.get("train.epochs") or knobs.get("train.steps") or 1
    return float(length) if isinstance(length, int | float) and length > 0 else 1.0


def _likeness(knobs: Mapping[str, Any]) -> tuple[Any, ...]:
    return knobs.get("dataset.name"), knobs.get("model.name"), "train.steps" in knobs


def previews(request: Request) -> tuple[Resolved, ...]:
    """Return what would run.

    Raises:
        UserError: something in the form is wrong.
    """
    return _resolved(_study(request, (_seeds(request) or request.form.seeds)[:1]))


def _resolved(study: Study) -> tuple[Resolved, ...]:
    found = []
    for run in study.runs:
        parts = [run.arm or "", text.point(run.point) if run.point else "", f"seed {run.seed}"]
        found.append(Resolved("   ".join(part for part in parts if part), run.recipe))
    return tuple(found)


def save(request: Request, name: str) -> str:
    """Write a form as a recipe into ./recipes and return where.

    Raises:
        UserError: the name is none, there is such a recipe, or something in the form is wrong.
    """
    from imbtui import files
    from imbtui.tui.recipe_text import recipe_text

    path = check_name(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomic(path, recipe_text(request.form))
    except OSError as error:
        raise UserError(f"it cannot be written: {error.strerror}", where=str(path)) from None
    return str(path)


def check_name(name: str) -> Path:
    """Return the file that a recipe of this name is written to.

    Raises:
        UserError: it is no name, or there is such a file.
    """
    name = name.strip().removesuffix(".toml")
    if not re.fullmatch(r"[\w-]+(?:/[\w-]+)*", name):
        raise UserError(f'"{name}" is not a name for a recipe', hint="Write letters, digits, - and _.")
    path = Path("recipes") / f"{name}.toml"
    if path.exists():
        raise UserError("there is such a recipe", where=str(path), hint="Choose another name.")
    return path


def _study(request: Request, seeds: list[int] | None) -> Study:
    form = request.form
    return parse_study(form.source, form.path, name=form.name, assignments=request.assignments, seeds=seeds)


def _seeds(request: Request) -> list[int] | None:
    from imbtui import submit

    chosen = request.edits.get(SEEDS)
    return None if chosen is None else submit.parse_seeds(chosen)


def _device(request: Request) -> list[int] | str | None:
    from imbtui import submit

    chosen = request.edits.get(DEVICES)
    if chosen is None or chosen == "cpu":
        return chosen
    if chosen == "any":
        raise UserError("the recipe itself names its devices", where="devices", hint="Write cpu or 0,1.")
    return submit.parse_gpus(chosen)


def _product(study: Study, seeds: int, count: int) -> str:
    """Return how the number of runs comes about: `9 runs: 3 arms x 3 seeds`."""
    points = len({str(run.point) for run in study.runs})
    parts = []
    if len(study.arms) > 1:
        parts.append(plural(len(study.arms), "arm"))
    if points > 1:
        parts.append(plural(points, "grid point"))
    parts.append(plural(seeds, "seed"))
    return plural(count, "run") + (": " + " × ".join(parts) if len(parts) > 1 else "")


def _known(entries: Sequence[Entry]) -> str:
    """Return what of the runs needs no training: `; 2 finished before, reused`."""
    states = [entry.status for entry in entries]
    parts = []
    same = states.count("new") - len({e.planned.digest for e in entries if e.status == "new"})
    if same:
        parts.append(f"{same} the same as another of them, trained once")
    if states.count("reused"):
        parts.append(f"{states.count('reused')} finished before, reused")
    if states.count("joined"):
        parts.append(f"{states.count('joined')} under way already")
    return "".join(f"; {part}" for part in parts)
