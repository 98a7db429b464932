"""What became of the runs of a launch, and what to do about those that should end and do not."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from imbtui import files, folders, processes, store
from imbtui.jobs import GONE
from imbtui.launch import Executor
from imbtui.paths import RunsPaths
from imbtui.worker import reasons, states
from imbtui.worker.carried import Carried, Launch

FALSE_STARTS = 3  # launches that may end before they begin a run, until that run counts as crashed


class Reaper:
    """Follows launches to their end. It decides by what ranks and results say, never by exit codes.

    Args:
        runs: the runs folder.
        executors: where launches run, by name.
        changed: told the id of every run whose state changed.
        ended: told the id of every run of which an attempt ended, and how.
        leave_patience: seconds a process may take to leave once its run's result is written.
    """

    def __init__(
        self,
        runs: RunsPaths,
        executors: Mapping[str, Executor[Any]],
        *,
        changed: Callable[[str], None],
        ended: Callable[[str, str], None],
        leave_patience: float,
    ) -> None:
        self._runs = runs
        self._executors = executors
        self._changed = changed
        self._ended = ended
        self._leave_patience = leave_patience
        self._false_starts: dict[str, int] = {}

    def reap(self, launch: Launch) -> bool:
        """Write down what ended in a launch; return whether the launch itself is over."""
        gone = not self._runs_still(launch)
        if gone:
            # Without its launcher nobody would see a rank fail: what is left of the launch goes with it.
            for run in launch.open():
                run.orphan = run.has_begun() and self._executor(launch).alive(run.ranks()) is True
            self._executor(launch).end(launch.id, launch.launcher)
        for run in launch.open():
            self._look_at(launch, run, gone=gone)
        if not gone:
            return False
        self._put_back(launch)
        self._clean_up(launch)
        return True

    def _executor(self, launch: Launch) -> Executor[Any]:
        return self._executors[launch.executor]

    def _runs_still(self, launch: Launch) -> bool:
        executor = self._executor(launch)
        if launch.launcher is None:
            launch.launcher = executor.find(launch.id)
            if launch.launcher is None:
                return executor.may_show(launch.since)
            launch.record()
        now = executor.look(launch.launcher)
        if now != launch.launcher:
            launch.launcher = now
            self._note(launch)
        return executor.running(now)

    def _note(self, launch: Launch) -> None:
        """Write down where a launch stands now, which may be back in a scheduler's queue."""
        for run in launch.open():
            if launch.restarts > run.restarts:
                run.begin_again(launch.restarts)
            self._changed(run.id)
        if launch.job is not None and not launch.job.over:
            launch.record()

    def _look_at(self, launch: Launch, run: Carried, *, gone: bool) -> None:
        known = run.begun
        if not run.has_begun():
            return
        if not known:
            self._false_starts.pop(run.id, None)
            self._changed(run.id)
        # In this order: a rank leaves after it wrote the result.
        alive = self._lives(launch, run, gone=gone)
        result = run.result()
        if result is not None:
            reason, memory = result.get("reason", ""), result.get("gpu_memory")
            self._end(run, result["state"], reason, gpu_memory=memory)
            # Ranks that train several runs, in turn or together, go on with the others instead of leaving.
            goes_on = launch.processes > 1 or launch.beside(run)
            run.deadline = None if goes_on else time.monotonic() + self._leave_patience
        elif not alive and not gone and not run.fallen:
            run.fallen = True  # its launcher may just be writing into the log what it died of
        elif not alive:
            if launch.processes == 1:
                self._executor(launch).kill_run(launch.id, run.id, run.ranks())
            self._crashed(launch, run)

    def _lives(self, launch: Launch, run: Carried, *, gone: bool) -> bool:
        lives = self._executor(launch).alive(run.ranks())
        if lives is not None:
            return lives
        # Its ranks are elsewhere, and are gone when a later run has begun without them.
        ranks = set(run.ranks())
        behind = launch.runs[launch.runs.index(run) + 1 :]
        if not gone and not any(one.has_begun() and ranks.isdisjoint(one.ranks()) for one in behind):
            return True
        files.look_again(run.paths.root)
        return False

    def _crashed(self, launch: Launch, run: Carried) -> None:
        if run.stop_asked():
            told = f"it did not stop within {run.wish.grace:g} s and was killed"
            # A job's own process does that on its node, and tells nobody.
            killed = run.told and (run.deadline is None or launch.job is not None)
            self._end(run, "stopped", told if killed else "")
            return
        run.reason = run.reason or self._explain(launch, run)
        meant = launch.job is not None and launch.job.cancelled
        if self._was_taken_along(launch, run):
            self._again(run)
        elif meant or not self._retry(run, run.reason):
            self._end(run, "crashed", run.reason)

    def _was_taken_along(self, launch: Launch, run: Carried) -> bool:
        """Whether its process was killed for the sake of another run in it, here or on a job's node."""
        if run.taken_along or launch.job is None:
            return run.taken_along
        ranks = set(run.ranks())
        stubborn = (one for one in launch.runs if one is not run and one.told and one.result() is None)
        return any(not ranks.isdisjoint(one.ranks()) for one in stubborn)

    def _explain(self, launch: Launch, run: Carried) -> str:
        logs = (run.paths.log, launch.log)
        job = launch.job
        if job is not None:
            if job.end and job.state != GONE:
                return job.end
            reason = reasons.explain(*logs, since=run.log_offset)
            return reason.replace(reasons.GONE, job.end or reasons.GONE, 1)
        memory_ran_out = processes.out_of_memory_kills() > launch.memory_kills
        if run.orphan and not memory_ran_out:
            return "its launcher was killed"
        return reasons.explain(*logs, since=run.log_offset, memory_ran_out=memory_ran_out)

    def _retry(self, run: Carried, reason: str) -> bool:
        """Queue a crashed run again if its recipe allows one more launch; return whether it did."""
        submit = store.read_submit(run.paths)
        if submit is None or submit.get("attempt", 1) != run.attempt:
            return False
        done = submit.get("retried", 0)
        if done >= submit.get("retries", 0):
            return False
        folders.update_submit(run.paths, attempt=run.attempt + 1, retried=done + 1, retry_reason=reason)
        self._close(run)
        return True

    def _again(self, run: Carried) -> None:
        """Queue a run again that lost its process to another one's stop."""
        if not run.superseded():
            folders.update_submit(run.paths, attempt=run.attempt + 1)
        self._close(run)

    def _put_back(self, launch: Launch) -> None:
        """Queue the runs again that a launch carried and never began."""
        began_none = not any(run.begun for run in launch.runs)
        job = launch.job
        for run in launch.open():
            if job is not None:
                files.look_again(run.paths.root)
            if (result := run.result()) is not None:
                self._end(run, result["state"], result.get("reason", ""))
            elif run.stop_asked():
                self._end(run, "stopped", "")
            elif job is not None and job.cancelled and not run.ever_begun():
                self._end(run, "stopped", job.end)
            elif job is not None and run.ever_begun():
                self._crashed(launch, run)
            elif began_none and self._counts(launch) and self._is_hopeless(run):
                self._end(run, "crashed", self._why_none_began(launch, run))
            else:
                if not run.superseded():
                    states.clear(run.paths)
                self._close(run)

    def _counts(self, launch: Launch) -> bool:
        """Whether a launch that began no run says anything of its runs: not if a scheduler never took it."""
        return launch.launcher is not None or launch.executor == "local"

    def _why_none_began(self, launch: Launch, run: Carried) -> str:
        reason = reasons.explain_launch(launch.log, since=run.log_offset if launch.owns_log else 0)
        if not launch.owns_log:
            _append(run, reasons.last_lines(launch.log))
        job = launch.job
        if job is None:
            return reason
        if job.end or reason != reasons.GONE:
            return job.end or reason
        node = files.printable(job.nodes) or "its node"
        return f"its SLURM job {job.id} ended before it began; can {node} see this folder?"

    def _is_hopeless(self, run: Carried) -> bool:
        """Count one more launch that ended before it began a run; return whether that was one too many."""
        self._false_starts[run.id] = self._false_starts.get(run.id, 0) + 1
        if self._false_starts[run.id] < FALSE_STARTS:
            return False
        del self._false_starts[run.id]
        return True

    def _end(self, run: Carried, how: str, reason: str, gpu_memory: int | None = None) -> None:
        if not run.superseded():
            states.write_ended(run.paths, attempt=run.attempt, how=how, reason=reason, gpu_memory=gpu_memory)
            self._ended(run.id, how)
        self._close(run)

    def _close(self, run: Carried) -> None:
        run.over = True
        with contextlib.suppress(OSError):
            run.paths.reserve.unlink(missing_ok=True)  # of a trainer that was killed
        self._changed(run.id)

    def refuse(self, launch: Launch, reason: str) -> None:
        """Write down that the runs of a launch crashed because it will never be taken."""
        for run in launch.open():
            self._end(run, "crashed", reason)
        self._clean_up(launch)

    def _clean_up(self, launch: Launch) -> None:
        if not launch.owns_log:
            launch.log.unlink(missing_ok=True)
        self._runs.launch_lock(launch.id).unlink(missing_ok=True)
        self._runs.launch_order(launch.id).unlink(missing_ok=True)

    def obey_stops(self, launch: Launch) -> None:
        """Ask the ranks of runs to stop whose user wants that; kill what does not leave in time."""
        now = time.monotonic()
        for run in launch.runs:
            if not run.over and run.stop_asked():
                self._stop(launch, run, now)
            if run.deadline is not None and now > run.deadline:
                self._see_off(launch, run)
        self._expect_to_leave(launch, now)

    def take_back(self, launch: Launch, runs: Sequence[Carried]) -> None:
        """Queue runs again that wait in a launch; one that has begun in this very moment stays there."""
        with files.locked(self._runs.launch_lock(launch.id), timeout=1.0):
            for run in runs:
                if not run.ranks():
                    states.clear(run.paths)
                    launch.runs.remove(run)
                    self._changed(run.id)
        launch.shortened = not launch.behind()

    def _stop(self, launch: Launch, run: Carried, now: float) -> None:
        if not run.has_begun():
            with files.locked(self._runs.launch_lock(launch.id), timeout=1.0):
                if not run.ranks():
                    self._end(run, "stopped", "")
            return
        if run.result() is not None:
            return
        executor = self._executor(launch)
        for rank in run.ranks():
            if rank not in run.told and executor.ask_to_stop(rank):
                run.told.add(rank)
                run.deadline = run.deadline or now + executor.stop_delay + run.wish.grace

    def _see_off(self, launch: Launch, run: Carried) -> None:
        """Kill what is left of one run; the other runs of its launch go on where that is possible."""
        run.deadline = None
        for other in launch.beside(run):
            other.taken_along = True
        if launch.processes == 1 and any(other is not run for other in launch.open()):
            self._executor(launch).kill_run(launch.id, run.id, run.ranks())
        elif launch.processes == 1 or run.result() is None:
            self._executor(launch).end(launch.id, launch.launcher)

    def _expect_to_leave(self, launch: Launch, now: float) -> None:
        """End a launch that stays although none of its runs is left to do."""
        if any(launch.open()):
            return
        if launch.over_since is None:
            launch.over_since = now
        patience = self._leave_patience if any(run.begun for run in launch.runs) else 0
        if now - launch.over_since >= patience:
            self._executor(launch).end(launch.id, launch.launcher)


def _append(run: Carried, lines: list[str]) -> None:
    """Show in the run's log why the launch that carried it failed."""
    with contextlib.suppress(OSError):
        log = files.LineWriter(run.paths.log)
        for line in lines:
            log.append(line.encode("utf-8", "replace"))
        log.close()
