"""Other runs, whose artefacts and networks a run may begin from or be compared with."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from imbtui import files
from imbtui.engine.checkpoint import Checkpoints
from imbtui.errors import UserError, did_you_mean
from imbtui.paths import RunPaths
from imbtui.recipe.read import read_resolved


def find_run(runs: Path, name: str, *, where: str, seed: int) -> RunPaths:
    """Return a run by its id, by the start of one, by study and arm, or by the path of its folder.

    Args:
        runs: the folder of runs to look in.
        name: what the user wrote; `STUDY:ARM` means the newest finished run of that arm with the same seed.
        where: the recipe's key, for messages.
        seed: that of the run which asks.

    Raises:
        UserError: there is none, or several begin like this.
    """
    study, colon, arm = name.partition(":")
    if colon and not Path(name).is_dir():
        return _of_arm(runs, study, arm, where=where, seed=seed)
    if "/" in name:
        path = Path(name).expanduser()
        if not path.is_dir():
            raise UserError(f"{path} is no folder of a run", where=where)
        return RunPaths(path.absolute())
    ids = sorted(p.name for p in runs.iterdir() if (p / "recipe.toml").is_file())
    matching = [run_id for run_id in ids if run_id.startswith(name)]
    if name in matching:
        matching = [name]
    if len(matching) > 1:
        raise UserError(
            f'{len(matching)} runs begin with "{name}"', where=where, hint=f"One is {matching[0]}."
        )
    if not matching:
        raise UserError(
            f'there is no run "{name}" in {runs}', where=where, hint=did_you_mean(name, ids[-20:])
        )
    return RunPaths(runs / matching[0])


def _of_arm(runs: Path, study: str, arm: str, *, where: str, seed: int) -> RunPaths:
    """Return the newest finished run of an arm of a study with this seed."""
    found: list[tuple[str, str]] = []
    for folder in runs.iterdir():
        run = RunPaths(folder)
        submitted, result = files.read_json(run.submit), files.read_json(run.result)
        if not isinstance(submitted, dict) or not isinstance(result, dict):
            continue
        meant = [submitted.get(key) for key in ("study", "arm", "seed")] == [study, arm, seed]
        if meant and result.get("state") == "finished":
            found.append((str(submitted.get("created")), run.id))
    if not found:
        raise UserError(
            f'no finished run of the arm "{arm}" of {study} has seed {seed}',
            where=where,
            hint=f"Run it first, in the same folder of runs: imbtui run {study} --seeds {seed}.",
        )
    return RunPaths(runs / max(found)[1])


def final_weights(run: RunPaths, device: torch.device, *, where: str) -> dict[str, torch.Tensor]:
    """Return parameters and buffers of the network that another run ended with, by name.

    Args:
        run: that run; it has finished a stage.
        device: where they are wanted.
        where: the recipe's key, for messages.

    Raises:
        UserError: the run has finished no stage.
    """
    stages = sorted(run.checkpoints.glob("stage-*.pt"), key=lambda path: path.stat().st_mtime_ns)
    if not stages:
        raise UserError(f"the run {run.id} has not finished", where=where)
    checkpoints = Checkpoints(run.checkpoints, writes=False, device=device, every=None)
    state = checkpoints.finished(stages[-1].stem.removeprefix("stage-"))
    assert state is not None
    return {k.removeprefix("model."): v for k, v in state["objective"].items() if k.startswith("model.")}


def load_network(
    run: RunPaths, input_shape: tuple[int, ...], device: torch.device, *, where: str, vocabulary: int = 0
) -> nn.Module:
    """Return the network that another run ended with, in evaluation mode.

    Args:
        run: that run; it has finished its last stage.
        input_shape: shape of one input.
        device: where the network is wanted.
        where: the recipe's key, for messages.
        vocabulary: how many different tokens there are; for models of tokens.

    Raises:
        UserError: the run has not finished, or methods have changed its network's layers.
    """
    from imbtui.engine.build import network

    weights = final_weights(run, device, where=where)
    about = files.read_json(run.env)
    if not isinstance(about, dict):
        raise UserError(f"{run.env} is missing or damaged", where=where)
    recipe = read_resolved(run.recipe)
    model = network(recipe, input_shape, len(about["class_counts"]) or 1, vocabulary=vocabulary)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(
            f"the network that {run.id} kept has other layers than its recipe gives for these inputs",
            where=where,
            hint="Runs can be compared where no method has changed the layers and the inputs are alike.",
        ) from error
    dtype = torch.float64 if recipe.train.precision == "fp64" else torch.float32
    return model.to(device=device, dtype=dtype).eval()
