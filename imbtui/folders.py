"""Run folders made whole, changed and put away; `store` reads them.

Each file of a run folder has one writer:

| file | writer |
| --- | --- |
| recipe.toml, submit.json | the submitter, before the folder has its name; later the UI (priority, attempt) |
| state.json | the worker, or `run --here` for its own run |
| stop, notes.toml | the UI |
| log.txt | the trainer's output |
| ranks/<n>.json | rank n |
| env.json, metrics.jsonl, system.jsonl, result.json, ckpt/, artifacts/ | rank 0 |
"""

from __future__ import annotations

import base64
import datetime
import re
import secrets
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imbtui import files, shapes, store
from imbtui.errors import UserError
from imbtui.knobs import main_knobs
from imbtui.paths import RunPaths, RunsPaths, data_root, host

if TYPE_CHECKING:
    from imbtui.recipe import PlannedRun, Study

FORMAT = 1
_BUILDING = ".new-"
_TAG = re.compile(r"[\w.:/@+-]{1,40}")


def now() -> str:
    """Return the time as ISO 8601 in UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def ensure_folder(runs: RunsPaths) -> None:
    """Make the runs folder.

    Raises:
        UserError: it cannot be made or written to.
    """
    try:
        runs.root.mkdir(mode=files.PRIVATE_FOLDER, parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the runs folder cannot be made: {error.strerror}",
            where=str(runs.root),
            hint="Choose one with --runs.",
        ) from None
    # Asking by writing: the superuser and some file systems answer access checks wrongly.
    probe = runs.root / f"{files.TEMPORARY_MARK}{secrets.token_hex(4)}"
    try:
        probe.touch(mode=files.PRIVATE_FILE, exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"the runs folder cannot be written to: {error.strerror}",
            where=str(runs.root),
            hint="Choose another with --runs.",
        ) from None


def create(
    runs: RunsPaths, planned: PlannedRun, *, study: Study, gpus: list[int] | str | None, here: bool
) -> str:
    """Make a run's folder, complete before it appears under its name, and return its id.

    Args:
        planned: the run.
        study: the study it comes from, for source and overrides.
        gpus: only these GPUs, `"cpu"`, or None for any device.
        here: the run belongs to this process and the worker leaves it alone.

    Raises:
        OSError: the disk is full or the folder not writable; nothing is left behind.
    """
    from imbtui.recipe import tables_of, to_toml
    from imbtui.recipe.digest import settings_digest

    run_id = _new_id(planned.arm or planned.study.rsplit("/", 1)[-1], planned.seed)
    launch = planned.recipe.launch
    submit = {
        "format": FORMAT,
        "attempt": 1,
        "priority": 0,
        "order": time.time_ns(),
        "created": now(),
        "host": host(),
        "study": planned.study,
        "variant": planned.variant,
        "title": planned.recipe.title,
        "paper": planned.recipe.paper,
        "arm": planned.arm,
        "point": planned.point,
        "seed": planned.seed,
        "digest": planned.digest,
        "settings": settings_digest(planned.recipe),
        "knobs": main_knobs(tables_of(planned.recipe)),
        "source": study.source,
        "path": str(study.path.absolute()).encode("utf-8", "backslashreplace").decode(),
        "overrides": list(study.overrides),
        "gpus": gpus if gpus is not None else launch.gpus,
        "here": here,
        "data": str(data_root().absolute()),
        "processes": launch.processes,
        "memory": launch.memory,
        "threads": planned.recipe.train.threads,
        "pack": planned.recipe.train.pack,
        "fuse": planned.recipe.train.fuse,
        "retries": launch.retries,
        "grace": launch.grace,
        "executor": "local" if here else launch.executor,
        "slurm": launch.request,
        "pack_key": "|".join(
            str(part)
            for part in (planned.study, planned.variant, launch.processes, planned.recipe.train.threads, gpus)
        ),
    }
    building = runs.root / f"{_BUILDING}{run_id}"
    building.mkdir(mode=files.PRIVATE_FOLDER)
    try:
        paths = RunPaths(building)
        files.write_atomic(paths.recipe, to_toml(planned.recipe))
        files.write_json(paths.submit, submit)
        paths.ranks.mkdir(mode=files.PRIVATE_FOLDER)
        building.replace(runs.root / run_id)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    files.sync_folder(runs.root)
    return run_id


def _new_id(label: str, seed: int) -> str:
    # Base32 has no 0, 1, 8, 9; a letter first keeps ids apart from row numbers.
    while True:
        mark = base64.b32encode(secrets.token_bytes(5)).decode().lower()[:6]
        if mark[0].isalpha():
            return f"{mark}-{slug(label)}-s{seed}"


def slug(text: str, length: int = 24) -> str:
    """Return text as lower-case letters, digits and dashes, at most `length` of them."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:length].rstrip("-") or "run"


