"""Small trainings as jobs of a real SLURM, through the commands that users type.

Skipped where no SLURM answers. Those that kill its daemons need a SLURM of the test's own: they run where
IMBTUI_TEST_SLURM_DAEMONS is set, and start the daemons again with the same SLURM_CONF.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from imbtui import files, queue, store
from imbtui.paths import RunPaths, RunsPaths
from imbtui.processes import Identity
from imbtui.worker import lock


def _no_slurm() -> str:
    if shutil.which("sbatch") is None:
        return "no sbatch on the PATH"
    done = subprocess.run(["sinfo", "--noheader"], capture_output=True, timeout=60, check=False, text=True)
    return (
        ""
        if done.returncode == 0 and done.stdout.strip()
        else f"SLURM does not answer: {done.stderr.strip()}"
    )


pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("slurm")]

RECIPE = """
title = "digits as a job"
[dataset]
name = "digits"
[model]
name = "mlp"
hidden = [32]
[optimizer]
lr = 0.05
[train]
epochs = 400
evaluate_every = 100
threads = 1
[launch]
executor = "slurm"
gpus = "cpu"
"""
# Longer than the grace time of a partition that is preempted: nothing may have finished by then.
LONG = ("--set", "train.epochs=12000", "--set", "train.evaluate_every=3000")


@pytest.fixture(scope="module", autouse=True)
def answering() -> None:
    if why := _no_slurm():
        pytest.skip(why)


class Lab:
    """A runs folder, the commands over it, and what SLURM says of its jobs."""

    def __init__(self, folder: Path) -> None:
        self.runs = RunsPaths(folder / "runs")
        self.recipe = folder / "study.toml"
        self.recipe.write_text(RECIPE)

    def call(self, *arguments: str, code: int | None = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "imbtui", *arguments, "--runs", str(self.runs.root)],
            capture_output=True, text=True, timeout=500, check=False,
        )  # fmt: skip
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def submit(self, *arguments: str) -> list[RunPaths]:
        before = set(store.list_ids(self.runs))
        self.call("run", str(self.recipe), "--detach", *arguments)
        new = set(store.list_ids(self.runs)) - before
        return [
            self.runs.run(run_id) for run_id in sorted(new, key=lambda i: store.read(self.runs.run(i)).seed)
        ]

    def state(self, run: RunPaths) -> str:
        return store.read(run).state

    def job(self, run: RunPaths) -> str:
        job = wait(lambda: store.read(run).job)
        return str(job.id)

    def train(self, run: RunPaths, epochs: int = 300) -> None:
        """Wait until a run has done some epochs, so that its checkpoint cannot be that of the start."""
        wait(lambda: self.state(run) == "running" and store.read(run).last_row.get("epoch", 0) > epochs)

    def metrics(self, run: RunPaths) -> dict[str, Any]:
        return {k: v for k, v in store.read(run).metrics.items() if k.startswith(("test/", "train/"))}

    def begun_at(self, run: RunPaths) -> list[float]:
        """The epoch of each row, in the order of the file."""
        rows = [json.loads(line) for line in run.metrics.read_text().splitlines()]
        return [row["epoch"] for row in rows]


def wait(condition: Callable[[], Any], seconds: float = 240.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.1)
    return answer


def scheduler(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


def job_state(number: str) -> str:
    return scheduler("squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={number}")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the long run gives that nothing disturbs, on this machine and without SLURM."""
    lab = Lab(tmp_path_factory.mktemp("undisturbed"))
    (run,) = lab.submit("--seeds", "0", *LONG, "--set", "launch.executor=local")
    wait(lambda: lab.state(run) == "finished")
    return lab.metrics(run)


def test_two_runs_side_by_side_from_submission_to_the_table(lab: Lab) -> None:
    said = lab.call("run", str(lab.recipe), "--seeds", "0,1")
    assert re.search(r"running: on \S+ \(SLURM job \d+\)", said) and said.count("finished in") == 2
    rows = json.loads(lab.call("ls", "--json"))
    assert [row["state"] for row in rows] == ["finished"] * 2 and len({row["job"] for row in rows}) == 2
    for row in rows:
        wait(lambda row=row: job_state(row["job"]) == "COMPLETED")
    assert "SLURM" in lab.call("show", rows[0]["id"])
    assert json.loads(lab.call("queue", "--json")) == []
    again = lab.call("run", str(lab.recipe), "--seeds", "0,1")
    assert "2 runs are finished before" in again or "reused" in again


