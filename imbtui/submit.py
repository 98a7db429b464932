"""From studies to run folders: what may be asked for, what is there already, what is new.

The command line and the dashboard both submit through here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imbtui import config, files, paths, plugins
from imbtui.errors import UserError
from imbtui.paths import RunsPaths

if TYPE_CHECKING:
    from imbtui.recipe import PlannedRun, Study
    from imbtui.recipe.schema import Recipe

MOST_SEEDS = 10_000
_RANGE = re.compile(r"(\d+)(?:\s*-\s*(\d+))?")


@dataclass(frozen=True)
class Entry:
    """One run that a study asks for, and the run folder that stands for it.

    Attributes:
        status: `new` (to be created, or just created), `reused` (an equal run has finished) or `joined`
            (an equal run is queued or running).
        id: the run; None for a new one that has no folder yet.
    """

    planned: PlannedRun
    study: Study
    status: str
    id: str | None = None


def parse_seeds(text: str) -> list[int]:
    """Return the seeds of `0-4`, `0,2,5` or `0-2,7`.

    Raises:
        UserError: it is none of these, or names no seed.
    """
    seeds: list[int] = []
    for part in (part.strip() for part in text.split(",")):
        if not part:
            continue
        match = _RANGE.fullmatch(part)
        if match is None:
            raise UserError(f'"{part}" is not a seed', where="--seeds", hint="Write 0-4 or 0,2,5.")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise UserError(f'"{part}" counts downwards', where="--seeds", hint=f"Write {last}-{first}.")
        if last >= 2**32:
            raise UserError(f"a seed is below 2**32, not {last}", where="--seeds")
        if len(seeds) + last - first >= MOST_SEEDS:
            raise UserError(f"these are more than {MOST_SEEDS} seeds", where="--seeds")
        seeds += range(first, last + 1)
    if not seeds:
        raise UserError("the list of seeds is empty", where="--seeds", hint="Write 0-4 or 0,2,5.")
    return seeds


def parse_gpus(text: str) -> list[int]:
    """Return the GPU indices of `0,1`; whether they are there is for `check` to say.

    Raises:
        UserError: it is no such list.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() for part in parts):
        raise UserError(f'"{text}" is not a list of GPUs', where="--gpus", hint="Write 0 or 0,1.")
    indices = [int(part) for part in parts]
    if len(set(indices)) != len(indices):
        raise UserError("a GPU is listed twice", where="--gpus")
    return indices


def check_gpus(indices: Sequence[int], *, where: str) -> None:
    """Make sure that GPUs are there.

    Raises:
        UserError: one is not, with those that are.
    """
    from imbtui import gpus

    present = [gpu.index for gpu in gpus.list_gpus()]
    for index in indices:
        if index not in present:
            why = gpus.trouble()
            there = f"There are: {', '.join(map(str, present))}." if present else "There is none here"
            hint = there if present else there + (f" ({why})." if why else ".")
            raise UserError(f"there is no GPU {index}", where=where, hint=f"{hint} --cpu trains on the CPU.")


def check(studies: Sequence[Study], device: list[int] | str | None, *, here: bool = False) -> None:
    """Make sure that the runs of studies can be launched.

    Args:
        device: GPU indices, `"cpu"`, or None for what each recipe says.
        here: they are trained in this process, whatever their recipes say of executors.

    Raises:
        UserError: data is missing, or GPUs are, or SLURM takes no such jobs, or the user's configuration says
            what nobody understands.
    """
    config.load()  # hours later, when a run has ended, the worker could only note it
    asked: set[Any] = set()
    for study in studies:
        for planned in study.runs:
            launch = planned.recipe.launch
            wish = device if device is not None else launch.gpus
            scheduled = launch.executor == "slurm" and not here
            if isinstance(wish, list):
                if not scheduled:
                    check_gpus(wish, where="--gpus" if device is not None else f"{study.path}, launch.gpus")
                if len(wish) < launch.processes:
                    raise UserError(
                        f"{launch.processes} processes need {launch.processes} GPUs, not {len(wish)}",
                        where=str(study.path),
                    )
            if scheduled:
                _check_job(study, planned.recipe, wish, asked)
            check_data(planned.recipe.dataset.name, planned.recipe.dataset.options)


