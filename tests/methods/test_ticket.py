"""A ticket that one run has found starts another one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from imbtui import folders
from imbtui.engine.run import Run
from imbtui.paths import RunPaths

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]

TOML = """
title = "a source of tickets"
[dataset]
name = "digits"
n_train = 200
n_val = 100
[model]
name = "lenet_300_100"
hidden = [20, 10]
[optimizer]
name = "sgd"
lr = 0.1
momentum = 0.9
weight_decay = 0.01
[train]
steps = 8
batch_size = 60
evaluate_every = "4it"
threads = 1
"""
ANOTHER_SEED = TOML.replace("title", "seeds = [5]\ntitle")
LOTTERY = "methods.lottery={name = 'lottery', rounds = 3, rate = 0.5, controls = ['random_mask']}"


@pytest.fixture
def source(make_runs: MakeRuns, train: Train) -> RunPaths:
    """A finished run with tickets at levels 0 to 3."""
    (run,) = make_runs(LOTTERY, toml=TOML, name="source")
    assert train(run)["state"] == "finished", run.result.read_text()
    return run


@pytest.fixture
def begins(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Tensor]]:
    """The network as each stage that begins finds it."""
    seen: list[dict[str, Tensor]] = []
    fit = Run.fit

    def watched(self: Run, stage: str, **points: Any) -> None:
        seen.append({k: v.clone() for k, v in self.objective.model.state_dict().items()})
        fit(self, stage, **points)

    monkeypatch.setattr(Run, "fit", watched)
    return seen


def masks_of(run: RunPaths, stage: str) -> dict[str, Tensor]:
    return load_file(run.artifacts / f"masks-{stage}.safetensors")


def end_of(run: RunPaths, stage: str = "train") -> dict[str, Tensor]:
    state = torch.load(run.checkpoints / f"stage-{stage}.pt", weights_only=True)["objective"]
    return {k.removeprefix("model."): v for k, v in state.items() if k.startswith("model.")}


def ticket(run: str, **options: str) -> str:
    more = "".join(f", {key} = {value}" for key, value in options.items())
    return f"methods.ticket={{name = 'ticket', run = '{run}'{more}}}"


def test_it_trains_as_the_level_did(source: RunPaths, make_runs: MakeRuns, train: Train) -> None:
    """Same data, same order, same weights: the run is level 3 once more, to the bit."""
    (run,) = make_runs(ticket(source.id), toml=TOML)
    assert train(run)["state"] == "finished", run.result.read_text()
    before, after = end_of(source, "level-3"), end_of(run)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_masks_and_rewound_weights_go_into_another_recipe(
    source: RunPaths, make_runs: MakeRuns, train: Train, begins: list[dict[str, Tensor]]
) -> None:
    other = ("loss.name=focal", "corruptions.label_noise.rate=0.2", "train.precision=bf16")
    (run,) = make_runs(ticket(source.id[:6], stage="'level-2'"), *other, toml=ANOTHER_SEED)
    assert train(run)["state"] == "finished", run.result.read_text()
    masks, rewound = masks_of(source, "level-2"), load_file(source.artifacts / "rewound.safetensors")
    for name, value in rewound.items():
        assert torch.equal(begins[-1][name], value * masks[name] if name in masks else value)
    for name, mask in masks.items():
        assert not end_of(run)[name][~mask].any()
        assert end_of(run)[name][mask].all()


def test_the_masks_alone_go_onto_new_weights(
    source: RunPaths, make_runs: MakeRuns, train: Train, begins: list[dict[str, Tensor]]
) -> None:
    (run,) = make_runs(ticket(source.id, start="'drawn'"), toml=ANOTHER_SEED)
    train(run)
    rewound = load_file(source.artifacts / "rewound.safetensors")
    for name, mask in masks_of(source, "level-3").items():
        assert not begins[-1][name][~mask].any()
        assert not (begins[-1][name][mask] == rewound[name][mask]).any()


def test_a_head_for_other_classes_stays_its_own(source: RunPaths, make_runs: MakeRuns, train: Train) -> None:
    three = ("dataset={name = 'digits', protocol = 'classes', classes = [1, 4, 6]}",)
    (refused,) = make_runs(ticket(source.id), *three, toml=TOML)
    assert '"head.bias" is 3 here and 10 in the ticket' in train(refused)["reason"]
    (run,) = make_runs(ticket(source.id, exclude="['head']"), *three, toml=TOML)
    assert train(run)["state"] == "finished", run.result.read_text()
    masks = masks_of(source, "level-3")
    assert end_of(run)["head.weight"].all()
    assert not end_of(run)["body.1.weight"][~masks["body.1.weight"]].any()


def test_stopped_and_resumed_removed_weights_stay_zero(
    source: RunPaths, make_runs: MakeRuns, train: Train
) -> None:
    class Third(list):  # type: ignore[type-arg]
        left = 3

        def __bool__(self) -> bool:
            self.left -= 1
            return self.left == 0

    (undisturbed,), (run,) = (make_runs(ticket(source.id), toml=TOML) for _ in range(2))
    train(undisturbed)
    assert train(run, stop_flag=Third())["state"] == "stopped"
    folders.update_submit(run, attempt=2)
    assert train(run)["state"] == "finished"
    assert all(torch.equal(v, end_of(undisturbed)[k]) for k, v in end_of(run).items())
    assert not end_of(run)["head.weight"][~masks_of(source, "level-3")["head.weight"]].any()


def test_lottery_can_go_on_from_a_ticket(source: RunPaths, make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs(ticket(source.id), "methods.lottery.rounds=1", toml=TOML)
    assert train(run)["state"] == "finished", run.result.read_text()
    for name, mask in masks_of(source, "level-3").items():
        assert not end_of(run, "level-1")[name][~mask].any()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"run": "nosuch"}, 'methods.ticket.run: there is no run "nosuch"'),
        ({"run": "/nowhere/nosuch"}, "methods.ticket.run: /nowhere/nosuch is no folder of a run"),
        ({"stage": "'level-33'"}, 'has no masks of a stage "level-33". Did you mean "level-3"?'),
        (
            {"exclude": "['haed']"},
            'methods.ticket.exclude: the ticket has no layer "haed". Did you mean "head"?',
        ),
    ],
)
def test_what_is_not_there_is_said(
    source: RunPaths, make_runs: MakeRuns, train: Train, options: dict[str, str], says: str
) -> None:
    (run,) = make_runs(ticket(**{"run": source.id, **options}), toml=TOML)
    assert says in train(run)["reason"]


def test_a_misspelt_run_and_another_model_are_said(
    source: RunPaths, make_runs: MakeRuns, train: Train
) -> None:
    (run,) = make_runs(ticket(source.id[:-1] + "9"), toml=TOML)
    assert f'Did you mean "{source.id}"?' in train(run)["reason"]
    (wider,) = make_runs(ticket(source.id), "model.hidden=[21, 10]", toml=TOML)
    assert '"body.1.bias" is 21 here and 20 in the ticket' in train(wider)["reason"]
    (deeper,) = make_runs(ticket(source.id), "model.hidden=[20, 10, 10]", toml=TOML)
    assert 'the ticket has no layer "body.5", which the model has' in train(deeper)["reason"]
    (plain,) = make_runs(toml=TOML)
    train(plain)
    (run,) = make_runs(ticket(plain.id), toml=TOML)
    assert "has kept no masks" in train(run)["reason"]
    (source.artifacts / "rewound.safetensors").write_bytes(b"torn")
    (run,) = make_runs(ticket(source.id), toml=TOML)
    assert "rewound.safetensors is damaged" in train(run)["reason"]


def test_a_run_may_lie_elsewhere(source: RunPaths, make_runs: MakeRuns, train: Train, tmp_path: Path) -> None:
    elsewhere = source.root.rename(tmp_path / "kept")
    (run,) = make_runs(ticket(str(elsewhere)), toml=TOML)
    assert train(run)["state"] == "finished", run.result.read_text()
