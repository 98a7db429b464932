"""Runs that train together: each is what it would be alone; what cannot be shared trains alone."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from imbtui import folders, store
from imbtui.engine import fuse, session
from imbtui.engine.batch import Batch
from imbtui.engine.fused import NotFused, check_equality
from imbtui.engine.objective import Objective
from imbtui.engine.tick import Tick
from imbtui.paths import RunPaths

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]
StartTrainer = Callable[..., subprocess.Popen[bytes]]
Together = Callable[..., int]

RECIPE = """
title = "together"
seeds = [0, 1, 2, 3]
[dataset]
name = "digits"
protocol = "long_tail"
[[corruptions]]
name = "long_tail"
ratio = 100
n_max = 120
[augmentation]
input_noise = 0.1
[model]
name = "mlp"
hidden = [16, 16]
[loss]
name = "cross_entropy"
normalise = "weights"
[optimizer]
name = "sgd"
lr = 0.05
momentum = 0.9
weight_decay = 1e-3
[train]
epochs = 3
batch_size = 64
threads = 1
precision = "fp64"
fuse = true
"""
LDAM_DRW = ("loss.name=ldam", "model.head=cosine", "methods.class_weights.start_epoch=2")


@pytest.fixture
def flag(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What a signal handler would fill; nothing of this process is redirected."""
    asked: list[int] = []
    monkeypatch.setattr(session, "redirect", lambda log: None)
    monkeypatch.setattr(session, "catch_stop", lambda: asked)
    return asked


@pytest.fixture
def together(flag: list[int]) -> Together:
    """Train runs together in this process; return the status."""
    return lambda *runs: fuse.train(runs, {})


@pytest.fixture
def seeds(make_runs: MakeRuns) -> Callable[..., list[RunPaths]]:
    """The four runs of the recipe, with overrides."""
    return lambda *assignments: make_runs(*assignments, toml=RECIPE)


def result_of(run: RunPaths) -> dict[str, Any]:
    return json.loads(run.result.read_text())


def rows_of(run: RunPaths) -> list[dict[str, Any]]:
    """The evaluations, the probes' rows and conclusions; rows between them come by the clock."""
    rows = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    kept = [{k: v for k, v in row.items() if k != "time" and not k.startswith("running/")} for row in rows]
    return [row for row in kept if len(row) > 3]


def resumed(run: RunPaths) -> RunPaths:
    folders.update_submit(run, attempt=session.attempt_of(run) + 1)
    run.stop.unlink(missing_ok=True)
    return run


def assert_equal(ours: Any, theirs: Any, tolerance: float, where: str = "") -> None:
    """Assert that documents have equal keys and lengths, and numbers within a tolerance."""
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys(), where
        for key in theirs:
            assert_equal(ours[key], theirs[key], tolerance, f"{where}/{key}")
    elif isinstance(theirs, list | tuple):
        assert len(ours) == len(theirs), where
        for number, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            assert_equal(a, b, tolerance, f"{where}/{number}")
    elif isinstance(theirs, torch.Tensor):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance, msg=where)
        assert ours.untyped_storage().nbytes() == theirs.untyped_storage().nbytes(), f"{where} saves the rest"
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=tolerance, abs=tolerance), where
    else:
        assert ours == theirs, where


def assert_same_run(ours: RunPaths, theirs: RunPaths, tolerance: float = 1e-9) -> None:
    """Assert that two runs have equal rows, results and end states."""
    assert_equal(rows_of(ours), rows_of(theirs), tolerance, "metrics.jsonl")
    unequal = ("seconds", "attempt", "gpu_memory")
    documents = [{k: v for k, v in result_of(run).items() if k not in unequal} for run in (ours, theirs)]
    for document in documents:
        document["metrics"] = {k: v for k, v in document["metrics"].items() if k[:8] != "running/"}
    assert_equal(*documents, tolerance, "result.json")
    ends = [torch.load(run.checkpoints / "stage-train.pt", weights_only=True) for run in (ours, theirs)]
    for end in ends:
        del end["log"]
    assert_equal(*ends, tolerance, "stage-train.pt")


