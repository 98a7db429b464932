"""Lottery tickets: levels, masks, rewinding, controls, restarts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from imbtui import folders
from imbtui.engine.batch import Batch
from imbtui.engine.run import Run
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.methods._masks import prunable_layers
from imbtui.methods._networks import networks_in
from imbtui.metrics import pick
from imbtui.numerics.pruning import prune_count, remaining_counts
from imbtui.paths import RunPaths

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]

TOML = """
title = "small tickets"
[dataset]
name = "digits"
n_train = 300
n_val = 100
[model]
name = "lenet_300_100"
hidden = [20, 10]
[[methods]]
name = "lottery"
rounds = 3
output_rate = 0.1
[optimizer]
name = "adam"
lr = 2e-3
[train]
steps = 12
batch_size = 60
drop_last = true
evaluate_every = "6it"
threads = 1
"""
SIZES = {"body.1": 64 * 20, "body.3": 20 * 10, "head": 100}


@dataclass
class Watch:
    """What a run did: the network at the start of each stage, and the batches it saw."""

    begins: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    batches: dict[str, list[list[int]]] = field(default_factory=dict)
    leaks: int = 0
    masked_steps: int = 0


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Watch runs, and count removed weights that are not zero, or have a gradient, after a step."""
    seen = Watch()
    fit, measure = Run.fit, Run.measure

    def watched_fit(self: Run, stage: str, **points: Any) -> None:
        seen.begins[stage] = {k: v.clone() for k, v in self.objective.model.state_dict().items()}
        fit(self, stage, **points)

    def watched_measure(self: Run, objective: nn.Module, batch: Batch, logs: Any, t: Tick) -> None:
        seen.batches.setdefault(t.stage, []).append(batch.index.tolist())
        (lottery,) = (m for m in self.objective.methods if m.plan is not None)
        for layer, mask in zip(lottery.layers, lottery.masks.buffers(), strict=True):
            seen.masked_steps += not bool(mask.all())
            seen.leaks += int(layer.weight[~mask].count_nonzero())
            seen.leaks += int(layer.weight.grad[~mask].count_nonzero())
        measure(self, objective, batch, logs, t)

    monkeypatch.setattr(Run, "fit", watched_fit)
    monkeypatch.setattr(Run, "measure", watched_measure)
    return seen


def rows_of(run: RunPaths) -> list[dict[str, Any]]:
    """Return the rows without times, and without those that are only written because time has passed."""
    rows = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    plain = [{k: v for k, v in row.items() if k != "time" and not k.startswith("running/")} for row in rows]
    return [row for row in plain if row.keys() > {"stage", "step", "epoch"}]


def noted(run: RunPaths) -> dict[str, dict[str, Any]]:
    """Return the `lottery/*` values of each stage, in the order of the stages."""
    return {row["stage"]: row for row in rows_of(run) if "lottery/level" in row}


def masks_of(run: RunPaths, stage: str) -> dict[str, Tensor]:
    return load_file(run.artifacts / f"masks-{stage}.safetensors")


def end_of(run: RunPaths, stage: str) -> dict[str, Tensor]:
    """Return the model's state at the end of a stage."""
    state = torch.load(run.checkpoints / f"stage-{stage}.pt", weights_only=True)["objective"]
    return {k.removeprefix("model."): v for k, v in state.items() if k.startswith("model.")}


def remaining(run: RunPaths, stage: str) -> list[int]:
    return [noted(run)[stage][f"lottery/remaining/{layer}"] for layer in SIZES]


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def masked(state: dict[str, Tensor], masks: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k: v * masks[k] if k in masks else v for k, v in state.items()}


