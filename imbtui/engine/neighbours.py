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


def find_run(runs: Path | None, name: str, *, where: str) -> RunPaths:
    """Return a run by its id, by the start of one, or by the path of its folder.

    Args:
        runs: the folder of runs to look in.
        name: what the user wrote.
        where: the recipe's key, for messages.

    Raises:
        UserError: there is none, or several begin like this.
    """
    if "/" in name:
        path = Path(name).expanduser()
        if not path.is_dir():
            raise UserError(f"{path} is no folder of a run", where=where)
        return RunPaths(path.absolute())
    ids = [] if runs is None else sorted(p.name for p in runs.iterdir() if (p / "recipe.toml").is_file())
    matching = [run_id for run_id in ids if run_id.startswith(name)]
    if name in matching:
        matching = [name]
    if len(matching) > 1:
        raise UserError(
            f'{len(matching)} runs begin with "{name}"', where=where, hint=f"One is {matching[0]}."
        )
    if not matching:
        folder = "" if runs is None else f" in {runs}"
        raise UserError(f'there is no run "{name}"{folder}', where=where, hint=did_you_mean(name, ids[-20:]))
    assert runs is not None
    return RunPaths(runs / matching[0])


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

    stages = sorted(run.checkpoints.glob("stage-*.pt"), key=lambda path: path.stat().st_mtime_ns)
    about = files.read_json(run.env)
    if not stages or not isinstance(about, dict):
        raise UserError(f"the run {run.id} has not finished", where=where)
    recipe = read_resolved(run.recipe)
    model = network(recipe, input_shape, len(about["class_counts"]) or 1, vocabulary=vocabulary)
    state = Checkpoints(run.checkpoints, writes=False, device=device, every=None).finished(
        stages[-1].stem.removeprefix("stage-")
    )
    assert state is not None
    of_model = {k.removeprefix("model."): v for k, v in state["objective"].items() if k.startswith("model.")}
    try:
        model.load_state_dict(of_model)
    except RuntimeError as error:
        raise UserError(
            f"the network that {run.id} kept has other layers than its recipe gives for these inputs",
            where=where,
            hint="Runs can be compared where no method has changed the layers and the inputs are alike.",
        ) from error
    dtype = torch.float64 if recipe.train.precision == "fp64" else torch.float32
    return model.to(device=device, dtype=dtype).eval()