def _check_job(study: Study, recipe: Recipe, device: list[int] | str | None, asked: set[Any]) -> None:
    """Make sure that SLURM takes a run's job; each kind of job is asked for once."""
    from imbtui.launch import Order, Request, slurm

    launch = recipe.launch
    order = Order(
        launch="",
        folders=(),
        log=Path(os.devnull),
        processes=launch.processes,
        threads=recipe.train.threads,
        request=Request.of(launch.request, device),
    )
    kind = (order.processes, order.threads, order.request)
    if kind not in asked:
        asked.add(kind)
        slurm.check(order, where=f"{study.path}, launch.slurm")


def check_data(name: str, options: Mapping[str, Any]) -> None:
    """Make sure that a data set's files are there.

    Raises:
        UserError: they are not, with the folder looked in and the command that fetches them.
    """
    root = paths.data_root()
    if has_data(name, options, root):
        return
    folder = files.printable(str(root))
    if "folder" in options:
        where = files.printable(str(root / str(options["folder"])))
        raise UserError(f"there is no folder {where} with a folder train in it", where="dataset.folder")
    raise UserError(f'the data set "{name}" was not found under {folder}', hint=how_to_get(name))


def how_to_get(name: str) -> str:
    """Return how a data set comes under the data root: the command, or what its `OBTAIN` says."""
    by_hand = plugins.literal("dataset", name, "OBTAIN")
    return f"Get it with: imbtui data get {name}" if by_hand is None else str(by_hand)


def has_data(name: str, options: Mapping[str, Any], root: Path) -> bool:
    """Whether a data set's files are under the data root, in the form that the options ask for.

    Nothing is imported: the plug-in's `FILES` lists groups of files, any one of which suffices, and
    `FORMS`, where there is one, the value of the option `form` that asks for each.
    """
    if plugins.is_outside(name):
        return True
    if "folder" in options:
        return (root / str(options["folder"]) / "train").is_dir()
    groups = plugins.literal("dataset", name, "FILES", ())
    forms = plugins.literal("dataset", name, "FORMS", ())
    if options.get("form") in forms:
        groups = (groups[forms.index(options["form"])],)
    return not groups or any(all((root / file).is_file() for file in group) for group in groups)


def plan(runs: RunsPaths, studies: Sequence[Study], *, rerun: bool = False) -> list[Entry]:
    """Return what submitting studies would do; nothing is created.

    Runs of equal digest compute the same. Only the first of several is new; one that has finished is
    reused and one that is under way is joined.

    Args:
        rerun: make every run anew.
    """
    from imbtui import index

    finished: dict[str, str] = {}
    active: dict[str, str] = {}
    if not rerun:
        for row in index.query(runs):
            digest = row.get("digest", "")
            if row["state"] == "finished":
                finished.setdefault(digest, row["id"])
            elif row["state"] == "running" or (row["state"] == "queued" and not row.get("here")):
                active.setdefault(digest, row["id"])
    entries = []
    for study in studies:
        for planned in study.runs:
            if planned.digest in finished:
                entries.append(Entry(planned, study, "reused", finished[planned.digest]))
            else:
                known = active.get(planned.digest)
                entries.append(Entry(planned, study, "new" if known is None else "joined", known))
    return entries


def submit(
    runs: RunsPaths, entries: Sequence[Entry], *, device: list[int] | str | None = None, here: bool = False
) -> list[Entry]:
    """Create the new ones among planned runs and record their studies; return all entries with their ids.

    Args:
        entries: from `plan`.
        device: GPU indices, `"cpu"`, or None for what each recipe says.
        here: the runs belong to this process and not to the worker.

    Raises:
        UserError: the runs folder cannot be written to, or the disk is full.
    """
    from imbtui import folders, index

    folders.ensure_folder(runs)
    done: list[Entry] = []
    created: dict[str, str] = {}
    try:
        for study in {id(entry.study): entry.study for entry in entries}.values():
            folders.record_study(runs, study)
        for entry in entries:
            if entry.id is not None:
                done.append(entry)
                continue
            digest = entry.planned.digest
            if digest not in created:
                created[digest] = folders.create(
                    runs, entry.planned, study=entry.study, gpus=device, here=here
                )
            done.append(replace(entry, id=created[digest]))
        index.sync(runs, created.values())
    except (OSError, TimeoutError) as error:
        made = f" after {len(created)} of its runs were queued" if created else ""
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"this could not be submitted{made}: {reason}", where=str(runs.root)) from error
    return done
