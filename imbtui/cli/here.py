"""Training in this process: no worker, no launcher, breakpoints work."""

from __future__ import annotations

import os
import secrets
import signal
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from imbtui import index, store, submit
from imbtui.cli.live import Lines
from imbtui.cli.records import outcome
from imbtui.cli.watch import Watched
from imbtui.paths import RunPaths, RunsPaths
from imbtui.processes import Identity
from imbtui.worker import states

TELL_EVERY = 5.0  # seconds


def run_here(
    runs: RunsPaths, entries: Sequence[submit.Entry], *, device: list[int] | str | None, quiet: bool
) -> tuple[list[submit.Entry], bool]:
    """Train the new ones among planned runs one after another; return all entries and whether Ctrl-C came.

    Each run gets its folder just before it starts, so that one that is never reached leaves nothing behind.
    Ctrl-C stops the run under way after a checkpoint; a second one raises KeyboardInterrupt.

    Args:
        device: GPU indices, `"cpu"`, or None for what each recipe says.
        quiet: keep stdout free for results.
    """
    _choose_devices(device, entries)
    from imbtui.engine import session

    lines = Lines(stderr=quiet)
    flag = _catch_stop()
    provenance: dict[str, Any] | None = None
    done: list[submit.Entry] = []
    made: dict[str, str] = {}
    for entry in entries:
        if entry.id is None and entry.planned.digest in made:
            entry = replace(entry, id=made[entry.planned.digest])
        if entry.id is None and not flag:
            entry = submit.submit(runs, [entry], device=device, here=True)[0]
            assert entry.id is not None
            made[entry.planned.digest] = entry.id
            provenance = provenance or session.provenance(Path(entry.study.path).absolute().parent)
            _train(runs.run(entry.id), flag, provenance, device, lines)
            index.sync(runs, [entry.id])
        done.append(entry)
    return done, bool(flag)


def _train(
    run: RunPaths,
    flag: list[int],
    provenance: dict[str, Any],
    device: list[int] | str | None,
    lines: Lines,
) -> None:
    from imbtui.engine import session

    attempt = session.attempt_of(run)
    gpus = tuple(device) if isinstance(device, list) else ()
    states.write_running(
        run, attempt=attempt, launch=secrets.token_hex(6), launcher=Identity.mine(), gpus=gpus
    )
    session.register(run, 0, attempt)
    over = threading.Event()
    teller = threading.Thread(target=_tell_progress, args=(run, over, lines), daemon=True)
    teller.start()
    lines.tell(f"{run.id} running")
    try:
        session.train_run(run, attempt=attempt, stop_flag=flag, provenance=provenance)
    finally:
        over.set()
        teller.join()
        view = store.read(run)
        # A result that could not be written leaves a run that its dead process would make crashed.
        how = view.state if view.state not in store.ACTIVE else "crashed"
        states.write_ended(run, attempt=attempt, how=how, reason=view.reason)
        lines.tell(f"{run.id} {outcome(store.read(run))}")


def _tell_progress(run: RunPaths, over: threading.Event, lines: Lines) -> None:
    watched = Watched(run)
    told = ""
    while not over.wait(TELL_EVERY):
        watched.poll()
        if watched.latest and watched.progress() != told:
            told = watched.progress()
            lines.tell(f"{run.id} {told}")


def _catch_stop() -> list[int]:
    """Turn Ctrl-C and SIGTERM into a flag that the loop looks at; a second Ctrl-C interrupts."""
    flag: list[int] = []

    def note(number: int, frame: Any) -> None:
        flag.append(number)
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, note)
    signal.signal(signal.SIGTERM, note)
    return flag


def _choose_devices(device: list[int] | str | None, entries: Sequence[submit.Entry]) -> None:
    """Show torch only the devices that may be used; it must not have been imported before."""
    if device is None and entries:
        device = entries[0].planned.recipe.launch.gpus
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        os.environ["ACCELERATE_USE_CPU"] = "true"
    elif isinstance(device, list):
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, device))
