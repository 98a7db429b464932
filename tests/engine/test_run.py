"""Whole runs: a recipe in, a run folder out; killed, stopped, resumed and spread over processes."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from imbtui import files, folders, store
from imbtui.paths import RunPaths

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]
StartTrainer = Callable[..., subprocess.Popen[bytes]]


def rows_of(run: RunPaths) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.metrics.read_text().splitlines()]


def timeless(row: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in row.items() if k != "time" and not k.startswith("running/")}


def evaluations(run: RunPaths) -> list[dict[str, Any]]:
    return [timeless(row) for row in rows_of(run) if "test/accuracy" in row]


def evaluated(run: RunPaths, epoch: int) -> bool:
    """Whether the run's metrics, which it may be writing just now, reach an epoch."""
    lines = run.metrics.read_bytes().splitlines(keepends=True) if run.metrics.exists() else []
    return any(json.loads(line)["epoch"] >= epoch for line in lines[-2:] if line.endswith(b"\n"))


def resume(run: RunPaths) -> None:
    submit = json.loads(run.submit.read_text())
    folders.update_submit(run, attempt=submit["attempt"] + 1)


def test_a_run_leaves_a_whole_folder(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs()
    result = train(run)
    assert result["state"] == "finished", run.result.read_text()
    assert result["epochs"] == 3
    rows = rows_of(run)
    assert [row["epoch"] for row in rows if "test/accuracy" in row] == [0, 1, 2, 3]
    last = rows[-1]
    for split in ("train", "test"):
        for name in (
            "loss",
            "accuracy",
            "error",
            "balanced_accuracy",
            "many_accuracy",
            "few_accuracy",
            "ece",
            "nll",
        ):
            assert 0 <= last[f"{split}/{name}"] < 100, name
        assert len(last[f"{split}/class_accuracy"]) == 10
    assert result["metrics"]["test/accuracy"] == last["test/accuracy"]
    assert result["best"] is None, "nothing is selected on test data"
    env = json.loads(run.env.read_text())
    assert env["class_counts"] == [120, 71, 43, 25, 15, 9, 5, 3, 2, 1]
    assert store.read(run).state == "finished"
    assert ("gpu_memory" in result) == torch.cuda.is_available()  # later runs learn from it
    assert result.get("gpu_memory", 1) > 0


def test_training_learns(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("train.epochs=30", "corruptions.long_tail=false", "train.evaluate_every=10")
    assert train(run)["metrics"]["test/accuracy"] > 0.9


def test_with_validation_the_best_epoch_is_stored_beside_the_last(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("dataset.protocol=split", "corruptions.long_tail=false", "train.epochs=5")
    result = train(run)
    assert result["best"]["selected_on"] == "val/balanced_accuracy"
    best = max(evaluations(run), key=lambda row: row["val/balanced_accuracy"])
    assert result["best"]["test/accuracy"] == best["test/accuracy"]
    stored = torch.load(run.checkpoints / "best.pt", weights_only=True)
    assert stored["best"]["epoch"] == best["epoch"]


def test_the_best_epoch_is_the_one_the_recipe_selects_on(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs(
        "dataset.protocol=split",
        "corruptions.long_tail=false",
        "train.epochs=5",
        "train.select_on=val/loss",
        "optimizer={name = 'adagrad', lr = 0.05}",
    )
    result = train(run)
    assert result["best"]["selected_on"] == "val/loss"
    lowest = min(evaluations(run), key=lambda row: row["val/loss"])
    assert result["best"]["epoch"] == lowest["epoch"] > 0
    stored = torch.load(run.checkpoints / "best.pt", weights_only=True)
    assert stored["best"]["epoch"] == lowest["epoch"]


def test_validation_examples_can_be_corrupted_like_the_others(make_runs: MakeRuns, train: Train) -> None:
    """patrini2017 §3: one draw of label noise over all examples, of which some are then set aside."""
    from imbtui.engine.data import prepare
    from imbtui.recipe.read import read_resolved

    noisy = ("dataset.protocol=stratified", "corruptions.long_tail=false", "corruptions.label_noise.rate=0.5")
    (everything,) = make_runs(*noisy)
    (run,) = make_runs(*noisy, "dataset.validation=143", "dataset.corrupt_validation=true")
    whole = prepare(read_resolved(everything.recipe), run.root).examples["train"]
    parts = prepare(read_resolved(run.recipe), run.root).examples
    assert (len(parts["train"]), len(parts["val"])) == (1294, 143)
    assert 0.35 < parts["val"].is_corrupted.mean() < 0.65
    assert not parts["test"].is_corrupted.any()
    given = dict(zip(whole.index.tolist(), whole.targets.tolist(), strict=True))
    for part in (parts["train"], parts["val"]):
        assert [given[i] for i in part.index.tolist()] == part.targets.tolist()
    assert whole.transition is not None
    assert whole.transition[0, 0] == 0.5
    (late,) = make_runs(*noisy, "dataset.corrupt_validation=true")
    assert "no validation examples to corrupt" in train(late)["reason"]


@pytest.mark.parametrize("when", ["5it", "8it", "13it"])
def test_stopping_and_resuming_changes_nothing(
    make_runs: MakeRuns, train: Train, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, disturbed = *make_runs(), *make_runs()
    train(undisturbed)
    steps = int(when[:-2])

    class Countdown(list):
        """A stop flag that is raised after a number of looks."""

        looks = 0

        def __bool__(self) -> bool:
            Countdown.looks += 1
            return Countdown.looks == steps

    assert train(disturbed, stop_flag=Countdown())["state"] == "stopped"
    assert store.read(disturbed).state == "stopped"
    resume(disturbed)
    result = train(disturbed)
    assert result["state"] == "finished"
    assert evaluations(disturbed) == evaluations(undisturbed)


def test_sigterm_writes_a_checkpoint_and_a_result(make_runs: MakeRuns, start_trainer: StartTrainer) -> None:
    (run,) = make_runs("train.epochs=100000", "train.evaluate_every=50000")
    process = start_trainer(run)
    wait_for(lambda: run.metrics.exists() and run.metrics.stat().st_size > 0, process)
    (rank,) = store.registered(run, 1)
    assert store.read(run).state == "running"
    rank.signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    result = json.loads(run.result.read_text())
    assert result["state"] == "stopped"
    assert torch.load(run.checkpoints / "last.pt", weights_only=True)["step"] > 0


def test_a_scheduler_that_ends_a_launch_leaves_checkpoints_and_no_result(
    make_runs: MakeRuns, start_trainer: StartTrainer
) -> None:
    """The run has no outcome: begun anew, its job goes on from there."""
    long = ("train.epochs=100000", "train.evaluate_every=50000")
    run, behind = *make_runs(*long), *make_runs(*long)
    process = start_trainer(run, behind, IMBTUI_RESTART="0")
    wait_for(lambda: run.metrics.exists() and run.metrics.stat().st_size > 0, process)
    (rank,) = store.registered(run, 1)
    rank.signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 1
    assert not run.result.exists() and not store.registered(behind, 1)
    assert torch.load(run.checkpoints / "last.pt", weights_only=True)["step"] > 0
    again = start_trainer(run, IMBTUI_RESTART="1")
    wait_for(lambda: store.registered(run, 1, restart=1), again)
    run.stop.write_text("1")
    store.registered(run, 1, restart=1)[0].signal(signal.SIGTERM)
    assert again.wait(timeout=30) == 0
    assert json.loads(run.result.read_text())["state"] == "stopped"


def test_killed_at_random_moments_and_resumed_it_ends_the_same(
    make_runs: MakeRuns, start_trainer: StartTrainer
) -> None:
    """With two kills; the slow version has ten."""
    kill_and_compare(make_runs, start_trainer, kills=2)


@pytest.mark.slow
def test_killed_at_ten_random_moments_and_resumed_it_ends_the_same(
    make_runs: MakeRuns, start_trainer: StartTrainer
) -> None:
    kill_and_compare(make_runs, start_trainer, kills=10)


def kill_and_compare(make_runs: MakeRuns, start_trainer: StartTrainer, *, kills: int) -> None:
    settings = (
        "train.epochs=60",
        "train.evaluate_every=1",
        "train.checkpoint_every=7it",
        "methods.class_weights=true",
    )
    undisturbed, disturbed = *make_runs(*settings), *make_runs(*settings)
    assert start_trainer(undisturbed).wait(timeout=120) == 0
    rng = random.Random(0)
    # By progress and not by the clock: a run that is over before it is hit would show nothing.
    for epoch in sorted(rng.sample(range(45), kills)):
        process = start_trainer(disturbed)
        attempt = store.read(disturbed).attempt
        wait_for(lambda a=attempt: bool(store.registered(disturbed, a)), process)
        (rank,) = store.registered(disturbed, attempt)
        wait_for(lambda e=epoch: evaluated(disturbed, e), process)
        assert rank.signal(signal.SIGKILL)
        process.wait(timeout=30)
        assert store.read(disturbed).state == "crashed"
        resume(disturbed)
    assert start_trainer(disturbed).wait(timeout=120) == 0
    assert evaluations(disturbed) == evaluations(undisturbed)
    same = [
        torch.load(r.checkpoints / "stage-train.pt", weights_only=True)["objective"]
        for r in (undisturbed, disturbed)
    ]
    assert all(torch.equal(same[0][k], same[1][k]) for k in same[0])


def test_a_crash_in_a_pack_costs_only_its_own_run(make_runs: MakeRuns, start_trainer: StartTrainer) -> None:
    first, second, third = (make_runs(f"split_seed={n}")[0] for n in range(3))
    files.write_atomic(second.recipe, second.recipe.read_text().replace('name = "mlp"', 'name = "mlpp"'))
    assert start_trainer(first, second, third).wait(timeout=60) == 1
    states = [store.read(run).state for run in (first, second, third)]
    assert states == ["finished", "failed", "finished"]
    assert 'Did you mean "mlp"' in store.read(second).reason


def test_two_processes_train_one_and_the_same_network(
    make_runs: MakeRuns, train: Train, train_on_two_ranks: Callable[..., None]
) -> None:
    """Parameters agree between ranks to the bit, and with one process up to rounding."""
    settings = [
        (
            "methods.class_weights=true",
            "augmentation.input_noise=0.0",
            f"loss.normalise={normalise}",
            "optimizer.lr=0.001",
            "corruptions.label_noise.rate=0.3",
        )
        for normalise in ("batch", "weights", "sum")
    ]
    # Its weights follow the losses of groups, which no process sees the whole of.
    settings.append(("methods.group_dro.by=class", "methods.group_dro.eta=0.5", *settings[0][1:]))
    # Its penalty is differentiated twice, inside the wrapped objective.
    settings.append(("methods.diversity.members=3", *settings[0][1:]))
    # Each process attacks its own share, and trains on it as it is and under attack.
    attack = "methods.adversarial_training={eps = 0.05, steps = 2, random_start = false, weight = 0.5}"
    settings.append((attack, *settings[0][1:]))
    pairs = [(*make_runs(*s), *make_runs(*s)) for s in settings]
    train_on_two_ranks(*(together for _, together in pairs))
    for alone, together in pairs:
        train(alone)
        single, double = (
            torch.load(r.checkpoints / "stage-train.pt", weights_only=True)["objective"]
            for r in (alone, together)
        )
        for name in single:
            torch.testing.assert_close(single[name], double[name], atol=2e-5, rtol=1e-4)
        assert store.read(together).digest == store.read(alone).digest
        assert labels(together) == labels(alone), "the same noise was drawn"
        for key in ("test/accuracy", "test/ece", "train/loss", "train/corrupted_accuracy"):
            assert evaluations(together)[-1][key] == pytest.approx(evaluations(alone)[-1][key], abs=1e-3)


def labels(run: RunPaths) -> dict[str, list[int]]:
    """Return which examples a run trained on, with which labels and marks."""
    with np.load(run.artifacts / "training_labels.npz") as file:
        return {name: values.tolist() for name, values in file.items()}


def test_bad_data_fails_with_a_sentence(
    make_runs: MakeRuns, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = make_runs("corruptions.long_tail.n_max=500")
    result = train(run)
    assert result["state"] == "failed"
    assert "\n" not in result["reason"]


def test_an_early_target_ends_the_run(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs(
        "train.epochs=50",
        'train.until={metric = "train/accuracy", reaches = 0.5}',
        "corruptions.long_tail=false",
    )
    result = train(run)
    assert result["state"] == "finished"
    assert 0 < result["epochs"] < 50
    assert result["metrics"]["train/accuracy"] >= 0.5


@pytest.mark.parametrize("precision", ["bf16", "tf32", "fp64"])
def test_precisions_train(make_runs: MakeRuns, train: Train, precision: str) -> None:
    (run,) = make_runs(f"train.precision={precision}")
    result = train(run)
    assert result["state"] == "finished", result["reason"]
    state = torch.load(run.checkpoints / "stage-train.pt", weights_only=True)["objective"]
    expected = torch.float64 if precision == "fp64" else torch.float32
    assert {v.dtype for k, v in state.items() if k.startswith("model.")} == {expected}


@pytest.mark.skipif(torch.cuda.is_available(), reason="fp16 trains where there is a GPU")
def test_fp16_without_a_gpu_says_so(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("train.precision=fp16")
    assert "fp16 needs a GPU" in train(run)["reason"]


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the trainer ended early"
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)