def test_stop_resume_and_the_result_of_an_undisturbed_run(lab: Lab, undisturbed: dict[str, Any]) -> None:
    (run,) = lab.submit("--seeds", "0", *LONG)
    lab.train(run)
    first = lab.job(run)
    lab.call("stop", run.id)
    wait(lambda: lab.state(run) == "stopped")
    result = files.read_json(run.result)
    assert result["state"] == "stopped" and 300 < result["epochs"] < 12000
    wait(lambda: job_state(first) == "COMPLETED")
    lab.call("resume", run.id)
    wait(lambda: lab.state(run) == "finished")
    assert lab.job(run) != first and store.read(run).attempt == 2
    assert lab.metrics(run) == undisturbed
    assert lab.begun_at(run) == sorted(lab.begun_at(run)), "no step is listed twice"


def test_stopping_a_run_that_waits_leaves_no_job(lab: Lab) -> None:
    cores = os.cpu_count() or 1
    blocker = scheduler("sbatch", "--parsable", f"--ntasks={cores}", "--output=/dev/null", "--wrap=sleep 300")
    try:
        wait(lambda: job_state(blocker) == "RUNNING")
        (run,) = lab.submit()
        wait(lambda: store.read(run).reason.startswith("waiting in SLURM: "))
        wait(lambda: store.read(run).reason in ("waiting in SLURM: Resources", "waiting in SLURM: Priority"))
        assert lab.state(run) == "queued"
        job = lab.job(run)
        lab.call("stop", run.id)
        wait(lambda: lab.state(run) == "stopped" and job_state(job) == "CANCELLED")
    finally:
        scheduler("scancel", blocker)


def test_scancel_from_outside_is_a_crash_with_a_checkpoint(lab: Lab, undisturbed: dict[str, Any]) -> None:
    (run,) = lab.submit("--seeds", "0", *LONG)
    lab.train(run)
    job = lab.job(run)
    scheduler("scancel", job)
    wait(lambda: lab.state(run) == "crashed")
    assert store.read(run).reason == f"its SLURM job {job} was cancelled"
    done = lab.begun_at(run)[-1]
    lab.call("resume", run.id)
    wait(lambda: lab.state(run) == "finished")
    assert lab.metrics(run) == undisturbed
    assert done > 300, "it went on from a checkpoint, not from the start"


def test_the_time_limit_is_said_and_with_retries_the_run_goes_on_by_itself(lab: Lab) -> None:
    endless = ("--set", "train.epochs=1000000", "--set", "train.evaluate_every=100000")
    limit = ("--set", "launch.slurm.time=1")
    (run,) = lab.submit("--seeds", "0", *endless, *limit, "--set", "launch.retries=1")
    first = lab.job(run)
    wait(lambda: store.read(run).attempt == 2, 300)
    lab.train(run)
    assert job_state(first) == "TIMEOUT"
    assert lab.begun_at(run) == sorted(lab.begun_at(run))
    second = lab.job(run)
    wait(lambda: lab.state(run) == "crashed", 300)
    assert store.read(run).reason == f"the time limit of its SLURM job {second} was reached"
    lab.call("ls")


@pytest.mark.parametrize("how", ["requeue", "preemption"])
def test_a_job_that_is_put_back_goes_on_as_the_same_attempt(
    lab: Lab, undisturbed: dict[str, Any], how: str
) -> None:
    (run,) = lab.submit("--seeds", "0", *LONG)
    lab.train(run)
    job = lab.job(run)
    if how == "requeue":
        scheduler("scontrol", "requeue", job)
    else:
        if "high" not in scheduler("sinfo", "--noheader", "--format=%P").split():
            pytest.skip("no partition that preempts")
        cores = os.cpu_count() or 1
        scheduler(
            "sbatch", "--partition=high", f"--ntasks={cores}", "--output=/dev/null", "--wrap=sleep 1"
        )  # fmt: skip
    wait(lambda: store.read(run).reason.startswith("waiting in SLURM, to go on from the checkpoint"))
    assert lab.state(run) == "queued"
    done = lab.begun_at(run)[-1]
    wait(lambda: _start_now(job))
    wait(lambda: lab.state(run) == "running")
    wait(lambda: lab.state(run) == "finished")
    assert store.read(run).attempt == 1 and lab.job(run) == job and store.read(run).job.restarts == 1  # type: ignore[union-attr]
    assert lab.metrics(run) == undisturbed and done > 300


