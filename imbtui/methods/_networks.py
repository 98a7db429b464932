"""The recipe's own networks, inside whatever methods wrapped around them."""

from __future__ import annotations

import torch
from torch import nn

from imbtui.engine.context import MethodContext
from imbtui.engine.seeding import seed_of
from imbtui.errors import UserError


def networks_in(model: nn.Module, template: nn.Module, *, where: str) -> list[nn.Module]:
    """Return the recipe's own networks inside a model that methods may have wrapped.

    Args:
        model: the model as it is trained.
        template: a network of the recipe.
        where: what wants to draw weights anew, for the error.

    Raises:
        UserError: there is none whose weights could be drawn anew.
    """
    found = [module for module in model.modules() if is_like(module, template)]
    if not found:
        raise UserError(
            "the recipe's own weights cannot be set: another method has changed the network's layers",
            where=where,
        )
    return found


def independent_networks(context: MethodContext, number: int, *, where: str) -> list[nn.Module]:
    """Return the run's network and further ones of the recipe, each drawn by a seed of its own.

    Args:
        number: how many in all.
        where: the method that trains them side by side, for the error.

    Raises:
        UserError: a method before this one has changed the network.
    """
    drawn = [context.make_model(seed_of(context.seed, "member", n)) for n in range(1, number)]
    if not is_like(context.model, context.make_model(context.seed)):
        raise UserError(
            "another method has changed the network before its copies are made",
            where=where,
            hint=f"List {where.rpartition('.')[2]} first.",
        )
    return [context.model, *drawn]


def draw_anew(model: nn.Module, context: MethodContext, seed: int, *, where: str) -> None:
    """Give the recipe's networks inside `model` the initial weights of another seed, in place.

    Raises:
        UserError: another method has changed the network's layers.
    """
    template = context.make_model(seed)
    for number, network in enumerate(networks_in(model, template, where=where)):
        drawn = context.make_model(seed_of(seed, number)) if number else template
        network.load_state_dict(drawn.state_dict())


def is_like(module: nn.Module, template: nn.Module) -> bool:
    """Whether a module is a network of the recipe with all of its layers as they were."""

    def shapes(network: nn.Module) -> dict[str, torch.Size]:
        return {name: value.shape for name, value in network.state_dict().items()}

    return type(module) is type(template) and shapes(module) == shapes(template)
