"""The process of a SLURM job on its node: `python -m imbtui.launch.job ORDER_FILE`.

It starts the launch and stands between SLURM and its ranks. SLURM's SIGTERM (a preemption, the time limit,
scancel) becomes a checkpoint and no result: the runs go on from there when the job is begun anew, or crashed
when it is not. A stop file becomes what `imbtui stop` means: a checkpoint and the result `stopped`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGINT, SIGTERM, signal
from typing import Any

from imbtui import files, shapes, store
from imbtui.launch import RESTART_MARK, Order
from imbtui.launch.command import command, environment, free_port
from imbtui.launch.local import end, kill_ranks
from imbtui.paths import RunPaths, RunsPaths
from imbtui.processes import Identity

EVERY = 0.5  # seconds between looks
LOOK_FOR_OTHERS = 5.0  # seconds between looks whether another node has taken the runs over
LAST_WORD = 3.0  # seconds in which the signal that ended the launcher may reach this process as well


@dataclass
class _Run:
    """One run of the job that is not over."""

    paths: RunPaths
    attempt: int
    told: set[Identity] = field(default_factory=set)
    deadline: float | None = None


class Supervisor:
    """Follows one launch on its node to its end.

    Args:
        order: what to launch.
        restart: how often SLURM has begun this job anew.
        env: the environment of the launch.
    """

    def __init__(self, order: Order, restart: int, env: Mapping[str, str]) -> None:
        self._order = order
        self._restart = restart
        self._env = dict(env)
        self._runs = [_Run(RunPaths(f), a) for f, a in zip(order.folders, order.attempts, strict=True)]
        self._asked_to_leave: list[int] = []

    def leave(self, number: int, frame: Any) -> None:
        """Take SLURM's word that the job must end."""
        self._asked_to_leave.append(number)

    def run(self) -> int:
        """Train; return 0 when the launch ended by itself and well."""
        end(self._order.launch)  # without cgroups, ranks of an earlier start may live on here
        port = free_port() if self._order.processes > 1 else None
        launcher = subprocess.Popen(command(self._order, port=port), env=self._env, stdin=subprocess.DEVNULL)
        gone_since: float | None = None
        looked = time.monotonic()
        try:
            while True:
                code = launcher.poll()
                living = self._look()
                if not living and (code is not None or self._asked_to_leave):
                    break
                if code is not None and not self._asked_to_leave:
                    # Without its launcher nobody would see a rank fail.
                    gone_since = gone_since or time.monotonic()
                    if time.monotonic() - gone_since > LAST_WORD:
                        break
                if time.monotonic() - looked > LOOK_FOR_OTHERS:
                    looked = time.monotonic()
                    if self._taken_over():
                        print("imbtui: SLURM has begun this job anew elsewhere", flush=True)
                        break
                time.sleep(EVERY)
        finally:
            end(self._order.launch)
        return 1 if launcher.wait() or self._asked_to_leave else 0

    def _look(self) -> bool:
        """Tell ranks to stop that should, kill those that do not; return whether any rank lives."""
        lives = False
        news: set[Identity] = set()  # one signal each: runs that train together share a process
        for run in list(self._runs):
            ranks = self._ranks(run)
            if ranks and _has_result(run):
                self._runs.remove(run)
            elif living := [rank for rank in ranks if rank.alive()]:
                lives = True
                news |= self._obey(run, living)
        for rank in news:
            rank.signal(SIGTERM)
        return lives

    def _ranks(self, run: _Run) -> list[Identity]:
        return store.registered(run.paths, run.attempt, restart=self._restart)

    def _obey(self, run: _Run, ranks: Sequence[Identity]) -> set[Identity]:
        """Return the ranks that are to be told now that a run should stop; kill those that had their time."""
        if not (self._asked_to_leave or store.stop_asked(run.paths, run.attempt)):
            return set()
        news = set(ranks) - run.told
        run.told |= news
        if news:
            run.deadline = run.deadline or time.monotonic() + self._order.grace
        elif run.deadline is not None and time.monotonic() > run.deadline:
            run.deadline = None
            if self._order.processes == 1:
                kill_ranks(self._order.launch, run.paths.id, ranks)
            else:
                end(self._order.launch)
        return news

    def _taken_over(self) -> bool:
        """Whether a later start of the job trains these runs: SLURM gave this node up and it lives on."""
        return any(store.registered(run.paths, run.attempt, restart=self._restart + 1) for run in self._runs)


def _has_result(run: _Run) -> bool:
    result = shapes.cleaned(files.read_json(run.paths.result), shapes.RESULT)
    return result.get("attempt") == run.attempt


def order_of(file: Path) -> Order | None:
    """Return what a job's order file says; None when it is gone. GPUs count from 0: SLURM chooses which."""
    document = files.read_json(file)
    if not isinstance(document, dict):
        return None
    runs, processes = RunsPaths(file.parent.parent), document["processes"]
    return Order(
        launch=document["launch"],
        folders=tuple(runs.run(run_id).root for run_id, _ in document["runs"]),
        attempts=tuple(attempt for _, attempt in document["runs"]),
        log=Path(os.devnull),  # SLURM opened it
        gpus=tuple(range(processes)) if document["gpu"] else (),
        processes=processes,
        threads=document["threads"] or max(1, _cores() // processes),
        data=document["data"],
        module=document["module"],
        grace=document["grace"],
    )


def _cores() -> int:
    """Return how many CPU cores the job has: not every cluster binds jobs to theirs."""
    given = os.environ.get("SLURM_CPUS_ON_NODE", "")
    bound = len(os.sched_getaffinity(0))
    return min(bound, int(given)) if given.isdecimal() and int(given) > 0 else bound


def main(arguments: list[str]) -> int:
    """Train what the order file says; return the job's exit code."""
    order = order_of(Path(arguments[0]))
    if order is None:
        print("imbtui: nobody waits for this job any more")
        return 0
    restart = int(os.environ.get("SLURM_RESTART_COUNT") or 0)
    env = environment(order) | {RESTART_MARK: str(restart)}
    if order.gpus and "CUDA_VISIBLE_DEVICES" in os.environ:
        env["CUDA_VISIBLE_DEVICES"] = os.environ["CUDA_VISIBLE_DEVICES"]  # those that SLURM chose
    supervisor = Supervisor(order, restart, env)
    signal(SIGTERM, supervisor.leave)
    signal(SIGINT, supervisor.leave)
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