def _start_now(job: str) -> bool:
    """Spare the test the two minutes that SLURM makes a job wait that it has put back."""
    if job_state(job) == "PENDING":
        subprocess.run(["scontrol", "update", f"jobid={job}", "StartTime=now"], timeout=60, check=False)
    return job_state(job) == "RUNNING"


def test_the_worker_is_killed_and_another_one_follows(lab: Lab) -> None:
    run, other = lab.submit("--seeds", "0,1", *LONG)
    for killed in (run, other):
        lab.train(killed, 100)
        who = Identity.from_json(lock.report(lab.runs))
        assert who is not None and who.signal(SIGKILL)
        wait(lambda: not lock.held(lab.runs))
        assert "no worker runs" in queue.view(lab.runs)[0]["why"]
        assert lab.state(run) == "running"
        lab.call("worker", "start")
    wait(lambda: [lab.state(run), lab.state(other)] == ["finished"] * 2)
    assert [store.read(one).attempt for one in (run, other)] == [1, 1]


# Those that need daemons of their own


def daemon(name: str) -> Callable[[], None]:
    """SIGKILL a daemon of this SLURM and return how it is started again."""
    settings = scheduler("scontrol", "show", "config")
    match = re.search(rf"^{name}PidFile\s*= (\S+)", settings, re.MULTILINE | re.IGNORECASE)
    assert match is not None
    os.kill(int(Path(match[1]).read_text()), SIGKILL)
    program = shutil.which(name, path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    assert program is not None

    def again() -> None:
        subprocess.run([program, "-f", os.environ["SLURM_CONF"]], timeout=60, check=True)
        wait(lambda: subprocess.run(["sinfo"], capture_output=True, check=False).returncode == 0)

    return again


needs_daemons = pytest.mark.skipif(
    "IMBTUI_TEST_SLURM_DAEMONS" not in os.environ or "SLURM_CONF" not in os.environ,
    reason="IMBTUI_TEST_SLURM_DAEMONS is not set: this SLURM's daemons may not be killed",
)


@needs_daemons
def test_slurms_daemons_are_killed_and_come_back(lab: Lab, undisturbed: dict[str, Any]) -> None:
    (run,) = lab.submit("--seeds", "0", *LONG)
    lab.train(run)
    job = lab.job(run)
    time.sleep(6)  # what the controller wrote down last is not older than that
    for name in ("slurmctld", "slurmd"):
        again = daemon(name)
        time.sleep(5)
        assert lab.state(run) in ("running", "finished")
        again()
    wait(lambda: lab.state(run) == "finished")
    assert lab.metrics(run) == undisturbed
    assert store.read(run).attempt == 1 and lab.job(run) == job


@needs_daemons
def test_a_controller_that_dies_right_after_it_took_a_job_loses_no_run(lab: Lab) -> None:
    """It may have forgotten the job; its number is then given to the next one."""
    cores = os.cpu_count() or 1
    blocker = scheduler("sbatch", "--parsable", f"--ntasks={cores}", "--output=/dev/null", "--wrap=sleep 600")
    try:
        wait(lambda: job_state(blocker) == "RUNNING")
        time.sleep(6)  # until the controller has written that down
        (run,) = lab.submit("--seeds", "0")
        wait(lambda: store.read(run).job)
        again = daemon("slurmctld")
        (later,) = lab.submit("--seeds", "1")  # nobody says whether it will be taken
        assert lab.state(later) == lab.state(run) == "queued"
        again()
    finally:
        wait(lambda: subprocess.run(["scancel", blocker], check=False).returncode == 0)
    wait(lambda: [lab.state(run), lab.state(later)] == ["finished"] * 2)
    assert [store.read(one).attempt for one in (run, later)] == [1, 1]