def others(run: RunPaths) -> list[str]:
    return json.loads(run.env.read_text()).get("fused_with", [])


@pytest.mark.parametrize(
    "assignments",
    [
        (),
        LDAM_DRW,
        ("optimizer={name = 'adamw', lr = 0.01}", "augmentation.input_noise=0.0", "train.batch_size=all"),
        ("optimizer={name = 'adagrad'}", "methods.extra_l2.strength=0.01", "dataset.validation=40"),
        ("probes.norms.every=1", "probes.margins.every='5it'", "split_seed=3", "train.evaluate_every='60%'"),
    ],
    ids=["momentum", "LDAM-DRW", "whole batches", "penalty", "probes"],
)
def test_each_is_what_it_would_be_alone(
    seeds: Any, together: Together, train: Train, assignments: tuple[str, ...]
) -> None:
    runs, alone = seeds(*assignments), seeds(*assignments)
    assert together(*runs) == 0
    for run, same in zip(runs, alone, strict=True):
        assert result_of(run)["state"] == "finished"
        assert others(run) == [other.id for other in runs if other is not run]
        train(same)
        assert others(same) == []
        assert_same_run(run, same)
    assert len({json.dumps(rows_of(run)[-1]) for run in runs}) == len(runs)


def test_single_precision_agrees_to_single_precision(seeds: Any, together: Together, train: Train) -> None:
    runs, alone = (seeds("train.precision=fp32", *LDAM_DRW) for _ in range(2))
    together(*runs)
    train(alone[1])
    assert_same_run(runs[1], alone[1], 1e-3)


def test_what_a_probe_draws_without_a_generator_of_its_own_is_the_same(
    seeds: Any, together: Together, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imbtui.probes.norms import Norms

    monkeypatch.setattr(Norms, "measure", lambda self, objective, batch, t: {"drawn": float(torch.rand(()))})
    runs, alone = seeds("probes.norms.every=1"), seeds("probes.norms.every=1")
    together(*runs)
    for run, same in zip(runs, alone, strict=True):
        train(same)
        assert_same_run(run, same, 0)


def stop(run: RunPaths, flag: list[int], text: str = "1") -> None:
    run.stop.write_text(text)
    flag.append(signal.SIGTERM)


@pytest.fixture
def after_steps(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], None]], None]:
    """Do something while runs train together, after so many of their steps."""
    from imbtui.engine.fused_run import FusedRun

    def at(steps: int, do: Callable[[], None]) -> None:
        original = FusedRun.stop_requested

        def asked(self: FusedRun, t: Tick) -> bool:
            if t.step + 1 == steps:
                do()
            return original(self, t)

        monkeypatch.setattr(FusedRun, "stop_requested", asked)

    return at


@pytest.mark.parametrize("text", ["1", ""])
def test_one_that_is_stopped_leaves_and_goes_on_alone(
    seeds: Any, together: Together, train: Train, flag: list[int], after_steps: Any, text: str
) -> None:
    runs, alone = seeds(*LDAM_DRW), seeds(*LDAM_DRW)
    after_steps(7, lambda: stop(runs[2], flag, text))
    assert together(*runs) == 0
    assert [result_of(run)["state"] for run in runs] == ["finished", "finished", "stopped", "finished"]
    assert result_of(runs[2])["steps"] < result_of(runs[1])["steps"]
    assert torch.load(runs[2].checkpoints / "last.pt", weights_only=True)["step"] == 7
    train(resumed(runs[2]))
    assert others(runs[2]) == []
    for run, same in zip(runs, alone, strict=True):
        train(same)
        assert_same_run(run, same)


