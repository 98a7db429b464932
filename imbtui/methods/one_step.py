"""Weights and predictor learned together, by minimising an upper bound of the test risk."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import MethodContext
from imbtui.engine.method import Method
from imbtui.engine.modes import evaluation_mode
from imbtui.engine.ranks import world_size
from imbtui.engine.seeding import seed_of
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.methods._importance import inputs_of, plain_losses, shifted_inputs, weight_logs
from imbtui.numerics.density_ratio import (
    choose_centres,
    choose_width,
    one_step_objective,
    one_step_ratio,
)
from imbtui.option_types import Count, Positive

WHERE = "methods.one_step"
TASKS = ("classification", "regression")
METRICS = (
    "running/effective_sample_size",
    "running/mean_weight",
    "running/max_weight",
    "running/corrupted_weight",
)


class OneStep(Method):
    """The one-step approach to covariate shift (lu2021 §3.5).

    Weights g >= 0 minimise J = (mean_tr g l)^2 + m^2 (mean_tr g^2 - 2 mean_te g) at the losses l of the
    present network, which is trained under these weights: cross-entropies, or squared errors of real
    targets. The test inputs are those of the data set, or of the validation set.

    `ratio = "kernel"`: g is a kernel model with uLSIF's cross-validated width and ridge, solved for in
    closed form at every step. With the method `least_squares` the two alternate until they settle.

    `ratio = "network"`: g is a network with one value of softplus, which takes one step of Adam before
    each of the predictor's. It is trained by an optimizer of its own, so in a single process only.

    Args:
        ratio: one of these.
        bound: m, the largest value that a loss can take.
        centres: most kernel centres.
        hidden: widths of the network's hidden layers.
        lr: learning rate of the network.
    """

    features: Tensor
    test_features: Tensor

    def __init__(
        self,
        *,
        ratio: Literal["kernel", "network"] = "kernel",
        bound: Positive = 1.0,
        centres: Count = 100,
        hidden: list[Count] = [64],  # noqa: B006  a recipe's default; never changed
        lr: Positive = 1e-3,
    ) -> None:
        super().__init__()
        self.ratio = ratio
        self.bound = bound
        self.centres = centres
        self.hidden = hidden
        self.lr = lr
        self.ridge = 0.0
        self.network: nn.Module | None = None
        self._optimizer: torch.optim.Optimizer | None = None
        self._context: MethodContext | None = None
        self._test: Tensor | None = None
        self._logs: dict[str, Tensor] = {}

    def setup(self, context: MethodContext) -> None:
        """Choose the kernel, or draw the network.

        Raises:
            UserError: there are no test inputs, or several processes would train a network each.
        """
        test = shifted_inputs(context, where=WHERE)
        if self.ratio == "kernel":
            self._choose_kernel(context, test)
            return
        if world_size() > 1:
            raise UserError(
                "one_step trains its network of weights in a single process",
                where="launch.processes",
                hint='Use one process, or ratio = "kernel".',
            )
        self._context, self._test = context, test
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(context.seed, "one_step"))
            network = ratio_network(test.shape[1], self.hidden)
        # The recipe's optimizer takes every parameter of the objective that requires a gradient.
        self.network = network.to(device=context.device, dtype=test.dtype).requires_grad_(False)
        self._optimizer = torch.optim.Adam(self.network.parameters(), lr=self.lr)

    def _choose_kernel(self, context: MethodContext, test: Tensor) -> None:
        train, test = inputs_of(context, "train").double(), test.double()
        generator = torch.Generator().manual_seed(seed_of(context.seed, "one_step"))
        model = choose_width(train, test, choose_centres(test, self.centres, generator), generator=generator)
        self.ridge = model.ridge
        self.register_buffer("features", model.features(train))
        self.register_buffer("test_features", model.features(test))

    @contextlib.contextmanager
    def around_step(self, batch: Batch, t: Tick) -> Iterator[None]:
        """Take one step of the network of weights at the predictor's losses."""
        if self.network is not None:
            self._step(batch, t)
        yield

    def _step(self, batch: Batch, t: Tick) -> None:
        assert self._context is not None
        assert self._optimizer is not None
        assert self._test is not None
        assert self.network is not None
        model = self._context.model
        with evaluation_mode(model), torch.no_grad():
            losses = plain_losses(model(batch.x), batch.y)
        generator = torch.Generator().manual_seed(seed_of(self._context.seed, "one_step", t.stage, t.step))
        chosen = torch.randint(len(self._test), (len(batch),), generator=generator).to(self._test.device)
        self.network.requires_grad_(True)
        objective = one_step_objective(
            self.network(batch.x.flatten(1)).squeeze(1),
            self.network(self._test[chosen]).squeeze(1),
            losses,
            bound=self.bound,
        )
        self._optimizer.zero_grad()
        objective.backward()
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.network.requires_grad_(False)

    @torch.no_grad()
    def weights(self, batch: Batch, losses: Tensor, t: Tick) -> Tensor | None:
        """Return g at the batch's examples, (N,)."""
        if self.network is not None:
            weights = self.network(batch.x.flatten(1)).squeeze(1)
        else:
            features = self.features[batch.index]
            beta = one_step_ratio(
                features, self.test_features, losses.double(), ridge=self.ridge, bound=self.bound
            )
            weights = features @ beta
        weights = weights.to(losses.dtype)
        self._logs = weight_logs(weights, batch.is_corrupted)
        return weights

    def logs(self) -> dict[str, Tensor]:
        """Return figures of the last batch's weights."""
        return self._logs

    def get_extra_state(self) -> dict[str, Any]:
        """Return the state of the optimizer of weights, for checkpoints."""
        return {} if self._optimizer is None else self._optimizer.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take over the state of the optimizer of weights."""
        if self._optimizer is not None:
            self._optimizer.load_state_dict(state)


def ratio_network(inputs: int, hidden: list[int]) -> nn.Sequential:
    """Return a network with ReLUs and one softplus output: a ratio is never negative (lu2021 §3.5)."""
    layers: list[nn.Module] = []
    for units in hidden:
        layers += [nn.Linear(inputs, units), nn.ReLU()]
        inputs = units
    return nn.Sequential(*layers, nn.Linear(inputs, 1), nn.Softplus())


build = OneStep