def record_study(runs: RunsPaths, study: Study) -> None:
    """Keep what a verdict needs of a study, merged with what earlier submissions of it asked for."""
    runs.studies.mkdir(mode=files.PRIVATE_FOLDER, exist_ok=True)
    path = runs.studies / f"{slug(study.name, 80)}-{study.variant}.json"
    record = {"format": FORMAT, "recorded": now(), **study.record()}
    with files.locked(runs.studies_lock):
        before = files.read_json(path)
        if isinstance(before, dict) and shapes.damaged(before, shapes.STUDY) is None:
            have = {member["digest"] for member in record["members"]}
            record["members"] = [m for m in before.get("members", []) if m["digest"] not in have] + record[
                "members"
            ]
            record["seeds"] = sorted({m["seed"] for m in record["members"]})
        files.write_json(path, record)


def update_submit(run: RunPaths, **changes: Any) -> None:
    """Change keys of submit.json (`priority`, `attempt`); only user-facing commands call this."""
    submit = store.read_submit(run)
    if submit is None:
        raise UserError(store.damage(files.read_json(run.submit)), where=run.id)
    files.write_json(run.submit, submit | changes)


def half_written(runs: RunsPaths) -> list[Path]:
    """Return folders that a killed submitter left, and run folders without a readable submit.json."""
    try:
        entries = sorted(runs.root.iterdir())
    except OSError:
        return []
    return [
        e
        for e in entries
        if e.is_dir()
        and (
            e.name.startswith(_BUILDING) or (e.name[0] != "." and files.read_json(RunPaths(e).submit) is None)
        )
    ]


def remove(runs: RunsPaths, run_id: str) -> Path:
    """Move a run's folder to the trash and return where it lies there."""
    runs.trash.mkdir(mode=files.PRIVATE_FOLDER, exist_ok=True)
    there = runs.trash / f"{run_id}-{time.time_ns():x}"
    runs.run(run_id).root.replace(there)
    return there


def restore(runs: RunsPaths, there: Path) -> str:
    """Take a run's folder back from the trash and return the run's id.

    Raises:
        UserError: it is no longer in the trash, or a run has its name again.
    """
    run_id = there.name.rpartition("-")[0]
    run = runs.run(run_id)
    if run.root.exists():
        raise UserError("there is a run of this name", where=run_id)
    try:
        there.replace(run.root)
    except FileNotFoundError:
        raise UserError("it is no longer in the trash", where=run_id) from None
    return run_id


def check_tag(tag: str) -> None:
    """Make sure that a word can be a tag.

    Raises:
        UserError: it cannot.
    """
    if not _TAG.fullmatch(tag):
        raise UserError(
            f'"{files.printable(tag)}" is not a tag',
            hint="A tag has up to 40 letters, digits and . : / @ + - _, no spaces.",
        )


def write_notes(run: RunPaths, *, tags: Sequence[str], note: str) -> None:
    """Replace a run's tags and note."""
    import tomlkit

    files.write_atomic(run.notes, tomlkit.dumps({"tags": sorted(set(tags)), "note": note}))


def remember_listing(runs: RunsPaths, ids: Sequence[str]) -> None:
    """Keep the rows just listed, so that a row number can name a run. A read-only folder is no error."""
    try:
        files.write_json(runs.listing, list(ids), durable=False)
    except OSError:
        return
