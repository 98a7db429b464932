"""Runs as jobs of SLURM: followed, stopped, begun anew and given up, with a SLURM of shell scripts."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any

import pytest

from imbtui import doctor, files, folders, queue, store, worker
from imbtui.errors import UserError
from imbtui.launch import Order, Request, slurm, squeue
from imbtui.paths import RunPaths

sys.path.insert(0, str(Path(__file__).parent))
from fake_slurm import FakeSlurm

Box = Any  # tests/worker/conftest.py
JOB = {"executor": "slurm", "slurm": {"partition": "low"}, "pack_key": "jobs"}


@pytest.fixture
def cluster(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    made = FakeSlurm(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{made.bin}{os.pathsep}{os.environ['PATH']}")
    return made


def submit(box: Box, *, wish: dict[str, Any] | None = None, **standin: Any) -> RunPaths:
    run: RunPaths = box.submit(submit=JOB | (wish or {}), **standin)
    return run


def begun(box: Box, run: RunPaths) -> None:
    worker.ensure(box.runs)
    box.wait(lambda: box.state(run) == "running" and box.starts(run))


def step(run: RunPaths) -> int:
    return files.read_json(run.checkpoints / "step.json") or 0


def test_a_run_is_one_job_that_waits_runs_and_ends(box: Box, cluster: FakeSlurm) -> None:
    (cluster.root / "hold").touch()
    run = submit(box, steps=100)
    worker.ensure(box.runs)
    box.wait(lambda: box.reason(run) == "waiting in SLURM: Priority")
    assert box.state(run) == "queued"
    cluster.set("1", reason="Resources")
    box.wait(lambda: box.reason(run) == "waiting in SLURM: Resources")
    box.wait(lambda: queue.view(box.runs)[0]["why"] == "waiting in SLURM: Resources")
    assert queue.view(box.runs)[0]["position"] is None
    with pytest.raises(UserError, match="SLURM has it"):
        queue.move(box.runs, run.id, 1)
    cluster.start("1")
    box.wait(lambda: box.state(run) == "running")
    assert box.reason(run) == "on node1 (SLURM job 1)"
    view = store.read(run)
    assert view.device == "SLURM" and view.job is not None and view.job.name.startswith(f"{run.id}@")
    box.wait(lambda: box.state(run) == "finished")
    box.wait(lambda: not worker.held(box.runs) and box.processes() == [])
    assert cluster.state("1") == "COMPLETED" and cluster.calls("scancel") == []
    assert not list(box.runs.launches.iterdir())
    (call,) = cluster.calls("sbatch")
    for word in ("--requeue", "--open-mode=append", "--partition=low", f"--output={run.log}", "--ntasks=1"):
        assert word in call.split()
    assert "--gres" not in call


def test_jobs_take_no_slots_and_local_runs_no_jobs(box: Box, cluster: FakeSlurm) -> None:
    queue.set_slots(box.runs, 1)
    jobs = [submit(box, steps=10_000) for _ in range(3)]
    for run in jobs:
        begun(box, run)
    local = box.submit()
    worker.ensure(box.runs)
    box.wait(lambda: box.state(local) == "finished")
    assert box.states(*jobs) == ["running"] * 3 and len(cluster.jobs()) == 3


def test_a_job_carries_as_many_runs_as_the_recipe_packs(box: Box, cluster: FakeSlurm) -> None:
    packed = {"pack": 2}
    crashes, follows, last = (
        submit(box, wish=packed, end="vanish", steps=30, says="last words"),
        submit(box, wish=packed, steps=10_000),
        submit(box, wish=packed),
    )
    begun(box, follows)
    box.wait(lambda: box.states(crashes, last) == ["crashed", "finished"])
    assert "last words" in box.reason(crashes) and len(cluster.jobs()) == 2
    assert box.state(follows) == "running"
    worker.request_stop(box.runs, follows.id)
    box.wait(lambda: box.state(follows) == "stopped")


@pytest.mark.slow
def test_runs_that_train_together_share_a_job_and_part_when_one_must_be_killed(
    box: Box, cluster: FakeSlurm
) -> None:
    fused = {"fuse": True, "settings": "same", "grace": 0.3}
    stubborn = submit(box, steps=10_000, together=True, on_term="ignore", wish=fused)
    leaves, stays = (submit(box, steps=1500, together=True, wish=fused) for _ in range(2))
    begun(box, stays)
    assert cluster.jobs() == ["1"] and box.states(stubborn, leaves) == ["running"] * 2
    worker.request_stop(box.runs, leaves.id)
    box.wait(lambda: box.state(leaves) == "stopped")
    assert box.states(stubborn, stays) == ["running"] * 2, "a later run of the same process tells nothing"
    worker.request_stop(box.runs, stubborn.id)
    box.wait(lambda: box.state(stubborn) == "stopped")
    assert box.reason(stubborn) == "it did not stop within 0.3 s and was killed"
    box.wait(lambda: box.state(stays) == "finished")
    assert store.read(stays).attempt == 2 and cluster.jobs() == ["1", "2"]


def test_stopping_writes_a_checkpoint_and_resuming_goes_on_in_a_new_job(box: Box, cluster: FakeSlurm) -> None:
    run = submit(box, steps=150)
    begun(box, run)
    worker.request_stop(box.runs, run.id)
    box.wait(lambda: box.state(run) == "stopped")
    assert 0 < step(run) < 150
    worker.resume(box.runs, run.id)
    box.wait(lambda: box.state(run) == "finished")
    assert box.starts(run) == ["start 1 0", "start 2 0"] and cluster.jobs() == ["1", "2"]
    assert f"attempt 2 begins at step {step(run)}" in run.log.read_text()


def test_stopping_what_waits_cancels_its_job_and_no_other(box: Box, cluster: FakeSlurm) -> None:
    (cluster.root / "hold").touch()
    run, other = submit(box), submit(box)
    worker.ensure(box.runs)
    box.wait(lambda: [box.reason(r) for r in (run, other)] == ["waiting in SLURM: Priority"] * 2)
    worker.request_stop(box.runs, run.id)
    box.wait(lambda: cluster.state("1") == "CANCELLED")
    assert box.states(run, other) == ["stopped", "queued"] and cluster.state("2") == "PENDING"


@pytest.mark.slow
def test_a_stubborn_run_is_killed_by_its_job(box: Box, cluster: FakeSlurm) -> None:
    run = submit(box, steps=10_000, on_term="ignore", helper=True, wish={"grace": 0.3})
    begun(box, run)
    worker.request_stop(box.runs, run.id)
    box.wait(lambda: box.state(run) == "stopped")
    assert box.reason(run) == "it did not stop within 0.3 s and was killed"
    box.wait(lambda: not worker.held(box.runs) and box.processes() == [])


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("TIMEOUT", "the time limit of its SLURM job 1 was reached"),
        pytest.param("CANCELLED", "its SLURM job 1 was cancelled", marks=pytest.mark.slow),
        pytest.param(
            "PREEMPTED", "its SLURM job 1 was preempted and not queued again", marks=pytest.mark.slow
        ),
    ],
)
def test_a_job_that_slurm_ends_leaves_a_checkpoint_to_resume_from(
    box: Box, cluster: FakeSlurm, state: str, reason: str
) -> None:
    run = submit(box, steps=150)
    begun(box, run)
    cluster.end("1", state)
    box.wait(lambda: box.state(run) == "crashed")
    assert box.reason(run) == reason and not run.result.exists()
    saved = step(run)
    assert 0 < saved < 150
    worker.resume(box.runs, run.id)
    box.wait(lambda: box.state(run) == "finished")
    assert f"attempt 2 begins at step {saved}" in run.log.read_text()


@pytest.mark.slow
def test_retries_go_on_after_a_time_limit_and_not_against_a_cancellation(
    box: Box, cluster: FakeSlurm
) -> None:
    limited = submit(box, steps=150, wish={"retries": 1})
    begun(box, limited)
    cluster.end("1", "TIMEOUT")
    box.wait(lambda: box.state(limited) == "finished")
    assert store.read(limited).attempt == 2
    cancelled = submit(box, steps=10_000, wish={"retries": 1})
    begun(box, cancelled)
    cluster.end("3", "CANCELLED")
    box.wait(lambda: box.state(cancelled) == "crashed")
    assert len(cluster.jobs()) == 3


@pytest.mark.slow
def test_cancelling_a_job_that_waits_stops_its_run(box: Box, cluster: FakeSlurm) -> None:
    (cluster.root / "hold").touch()
    run = submit(box, wish={"retries": 1})
    worker.ensure(box.runs)
    box.wait(lambda: box.reason(run) == "waiting in SLURM: Priority")
    cluster.set("1", state="CANCELLED")
    box.wait(lambda: box.state(run) == "stopped")
    assert box.reason(run) == "its SLURM job 1 was cancelled" and cluster.jobs() == ["1"]


def test_a_job_that_is_put_back_goes_on_from_the_checkpoint(box: Box, cluster: FakeSlurm) -> None:
    first, run = submit(box, wish={"pack": 2}), submit(box, steps=200, wish={"pack": 2})
    begun(box, run)
    cluster.set("1", state="PENDING", reason="BeginTime", restarts=1)
    cluster.kill("1", SIGTERM)
    box.wait(lambda: box.state(run) == "queued")
    assert box.reason(run) == "waiting in SLURM, to go on from the checkpoint: BeginTime"
    assert box.state(first) == "finished"
    box.wait(lambda: step(run))
    saved = step(run)
    box.kill_worker()
    worker.ensure(box.runs)
    cluster.start("1")
    box.wait(lambda: box.state(run) == "running")
    box.wait(lambda: box.state(run) == "finished")
    assert box.starts(run) == ["start 1 0"] * 2 and store.read(run).attempt == 1
    assert f"attempt 1 begins at step {saved}" in run.log.read_text()
    assert box.starts(first) == ["start 1 0"] and cluster.jobs() == ["1"]


def test_ranks_that_survive_the_end_of_their_job_do_not_train_beside_its_next_start(
    box: Box, cluster: FakeSlurm
) -> None:
    run = submit(box, steps=10_000)
    begun(box, run)
    box.kill_worker()
    (survivor,) = store.registered(run, 1)
    cluster.set("1", state="PENDING", restarts=1)
    cluster.kill("1", SIGKILL)
    assert survivor.alive(), "it leads a session of its own"
    cluster.start("1")
    box.wait(lambda: store.registered(run, 1, restart=1))
    assert not survivor.alive()
    cluster.kill("1", SIGTERM)


@pytest.mark.slow
def test_a_node_that_fails_crashes_the_run_unless_slurm_begins_it_anew(box: Box, cluster: FakeSlurm) -> None:
    run = submit(box, steps=10_000)
    begun(box, run)
    cluster.end("1", "NODE_FAIL", SIGKILL)
    box.wait(lambda: box.state(run) == "crashed")
    assert box.reason(run) == "its node node1 failed"
    # Without cgroups ranks outlive their job; those on this machine are found.
    box.wait(lambda: not worker.held(box.runs) and box.processes() == [])


@pytest.mark.slow
def test_a_job_that_vanishes_while_it_runs_is_a_crash(box: Box, cluster: FakeSlurm) -> None:
    run = submit(box, steps=10_000)
    begun(box, run)
    cluster.kill("1", SIGKILL)
    cluster.forget("1")
    box.wait(lambda: box.state(run) == "crashed")
    assert box.reason(run).startswith("SLURM knows nothing of its job 1 any more; its log ends: ")
    slow = submit(box, steps=10_000)
    begun(box, slow)
    box.kill_worker()
    with slow.log.open("a") as log:
        log.write(
            "slurmstepd-node1: error: *** JOB 2 ON node1 CANCELLED AT 2026-01-01 DUE TO TIME LIMIT ***\n"
        )
    cluster.kill("2", SIGKILL)
    cluster.forget("2")
    worker.ensure(box.runs)
    box.wait(lambda: box.state(slow) == "crashed")
    assert box.reason(slow) == "the time limit of its SLURM job was reached"


def test_a_job_that_is_lost_before_it_begins_is_submitted_again_and_its_number_means_nothing(
    box: Box, cluster: FakeSlurm
) -> None:
    (cluster.root / "hold").touch()
    run = submit(box)
    worker.ensure(box.runs)
    box.wait(lambda: box.reason(run) == "waiting in SLURM: Priority")
    box.kill_worker()
    cluster.forget("1")
    stranger = cluster.root / "1"
    stranger.mkdir()
    for name, text in (
        ("name", "somebody@else"),
        ("restarts", "0"),
        ("reason", "None"),
        ("state", "RUNNING"),
    ):
        (stranger / name).write_text(text)
    (cluster.root / "hold").unlink()
    worker.ensure(box.runs)
    box.wait(lambda: box.state(run) == "finished")
    assert cluster.jobs() == ["1", "2"] and cluster.state("1") == "RUNNING"
    assert not any(call.endswith(" 1") for call in cluster.calls("scancel"))


@pytest.mark.slow
def test_a_job_whose_number_never_arrived_is_found_by_its_name(box: Box, cluster: FakeSlurm) -> None:
    (cluster.root / "lost").touch()
    run = submit(box, steps=50)
    worker.ensure(box.runs)
    box.wait(lambda: box.state(run) == "finished")
    assert cluster.jobs() == ["1"] and box.starts(run) == ["start 1 0"]


def test_workers_come_and_go_and_jobs_stay(box: Box, cluster: FakeSlurm) -> None:
    (cluster.root / "hold").touch()
    run = submit(box, steps=100)
    worker.ensure(box.runs)
    box.wait(lambda: box.reason(run) == "waiting in SLURM: Priority")
    box.kill_worker()
    (line,) = queue.view(box.runs)
    assert line["why"] == "no worker runs: `imbtui worker start`; last heard: waiting in SLURM: Priority"
    cluster.start("1")
    worker.ensure(box.runs)
    box.wait(lambda: box.state(run) == "running")
    box.kill_worker()
    assert "last heard: on node1" in queue.view(box.runs)[0]["why"]
    box.wait(lambda: box.state(run) == "finished")
    box.wait(lambda: cluster.state("1") == "COMPLETED")
    (cluster.root / "hold").unlink()
    other = submit(box)
    worker.ensure(box.runs)
    box.wait(lambda: box.state(other) == "finished" and not worker.held(box.runs))
    assert files.read_json(run.state)["how"] == "finished" and cluster.jobs() == ["1", "2"]


def test_while_slurm_does_not_answer_nothing_is_given_up(box: Box, cluster: FakeSlurm) -> None:
    run = submit(box, steps=10_000)
    begun(box, run)
    (cluster.root / "down").touch()
    waits = submit(box)
    worker.ensure(box.runs)
    why = "SLURM does not answer: Unable to contact slurm controller (connect failure)"
    box.wait(lambda: {row["id"]: row["why"] for row in queue.view(box.runs)}[waits.id] == why)
    assert box.states(run, waits) == ["running", "queued"]
    (cluster.root / "down").unlink()
    box.wait(lambda: box.state(waits) == "finished")
    assert box.state(run) == "running" and box.starts(run) == ["start 1 0"]


def test_what_slurm_refuses_for_good_crashes_and_for_now_waits(box: Box, cluster: FakeSlurm) -> None:
    refusal = cluster.root / "refusal"
    refusal.write_text("sbatch: error: Batch job submission failed: Invalid account\n")
    run = submit(box)
    worker.ensure(box.runs)
    box.wait(lambda: box.state(run) == "crashed")
    assert box.reason(run) == "SLURM refuses it: Invalid account"
    refusal.write_text("sbatch: error: QOSMaxSubmitJobPerUserLimit\n")
    waits = submit(box)
    worker.ensure(box.runs)
    why = "SLURM takes it later: QOSMaxSubmitJobPerUserLimit"
    box.wait(lambda: {row["id"]: row["why"] for row in queue.view(box.runs)}[waits.id] == why)
    refusal.unlink()
    box.wait(lambda: box.state(waits) == "finished")


@pytest.mark.slow
def test_jobs_that_end_before_they_begin_a_run_are_not_submitted_for_ever(
    box: Box, cluster: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_IMPORT_ERROR", "1")
    run = submit(box)
    worker.ensure(box.runs)
    box.wait(lambda: box.state(run) == "crashed")
    assert box.reason(run) == "import error: No module named 'no_such_module_at_all'"
    assert len(cluster.jobs()) == 3


@pytest.mark.slow
def test_a_start_of_the_job_elsewhere_ends_the_one_that_slurm_gave_up(box: Box, cluster: FakeSlurm) -> None:
    run = submit(box, steps=10_000)
    begun(box, run)
    rank = files.read_json(run.rank(0))
    files.write_json(run.rank(0), rank | {"restart": 1, "host": "node2"})
    box.wait(lambda: not box.rank(run) and cluster.state("1") == "FAILED")
    assert "begun this job anew elsewhere" in run.log.read_text()


@pytest.mark.slow
def test_a_run_of_a_machine_that_is_gone_is_given_up_with_its_job(box: Box, cluster: FakeSlurm) -> None:
    run = submit(box, steps=10_000)
    begun(box, run)
    box.kill_worker()
    folders.update_submit(run, host="login2")
    worker.give_up(box.runs, run.id)
    assert cluster.state("1") == "CANCELLED"
    assert (box.state(run), box.reason(run)) == ("crashed", "its machine login2 is gone")
    worker.resume(box.runs, run.id)
    box.wait(lambda: box.state(run) == "running")


def test_without_slurm_nothing_is_resumed(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    run = submit(box)
    worker.request_stop(box.runs, run.id)
    box.wait(lambda: box.state(run) == "stopped")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="no SLURM here"):
        worker.resume(box.runs, run.id)


def test_the_doctor_looks_at_slurm(box: Box, cluster: FakeSlurm, monkeypatch: pytest.MonkeyPatch) -> None:
    (cluster.root / "nodes").write_text("node1\nnode2\n")
    check = doctor._slurm(box.runs)
    assert check.ok and "2 nodes" in check.says and "may not see" in check.says
    (cluster.root / "hold").touch()
    run = submit(box)
    worker.ensure(box.runs)
    box.wait(lambda: box.reason(run) == "waiting in SLURM: Priority")
    check = doctor._slurm(box.runs)
    assert not check.ok and "shared folder" in check.do
    box.kill_worker()
    assert doctor._slurm(box.runs).do == "imbtui worker start"
    (cluster.root / "down").touch()
    assert "Unable to contact" in doctor._slurm(box.runs).says
    monkeypatch.setenv("PATH", "")
    assert "module load slurm" in doctor._slurm(box.runs).do


def test_what_a_job_asks_for(cluster: FakeSlurm) -> None:
    def asked(request: Request, *, gpu: bool = False, processes: int = 1, threads: int = 0) -> list[str]:
        folder = Path("/runs/a-s0")
        order = Order("x1", (folder,), folder / "log", processes=processes, threads=threads, request=request)
        return slurm.arguments(order, gpu=gpu)[4:]

    assert asked(Request()) == []
    assert asked(Request(), gpu=True, processes=2) == ["--gres=gpu:2"]
    assert asked(Request(), processes=2, threads=3) == ["--cpus-per-task=6"]
    every = Request(None, "a,b", "lab", "1-12", 4, 1.5, ("--qos=long", "--gres=gpu:a100:1"))
    assert asked(every, gpu=True, threads=8) == [
        "--partition=a,b", "--account=lab", "--time=1-12", "--cpus-per-task=4", "--mem=1536M",
        "--qos=long", "--gres=gpu:a100:1",
    ]  # fmt: skip
    takes = slurm.takes_gpus
    assert not takes(Request()) and takes(Request(partition="gpu"))
    assert takes(Request.of({}, [0, 1])) and not takes(Request.of({"partition": "gpu"}, "cpu"))
    assert takes(Request(options=("--gpus-per-node=1",)))


def test_slurm_is_asked_before_anything_is_submitted(cluster: FakeSlurm) -> None:
    def check(**asked: Any) -> None:
        slurm.check(Order("", (), Path(os.devnull), request=Request(**asked)), where="a.toml, launch.slurm")

    check(partition="gpu")
    with pytest.raises(UserError) as caught:
        check(partition="nowhere")
    assert str(caught.value).startswith('a.toml, launch.slurm.partition: SLURM has no partition "nowhere".')
    assert caught.value.hint == "Known: gpu, low."
    (cluster.root / "refusal").write_text("sbatch: error: Batch job submission failed: Invalid account\n")
    with pytest.raises(UserError, match="SLURM would refuse such a job: Invalid account"):
        check(partition="gpu", account="lab")
    (cluster.root / "refusal").write_text("sbatch: error: Socket timed out on send/recv operation\n")
    check(partition="gpu", account="lab2")
    assert cluster.jobs() == []


def test_a_script_and_a_log_of_any_name(tmp_path: Path) -> None:
    runs = store.RunsPaths(Path("/runs of 'mine'\udcff"))
    last = slurm.script(runs, "ab12").splitlines()[-1]
    assert last.endswith(b" '/runs of '\"'\"'mine'\"'\"'\xff/.launches/ab12.json'")
    assert slurm._pattern(Path("/a%b\\c")) == "/a%%b\\\\c"


def test_answers_of_squeue() -> None:
    def line(number: str, state: str, restarts: str, reason: str, nodes: str, name: str) -> bytes:
        return f"{number:32}{state:24}{restarts:8}{reason:64}{nodes:128}{name}".encode() + b"  "

    answer = b"\n".join(
        [
            line("12", "RUNNING", "2", "None", "n[1-2]", "abc-s0@00ff"),
            line("13_[1-4]", "PENDING", "0", "Priority", "", "somebody's | job"),
            b"garbage",
            line(
                "14", "PENDING", "0", "ReqNodeNotAvail", "", "d\xff-s0@11".encode("utf-8", "replace").decode()
            ),
        ]
    )
    jobs = squeue.parse(answer)
    assert list(jobs) == ["12", "14"]
    first = jobs["12"]
    assert (first.name, first.state, first.restarts, first.nodes) == ("abc-s0@00ff", "RUNNING", 2, "n[1-2]")
    assert (
        squeue.complaint(b"x\nsbatch: error: Batch job submission failed: Invalid account\n\n")
        == "Invalid account"
    )
    assert squeue.complaint(b"") == "it does not say why"