def test_stopped_together_they_go_on_together(
    seeds: Any, together: Together, train: Train, flag: list[int], after_steps: Any
) -> None:
    """A signal that no stop file explains is meant for all of them."""
    runs, alone = seeds(), seeds()
    after_steps(7, lambda: flag.append(signal.SIGTERM))
    assert together(*runs) == 0
    assert [result_of(run)["state"] for run in runs] == ["stopped"] * 4
    assert not flag
    for run in runs:
        resumed(run)
        run.env.unlink()
    after_steps(0, lambda: None)
    assert together(*runs) == 0
    for run, same in zip(runs, alone, strict=True):
        assert len(others(run)) == 3
        train(same)
        assert_same_run(run, same)


def test_checkpoints_of_runs_alone_go_on_together(seeds: Any, together: Together, train: Train) -> None:
    runs, alone = seeds("train.checkpoint_every='5it'"), seeds()
    for run in runs:
        train(run, [signal.SIGTERM])
        assert result_of(resumed(run))["state"] == "stopped"
    assert together(*runs) == 0
    for run, same in zip(runs, alone, strict=True):
        assert len(others(run)) == 3
        train(same)
        assert_same_run(run, same)


def test_one_that_fails_by_itself_leaves_the_others(
    seeds: Any, together: Together, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imbtui.probes.norms import Norms

    whole = Norms.measure
    assignments = ("probes.norms.every=1",)
    runs, alone = seeds(*assignments), seeds(*assignments)

    def measure(self: Norms, objective: torch.nn.Module, batch: Batch, t: Tick) -> Any:
        if result["lame"] and objective is lame[0] and t.epoch == 1:
            raise ValueError("no room for a norm")
        return whole(self, objective, batch, t)

    lame: list[torch.nn.Module] = []
    result = {"lame": True}
    from imbtui.engine.fused_run import FusedRun

    original = FusedRun.__init__

    def remember(self: FusedRun, members: Any, stop_flag: list[int]) -> None:
        lame.append(members[1].run.objective)
        original(self, members, stop_flag)

    monkeypatch.setattr(FusedRun, "__init__", remember)
    monkeypatch.setattr(Norms, "measure", measure)
    assert together(*runs) == 1
    assert [result_of(run)["state"] for run in runs] == ["finished", "failed", "finished", "finished"]
    assert result_of(runs[1])["reason"] == "ValueError: no room for a norm"
    result["lame"] = False
    train(alone[3])
    assert_same_run(runs[3], alone[3])


@pytest.mark.parametrize(
    ("assignments", "says"),
    [
        (("model.dropout=0.1",), "randomness"),
        (("model.batch_norm=true",), "BatchNorm1d train faster one after another"),
        (("model={name = 'small_cnn'}",), "train faster one after another"),
        (("methods.manifold_mixup={}",), "ManifoldMixup does more than"),
        (("methods.resample={}",), "Resample does more than"),
        (("methods.group_dro={}", "methods.group_dro.by=class"), "a step changes state beside the weights"),
    ],
)
def test_what_cannot_train_together_is_left_alone_and_says_why(
    seeds: Any, together: Together, assignments: tuple[str, ...], says: str
) -> None:
    runs = seeds(*assignments)
    assert together(*runs) == fuse.NOT_FUSED
    for run in runs:
        assert "train.fuse has no effect here: " in run.log.read_text()
        assert says in run.log.read_text()
        assert not run.result.exists() and not list(run.ranks.iterdir()) and not run.metrics.exists()


def test_data_that_would_fill_the_memory_is_not_held_many_times(
    seeds: Any, together: Together, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuse, "MOST_DATA", 1 << 18)
    runs = seeds()
    assert together(*runs) == fuse.NOT_FUSED
    assert "their data is too large" in runs[3].log.read_text()


def test_what_cannot_even_be_built_is_told_where_each_is_trained(
    seeds: Any, together: Together, train: Train, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("IMBTUI_DATA", str(tmp_path))
    runs = seeds("dataset={name = 'mnist'}")
    assert together(*runs) == fuse.NOT_FUSED
    assert not any(run.log.exists() for run in runs)
    assert "data get" in train(runs[0])["reason"]


class Shifted(torch.nn.Module):
    """A loss that keeps what differs between seeds where no member axis can reach it."""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(self.shift * logits, targets, reduction="none")


@pytest.mark.parametrize(
    ("shifts", "start", "refused"), [((1.0, 1.0), 0, False), ((1.0, 2.0), 0, True), ((1.0, 2.0), 3, True)]
)
def test_what_differs_between_seeds_beside_tensors_is_found(
    shifts: tuple[float, ...], start: int, refused: bool
) -> None:
    """Even where it matters from the fourth epoch on only."""
    torch.manual_seed(0)
    objectives = [Objective(torch.nn.Linear(4, 3), Shifted(shift), [], start_epoch=start) for shift in shifts]
    before = [parameter.clone() for objective in objectives for parameter in objective.parameters()]
    batches = [batch_of(torch.randn(8, 4), torch.randint(3, (8,))) for _ in shifts]
    ticks = [Tick("train", step, 1, 10) for step in (0, 9)]
    if refused:
        with pytest.raises(NotFused, match="would not be what it is alone"):
            check_equality(objectives, batches, ticks)
    else:
        check_equality(objectives, batches, ticks)
    after = [parameter for objective in objectives for parameter in objective.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def batch_of(x: torch.Tensor, y: torch.Tensor) -> Batch:
    return Batch(x, y, torch.arange(len(y)), y, torch.zeros(len(y), dtype=torch.bool))


def test_a_pack_killed_at_any_moment_goes_on_to_the_same_ends(
    seeds: Any, together: Together, train: Train, start_trainer: StartTrainer
) -> None:
    """Through the trainer itself: two arms, of which one has too few seeds to train together."""
    longer = ("train.epochs=30", "train.checkpoint_every='3it'", "train.evaluate_every=10")
    runs, alone = seeds(*longer), seeds(*longer)
    (single, *_) = seeds("optimizer.lr=0.01", "train.epochs=1")
    trainer = start_trainer(single, *runs)
    deadline = time.monotonic() + 60
    while not (runs[3].checkpoints / "last.pt").exists():
        assert time.monotonic() < deadline and trainer.poll() is None
        time.sleep(0.005)
    processes = {store.registered(run, 1)[0] for run in runs}
    assert len(processes) == 1
    processes.pop().signal(signal.SIGKILL)
    assert trainer.wait(60) == 1
    assert result_of(single)["state"] == "finished" and others(single) == []
    for run in runs:
        assert run.log.read_text().splitlines()[-1] == "imbtui: the run was ended by SIGKILL"
        assert not run.result.exists() and len(others(run)) == 3
        resumed(run)
    # The kill may have come between the checkpoints of two members.
    if together(*runs) == fuse.NOT_FUSED:
        assert "they stand at different steps" in runs[0].log.read_text()
        for run in runs:
            train(run)
    for run, same in zip(runs, alone, strict=True):
        train(same)
        assert_same_run(run, same)


def test_only_runs_that_differ_in_their_seeds_train_together(seeds: Any) -> None:
    runs, wider = seeds(), seeds("model.hidden=[8]")
    off = seeds("train.fuse=false", "optimizer.lr=0.2")
    never = seeds("train.until={metric = 'train/error', reaches = 0.1}")
    fellows = fuse.Fellows([*runs, *wider, *off, *never])
    assert fellows.of(runs[0], [*wider, *runs[1:], *off]) == runs
    assert fellows.of(off[0], off[1:]) == fellows.of(never[0], never[1:]) == []
    assert fellows.of(wider[1], wider[2:]) == [], "two or three are not worth it"
    wider[2].stop.write_text("1")
    assert fellows.of(wider[0], wider[1:]) == []
    fellows.refuse(runs[0])
    assert fellows.of(runs[0], runs[1:]) == []
