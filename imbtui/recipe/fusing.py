"""Whether runs that differ in their seeds alone may train together, as far as their recipe tells."""

from __future__ import annotations

from imbtui.recipe.schema import NormalisedGD, Recipe

FEWEST = 4
"""Runs from which it pays: with two or three, the member axis costs what it saves."""


def hindrance(recipe: Recipe) -> str:
    """Return why `train.fuse` cannot have an effect for a recipe, as a phrase; empty where it may have one.

    What only the built network or a method's code can tell, `engine.fused` finds out.
    """
    train = recipe.train
    if train.until is not None:
        return "train.until ends each run at a step of its own"
    if train.replicates > 1:
        return "train.replicates are repeated by the run itself"
    if recipe.launch.processes > 1:
        return "launch.processes is above 1"
    if train.precision in ("bf16", "fp16"):
        return f"train.precision is {train.precision}"
    if isinstance(recipe.optimizer, NormalisedGD):
        return "normalised_gd divides by a norm over all parameters"
    return ""


__all__ = ["FEWEST", "hindrance"]