def test_levels_are_stages_with_the_counts_of_the_rule(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs(toml=TOML)
    result = train(run)
    assert result["state"] == "finished", result["reason"]
    assert list(noted(run)) == ["level-0", "level-1", "level-2", "level-3"]
    expected = {
        layer: remaining_counts(size, 0.1 if layer == "head" else 0.2, 3) for layer, size in SIZES.items()
    }
    for level, (stage, row) in enumerate(noted(run).items()):
        counts = [expected[layer][level] for layer in SIZES]
        assert remaining(run, stage) == counts
        assert [int(m.sum()) for m in masks_of(run, stage).values()] == counts
        assert row["lottery/level"] == level
        assert row["lottery/remaining"] == sum(counts)
        assert row["lottery/density"] == pytest.approx(sum(counts) / sum(SIZES.values()))
        assert row["lottery/pruned_fraction"] == pytest.approx(1 - row["lottery/density"])
    for level in (1, 2, 3):
        for name, mask in masks_of(run, f"level-{level}").items():
            before = masks_of(run, f"level-{level - 1}")[name]
            assert bool((before | ~mask).all()), "a removed weight came back"
            smallest_kept = end_of(run, f"level-{level - 1}")[name][mask].abs().min()
            assert bool(
                (end_of(run, f"level-{level - 1}")[name][before & ~mask].abs() <= smallest_kept).all()
            )
    assert result["metrics"]["lottery/level"] == 3
    assert result["metrics"]["test/accuracy"] == rows_of(run)[-2]["test/accuracy"]


def test_level_0_is_plain_training(make_runs: MakeRuns, train: Train) -> None:
    (tickets,), (plain,) = make_runs(toml=TOML), make_runs("methods.lottery=false", toml=TOML)
    train(tickets)
    train(plain)
    dense = [row for row in rows_of(tickets) if row["stage"] == "level-0" and "test/loss" in row]
    assert dense == [row | {"stage": "level-0"} for row in rows_of(plain)]


@pytest.mark.parametrize(
    "settings",
    [
        ("optimizer={name = 'sgd', lr = 0.1, momentum = 0.9, weight_decay = 0.01}",),
        ("optimizer={name = 'sgd', lr = 0.1, momentum = 0.9, weight_decay = 0.01, nesterov = true}",),
        ("optimizer={name = 'adam', lr = 1e-2, weight_decay = 0.1}",),
        ("optimizer={name = 'adamw', lr = 1e-2, weight_decay = 0.1}",),
        ("train.precision=bf16",),
        ("model.name=small_cnn", "model.width=4", "methods.lottery.conv_rate=0.3"),
        ("methods.lottery={name = 'lottery', rounds = 2, scope = 'global'}", "model.head=cosine"),
    ],
    ids=["momentum", "nesterov", "adam", "adamw", "bf16", "convolutions", "global-cosine"],
)
def test_removed_weights_stay_exactly_zero(
    make_runs: MakeRuns, train: Train, watch: Watch, settings: tuple[str, ...]
) -> None:
    (run,) = make_runs(*settings, toml=TOML)
    assert train(run)["state"] == "finished", run.result.read_text()
    assert watch.masked_steps > 20
    assert watch.leaks == 0
    for stage in noted(run):
        for name, mask in masks_of(run, stage).items():
            assert not end_of(run, stage)[name][~mask].any()
            assert end_of(run, stage)[name][mask].all()


def test_a_level_says_when_it_would_have_stopped_and_whether_it_wins(
    make_runs: MakeRuns, train: Train
) -> None:
    """frankle2019 §2: a winning ticket stops no later, and is no less accurate there."""
    settings = ("methods.lottery.controls=['random_reinit']", "train.evaluate_every='3it'")
    (run,) = make_runs(*settings, toml=TOML)
    result = train(run)
    rows = rows_of(run)
    said = {row["stage"]: row for row in rows if "lottery/early_stop_step" in row}
    assert list(said) == ["level-0", "level-1", "level-2", "level-3-random_reinit", "level-3"]
    dense, winning = said["level-0"], []
    assert "lottery/is_winning" not in dense
    for stage, row in said.items():
        assert row["step"] == 12
        step, accuracy = row["lottery/early_stop_step"], row["lottery/early_stop_accuracy"]
        assert step == pick(rows, "step", "argmin:val/loss", stage)
        assert accuracy == pick(rows, "test/accuracy", "argmin:val/loss", stage)
        assert row["lottery/early_stop_loss"] == pick(rows, "val/loss", "min", stage)
        if stage != "level-0":
            later = step > dense["lottery/early_stop_step"]
            worse = accuracy < dense["lottery/early_stop_accuracy"]
            assert row["lottery/is_winning"] == float(not (later or worse))
            assert row["lottery/speedup"] == dense["lottery/early_stop_step"] / step
        if row.get("lottery/is_winning") and not stage.endswith("reinit"):
            winning.append(noted(run)[stage]["lottery/density"])
    smallest = min(winning, default=None)
    assert said["level-3"]["lottery/smallest_winning_density"] == smallest
    assert result["metrics"]["lottery/smallest_winning_density"] == smallest


def test_without_a_validation_split_no_early_stop_is_said(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("dataset.n_val=0", toml=TOML)
    assert train(run)["state"] == "finished", run.result.read_text()
    assert not any("lottery/early_stop_step" in row for row in rows_of(run))


def test_they_stay_zero_whatever_else_moves_them(
    make_runs: MakeRuns, train: Train, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched, backward, autocast = Run.measure, Run.backward, Run.autocast
    seen_by_forward = []

    def nudge(run: Run) -> None:
        with torch.no_grad():
            for parameter in run.objective.model.parameters():
                parameter.add_(0.01)

    def nudged_backward(self: Run, loss: Tensor) -> None:
        backward(self, loss)
        nudge(self)

    def nudged_measure(self: Run, objective: nn.Module, batch: Batch, logs: Any, t: Tick) -> None:
        watched(self, objective, batch, logs, t)
        if not t.last:
            nudge(self)

    def watched_autocast(self: Run) -> Any:
        (lottery,) = self.objective.methods
        for layer, mask in zip(lottery.layers, lottery.masks.buffers(), strict=True):
            seen_by_forward.append(int(layer.weight[~mask].count_nonzero()))
        return autocast(self)

    monkeypatch.setattr(Run, "backward", nudged_backward)
    monkeypatch.setattr(Run, "measure", nudged_measure)
    monkeypatch.setattr(Run, "autocast", watched_autocast)
    (run,) = make_runs(toml=TOML)
    assert train(run)["state"] == "finished", run.result.read_text()
    assert watch.masked_steps > 20
    assert watch.leaks == 0
    assert len(seen_by_forward) == 4 * 12 * 3
    assert not any(seen_by_forward)


def test_every_level_starts_from_the_initial_weights(make_runs: MakeRuns, train: Train, watch: Watch) -> None:
    (run,) = make_runs("model.name=mlp", "model.hidden=[20, 10]", "model.batch_norm=true", toml=TOML)
    assert train(run)["state"] == "finished", run.result.read_text()
    initial = watch.begins["level-0"]
    assert not same(initial, end_of(run, "level-0"))
    assert any("running_mean" in k for k in initial), "batch norm is part of what is restored"
    for level in (1, 2, 3):
        assert same(watch.begins[f"level-{level}"], masked(initial, masks_of(run, f"level-{level}")))
    assert len(watch.batches["level-0"]) == 12
    assert all(seen == watch.batches["level-0"] for seen in watch.batches.values()), "same batch order"


def test_rewinding_goes_on_from_step_k(make_runs: MakeRuns, train: Train, watch: Watch) -> None:
    settings = ("methods.lottery.rewind=4it", "schedule.milestones=['50%']")
    (run,) = make_runs(*settings, toml=TOML)
    assert train(run)["state"] == "finished", run.result.read_text()
    assert list(watch.batches) == ["rewind", "level-0", "level-1", "level-2", "level-3"]
    rewound = end_of(run, "rewind")
    assert not same(rewound, watch.begins["rewind"])
    for level in range(4):
        stage = f"level-{level}"
        assert same(watch.begins[stage], masked(rewound, masks_of(run, stage)))
        assert [row["step"] for row in rows_of(run) if row["stage"] == stage] == [4, 4, 6, 12, 12]
    # Steps 4 and on are those of an undisturbed run: 5 batches an epoch.
    assert len(watch.batches["rewind"]) == 4
    (plain,) = make_runs(toml=TOML)
    rewind_batches = dict(watch.batches)
    watch.batches.clear()
    train(plain)
    assert rewind_batches["rewind"] + rewind_batches["level-2"] == watch.batches["level-2"]


def test_the_rewind_stage_keeps_the_schedule_of_a_whole_level(
    make_runs: MakeRuns, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: dict[str, list[float]] = {}
    save = Run.measure

    def watched(self: Run, objective: nn.Module, batch: Batch, logs: Any, t: Tick) -> None:
        from imbtui.engine.optim import lr_at

        rates.setdefault(t.stage, []).append(lr_at(self.recipe.schedule, 1.0, t))
        save(self, objective, batch, logs, t)

    monkeypatch.setattr(Run, "measure", watched)
    (run,) = make_runs("methods.lottery.rewind='25%'", "schedule.name=cosine", toml=TOML)
    train(run)
    (plain,) = make_runs("schedule.name=cosine", toml=TOML)
    rewound = dict(rates)
    rates.clear()
    train(plain)
    assert len(rewound["rewind"]) == 3
    assert rewound["rewind"] + rewound["level-1"] == rates["level-1"]


def test_continued_training_resets_only_at_the_end(make_runs: MakeRuns, train: Train, watch: Watch) -> None:
    (run,) = make_runs(
        "methods.lottery.strategy=continued",
        "methods.lottery.controls=['random_mask']",
        "methods.lottery.control_rounds=[2]",
        toml=TOML,
    )
    assert train(run)["state"] == "finished", run.result.read_text()
    for level in (1, 2):
        kept = masked(end_of(run, f"level-{level - 1}"), masks_of(run, f"level-{level}"))
        assert same(watch.begins[f"level-{level}"], kept)
    assert same(watch.begins["level-3"], masked(watch.begins["level-0"], masks_of(run, "level-3")))


def test_one_shot_prunes_once(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("methods.lottery.one_shot=true", toml=TOML)
    assert train(run)["state"] == "finished", run.result.read_text()
    assert list(noted(run)) == ["level-0", "level-3"]
    rates = {"body.1": 1 - 0.8**3, "body.3": 1 - 0.8**3, "head": 1 - 0.9**3}
    assert remaining(run, "level-3") == [
        SIZES[layer] - prune_count(rates[layer], SIZES[layer]) for layer in SIZES
    ]


@pytest.mark.parametrize("compat", [None, "google", "open_lth"])
def test_global_pruning_spares_what_is_excluded(
    make_runs: MakeRuns, train: Train, compat: str | None
) -> None:
    options = f", compat = '{compat}'" if compat else ""
    (run,) = make_runs(
        f"methods.lottery={{name = 'lottery', rounds = 2, scope = 'global', exclude = ['head']{options}}}",
        toml=TOML,
    )
    assert train(run)["state"] == "finished", run.result.read_text()
    prunable, elsewhere = SIZES["body.1"] + SIZES["body.3"], SIZES["head"]
    left = remaining_counts(prunable, 0.2, 2, compat=compat, elsewhere=elsewhere)  # type: ignore[arg-type]
    assert left[2] == {None: 947, "google": 945, "open_lth": 909}[compat]
    for level in range(3):
        row = noted(run)[f"level-{level}"]
        assert row["lottery/remaining/body.1"] + row["lottery/remaining/body.3"] == left[level]
        assert "lottery/remaining/head" not in row
        assert row["lottery/density"] == pytest.approx((left[level] + elsewhere) / sum(SIZES.values()))


def test_controls(make_runs: MakeRuns, train: Train, watch: Watch) -> None:
    (run,) = make_runs(
        "methods.lottery.controls=['random_reinit', 'random_mask', 'random_mask_global']",
        "methods.lottery.control_rounds=[1, 3]",
        toml=TOML,
    )
    result = train(run)
    assert result["state"] == "finished", result["reason"]
    assert list(watch.batches) == [
        "level-0",
        "level-1-random_reinit",
        "level-1-random_mask",
        "level-1-random_mask_global",
        "level-1",
        "level-2",
        "level-3-random_reinit",
        "level-3-random_mask",
        "level-3-random_mask_global",
        "level-3",
    ]
    assert watch.leaks == 0
    (plain,) = make_runs(toml=TOML)
    train(plain)
    for level in (1, 2, 3):
        assert same(masks_of(run, f"level-{level}"), masks_of(plain, f"level-{level}")), (
            "controls stay beside"
        )
    initial = watch.begins["level-0"]
    drawn = []
    for level in (1, 3):
        ticket, stage = masks_of(run, f"level-{level}"), f"level-{level}-random_reinit"
        assert same(masks_of(run, stage), ticket)
        for name, mask in ticket.items():
            new = watch.begins[stage][name]
            assert not new[~mask].any()
            assert not (new[mask] == initial[name][mask]).any()
            assert new[mask].std() == pytest.approx(initial[name].std(), rel=0.4)
        drawn.append(watch.begins[stage]["head.weight"])
        shuffled = masks_of(run, f"level-{level}-random_mask")
        assert same(watch.begins[f"level-{level}-random_mask"], masked(initial, shuffled))
        assert not same(shuffled, ticket)
        assert remaining(run, f"level-{level}-random_mask") == remaining(run, f"level-{level}")
        everywhere = remaining(run, f"level-{level}-random_mask_global")
        assert sum(everywhere) == sum(remaining(run, f"level-{level}"))
        assert everywhere != remaining(run, f"level-{level}")
    both = drawn[0].bool() & drawn[1].bool()
    assert not (drawn[0][both] == drawn[1][both]).any(), "each control draws anew"


def test_controls_of_initial_weights(make_runs: MakeRuns, train: Train, watch: Watch) -> None:
    """frankle2019 §3: pruned before training, drawn from the ticket's own weights, or with noise added."""
    (run,) = make_runs(
        "methods.lottery.controls=['prune_at_init', 'reinit_from_ticket', 'noise']",
        "methods.lottery.noise=[0.5, 3]",
        toml=TOML,
    )
    assert train(run)["state"] == "finished", run.result.read_text()
    controls = ["prune_at_init", "reinit_from_ticket", "noise_0.5", "noise_3"]
    assert list(watch.begins)[3:] == [*(f"level-3-{name}" for name in controls), "level-3"]
    assert watch.leaks == 0
    initial, ticket = watch.begins["level-0"], masks_of(run, "level-3")
    largest = masks_of(run, "level-3-prune_at_init")
    assert same(watch.begins["level-3-prune_at_init"], masked(initial, largest))
    drawn = watch.begins["level-3-reinit_from_ticket"]
    for name, mask in ticket.items():
        assert largest[name].sum() == mask.sum()
        magnitudes = initial[name].abs()
        assert magnitudes[largest[name]].min() > magnitudes[~largest[name]].max()
        assert set(drawn[name][mask].tolist()) <= set(initial[name][mask].tolist())
        assert (drawn[name][mask] != initial[name][mask]).float().mean() > 0.9
        for c in (0.5, 3):
            added = (watch.begins[f"level-3-noise_{c:g}"][name] - initial[name])[mask]
            assert added.std() == pytest.approx(c * float(initial[name].std()), rel=0.4)
    for name in controls[1:]:
        assert same(masks_of(run, f"level-3-{name}"), ticket)


def test_controls_come_at_the_last_level_when_none_is_named(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("methods.lottery.controls=['random_mask']", toml=TOML)
    train(run)
    assert list(noted(run))[-2:] == ["level-3-random_mask", "level-3"]


RESTARTED = (
    "methods.lottery.rewind=3it",
    "methods.lottery.controls=['random_reinit', 'random_mask']",
    "methods.lottery.control_rounds=[2]",
    "train.checkpoint_every=5it",
)
STEPS = 3 + 9 * 6


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, Any]:
    """What the undisturbed run of the restart tests left; filled by the first of them."""
    return {}


@pytest.mark.parametrize("looks", [2, 3, 11, 20, 29, 31, 47])
def test_stopped_and_resumed_it_ends_the_same(
    make_runs: MakeRuns, train: Train, undisturbed: dict[str, Any], looks: int
) -> None:
    if not undisturbed:
        (run,) = make_runs(*RESTARTED, toml=TOML)
        assert train(run)["state"] == "finished", run.result.read_text()
        undisturbed |= {"rows": rows_of(run), "masks": {s: masks_of(run, s) for s in noted(run)}}

    class Countdown(list):  # type: ignore[type-arg]
        """A stop flag that is raised after a number of looks, one a step."""

        left = looks

        def __bool__(self) -> bool:
            self.left -= 1
            return self.left == 0

    (run,) = make_runs(*RESTARTED, toml=TOML)
    assert train(run, stop_flag=Countdown())["state"] == "stopped"
    folders.update_submit(run, attempt=2)
    assert train(run)["state"] == "finished", run.result.read_text()
    assert rows_of(run) == undisturbed["rows"]
    assert all(same(masks_of(run, s), masks) for s, masks in undisturbed["masks"].items())


KILL = """
import os, signal, sys
from imbtui.engine import session
from imbtui.engine.run import Run
from imbtui.paths import RunPaths
from pathlib import Path

measure = Run.measure
def fatal(self, objective, batch, logs, t):
    if t.stage == "level-5" and t.step == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    measure(self, objective, batch, logs, t)
Run.measure = fatal
session.train_run(RunPaths(Path(sys.argv[1])), attempt=1, stop_flag=[], provenance={})
"""


def test_killed_inside_round_5_it_resumes_there_with_identical_masks(
    make_runs: MakeRuns, train: Train, watch: Watch
) -> None:
    """Inside level 5 of 12."""
    settings = ("methods.lottery.rounds=12", "train.checkpoint_every=3it", "train.evaluate_every='12it'")
    (undisturbed,), (run,) = make_runs(*settings, toml=TOML), make_runs(*settings, toml=TOML)
    train(undisturbed)
    killed = subprocess.run([sys.executable, "-c", KILL, str(run.root)], timeout=120, check=False)
    assert killed.returncode == -9
    assert not run.result.exists()
    before = {stage: masks_of(run, stage) for stage in noted(run)}
    assert list(before)[-1] == "level-5"
    folders.update_submit(run, attempt=2)
    watch.batches.clear()
    assert train(run)["state"] == "finished", run.result.read_text()
    # From the checkpoint after six of twelve steps; no earlier level takes another step.
    steps = {stage: len(seen) for stage, seen in watch.batches.items()}
    assert steps == {"level-5": 6, **{f"level-{n}": 12 for n in range(6, 13)}}
    assert watch.leaks == 0
    for stage, masks in before.items():
        assert same(masks_of(run, stage), masks)
    for stage in noted(undisturbed):
        assert same(masks_of(run, stage), masks_of(undisturbed, stage))
        assert same(end_of(run, stage), end_of(undisturbed, stage))
    assert rows_of(run) == rows_of(undisturbed)


def test_two_processes_agree_on_weights_and_masks(
    make_runs: MakeRuns, train_on_two_ranks: Callable[..., None]
) -> None:
    (run,) = make_runs("methods.lottery.rounds=2", "methods.lottery.controls=['random_reinit']", toml=TOML)
    train_on_two_ranks(run)
    for stage in noted(run):
        for name, mask in masks_of(run, stage).items():
            assert not end_of(run, stage)[name][~mask].any()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (("model.head=cosine",), "no output layer of the model is pruned"),
        (("methods.lottery.exclude=['head']",), "no output layer of the model is pruned"),
        (("methods.lottery.conv_rate=0.1",), "no conv layer of the model is pruned"),
        (("methods.lottery.exclude=['haed']",), 'no layer "haed" to prune. Did you mean "head"?'),
        (("methods.lottery.scope=global",), "scope global ranks all layers together"),
        (("methods.lottery.compat=open_lth",), "open_lth prunes all layers together"),
        (("methods.lottery.controls=['random_mask']", "methods.lottery.control_rounds=[4]"), "no level 4"),
        (("methods.lottery.rewind=100%",), "the rewind point, step 12, is not before the end, 12"),
        (("methods.lottery.output_rate=0.99",), 'round 2 would leave layer "head" without weights'),
        (
            ("methods.lottery.exclude=['body', 'head']", "methods.lottery.output_rate=0.1"),
            "no layer to prune",
        ),
    ],
)
def test_what_cannot_be_done_fails_with_a_sentence_before_training(
    make_runs: MakeRuns, train: Train, settings: tuple[str, ...], says: str
) -> None:
    (run,) = make_runs(*settings, toml=TOML)
    result = train(run)
    assert result["state"] == "failed"
    assert says in result["reason"]
    assert "\n" not in result["reason"]
    assert not run.metrics.exists() or not rows_of(run)


def test_a_cosine_head_counts_but_is_not_pruned(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("methods.lottery={name = 'lottery', rounds = 1}", "model.head=cosine", toml=TOML)
    assert train(run)["state"] == "finished", run.result.read_text()
    assert set(masks_of(run, "level-1")) == {"body.1.weight", "body.3.weight"}
    left = 0.8 * (SIZES["body.1"] + SIZES["body.3"]) + SIZES["head"]
    assert noted(run)["level-1"]["lottery/density"] == pytest.approx(left / sum(SIZES.values()))


def test_layers_of_wrapped_models_are_found() -> None:
    def network() -> nn.Module:
        net = nn.Sequential()
        net.add_module("body", nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(4, 4)))
        net.add_module("head", nn.Linear(4, 3))
        return net

    members = nn.ModuleDict({"members": nn.ModuleList([network(), network()])})
    assert [(layer.name, layer.kind) for layer in prunable_layers(members)] == [
        ("members.0.body.0", "conv"),
        ("members.0.body.2", "linear"),
        ("members.0.head", "output"),
        ("members.1.body.0", "conv"),
        ("members.1.body.2", "linear"),
        ("members.1.head", "output"),
    ]
    assert networks_in(members, network(), where="") == list(members["members"])
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    tied[1].weight = tied[0].weight
    assert len(prunable_layers(tied)) == 1
    frozen = network()
    frozen.body.requires_grad_(False)
    assert [layer.name for layer in prunable_layers(frozen)] == ["head"]


def test_a_spectrally_normalised_layer_is_pruned_where_its_weight_comes_from() -> None:
    wrapped = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4)), nn.Linear(4, 2))
    first, second = prunable_layers(wrapped)
    dropped = torch.rand(4, 4) < 0.5
    with torch.no_grad():
        first.weight.masked_fill_(dropped, 0)
    assert not wrapped[0].weight[dropped].any()
    assert second.weight is wrapped[1].weight
    with pytest.raises(UserError, match="another method has changed the network's layers"):
        networks_in(wrapped, nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)), where="")
