"""Steps per second of a tiny network: the engine beside a bare PyTorch loop of the same step.

    python tests/benchmarks/steps.py [--steps 3000] [--rounds 5]

The step is that of the quick study of thilak2022: 109 rows of division modulo 13 as one batch, an embedding
and two linear layers, AdamW. Rounds alternate; seconds are CPU seconds of one thread, and the least over
rounds counts, since whatever else a machine does only adds. The bare loop is taken
with torch's default AdamW and with the fused one, the engine with nothing but its loop and with the study's
records every ten steps.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from imbtui import folders
from imbtui.datasets.modular import Modular
from imbtui.engine import session
from imbtui.models.token_mlp import TokenMLP
from imbtui.paths import RunsPaths
from imbtui.recipe import load_study

RECIPE = """
title = "steps"
split_seed = 0
[dataset]
name = "modular"
p = 13
train_fraction = 0.7
tokens = "pair"
[model]
name = "token_mlp"
[optimizer]
name = "adamw"
lr = 3e-3
betas = [0.9, 0.98]
[schedule]
warmup = "10it"
[train]
steps = {steps}
batch_size = "all"
threads = 1
evaluate_every = "{every}"
"""


def bare(steps: int, *, fused: bool | None = None) -> Callable[[], None]:
    """Return a loop that takes `steps` steps and reads the loss once at its end.

    Args:
        steps: how many.
        fused: one call of AdamW for all parameters, as the engine does; None: torch's own choice.
    """
    train = Modular(p=13, train_fraction=0.7, tokens="pair").load(Path(), split_seed=0).train
    x, y = torch.from_numpy(train.x), torch.from_numpy(train.targets)
    torch.manual_seed(0)
    model = TokenMLP((2,), lambda width: nn.Linear(width, 13), 13)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=3e-3, betas=(0.9, 0.98), weight_decay=0.0, fused=fused
    )

    def loop() -> None:
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = 3e-3 * min(1.0, step / 10)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        loss.item()

    return loop


def engine(steps: int, every: str, folder: Path) -> Callable[[], None]:
    """Return a run of the engine that takes `steps` steps."""
    path = folder / "steps.toml"
    path.write_text(RECIPE.format(steps=steps, every=every))
    study = load_study(path)
    runs = RunsPaths(folder / "runs")
    folders.ensure_folder(runs)
    folders.record_study(runs, study)
    run = runs.run(folders.create(runs, study.runs[0], study=study, gpus="cpu", here=False))

    def train() -> None:
        state = session.train_run(run, attempt=1, stop_flag=[], provenance={})
        assert state == "finished"

    return train


def seconds(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def seconds_a_step(make: Callable[[int], Callable[[], None]], steps: int) -> float:
    """Return CPU seconds a step, without what a run costs before and after its steps."""
    short = seconds(make(steps // 10))
    return (seconds(make(steps)) - short) / (steps - steps // 10)


def measure(steps: int, rounds: int) -> dict[str, list[float]]:
    """Return CPU seconds a step of each loop, a value a round."""
    torch.set_num_threads(1)
    found: dict[str, list[float]] = {"bare": [], "bare, fused": [], "engine": [], "engine, records": []}
    seconds(bare(200))
    for _ in range(rounds):
        found["bare"].append(seconds_a_step(bare, steps))
        found["bare, fused"].append(seconds_a_step(partial(bare, fused=True), steps))
        for name, every in (("engine", "100%"), ("engine, records", "10it")):
            with tempfile.TemporaryDirectory() as folder:
                found[name].append(seconds_a_step(lambda n, e=every, f=folder: engine(n, e, Path(f)), steps))
    return found


def ratios(found: dict[str, list[float]]) -> dict[str, float]:
    """Return how many times the bare loop's seconds each loop takes, at their least."""
    return {name: min(values) / min(found["bare"]) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    found = measure(options.steps, options.rounds)
    for name, ratio in ratios(found).items():
        rate = 1 / min(found[name])
        print(f"{name:16} {rate:7.0f} steps a CPU second, {ratio:.2f} times bare")


if __name__ == "__main__":
    main()
