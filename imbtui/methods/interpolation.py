"""Closed forms that fit every training example, instead of training (zhang2017)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.engine.context import MethodContext
from imbtui.engine.method import Method
from imbtui.engine.seeding import seed_of
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.numerics.interpolation import (
    NotInterpolable,
    gaussian_kernel,
    kernel_weights,
    min_norm_weights,
    two_layer,
    two_layer_weights,
)
from imbtui.numerics.tangent_kernels import cntk_gap, fc_ntk
from imbtui.option_types import NonNegative, Positive

if TYPE_CHECKING:
    from imbtui.engine.run import Run

WHERE = "methods.interpolation"
STAGE = "train"
TAKES_STEPS = False
METRICS = ("interpolation/max_error", "interpolation/weights", "interpolation/norm")


class Interpolation(Method):
    """Plans a stage `train` without steps: solves for the weights and evaluates them, in float64.

    The solution takes the place of the recipe's model; it is logged where training of the recipe's length
    would end. Besides the usual metrics there are `interpolation/max_error` (largest |f(x_i) - y_i| over
    training examples), `weights` (how many there are) and `norm` (of the solution: Euclidean for
    `min_norm`, in the kernel's space for `kernel`).

    Args:
        kind: `two_layer`: a ReLU network with 2 n + d weights whose single output is the label's number;
            the nearest class is predicted (zhang2017 §5.1). `min_norm`: the shortest linear map from
            inputs to one-hot labels, for at most as many examples as input values. `kernel`: a kernel's
            interpolant of one-hot labels (both §5.2).
        kernel: `gaussian`; or the tangent kernel of an infinitely wide network of two layers, fully
            connected (`fc_ntk`) or with circular convolutions and an average over places (`cntk_gap`,
            which needs images; singla2021, Theorem 2).
        c: inverse squared width of the Gaussian kernel exp(-c |u - v|^2).
        ridge: l2 regularisation of `kernel`; 0: interpolation.
    """

    def __init__(
        self,
        *,
        kind: Literal["two_layer", "min_norm", "kernel"] = "kernel",
        kernel: Literal["gaussian", "fc_ntk", "cntk_gap"] = "gaussian",
        c: Positive = 2e-2,
        ridge: NonNegative = 0.0,
    ) -> None:
        super().__init__()
        if ridge and kind != "kernel":
            raise UserError(f"{kind} interpolates; ridge is for kernel", where=f"{WHERE}.ridge")
        if kernel != "gaussian" and kind != "kernel":
            raise UserError(f"{kind} has no kernel", where=f"{WHERE}.kernel")
        self.kind = kind
        self.kernel: Callable[[Tensor, Tensor], Tensor] = {
            "gaussian": lambda u, v: gaussian_kernel(u.flatten(1), v.flatten(1), c),
            "fc_ntk": fc_ntk,
            "cntk_gap": cntk_gap,
        }[kernel]
        self.needs_images = kernel == "cntk_gap"
        self.ridge = ridge

    def setup(self, context: MethodContext) -> None:
        """Refuse a kernel that does not fit the inputs.

        Raises:
            UserError: the kernel needs images and the inputs are none.
        """
        if self.needs_images and len(context.input_shape) != 3:
            raise UserError("cntk_gap needs images", where=f"{WHERE}.kernel", hint='Use kernel = "fc_ntk".')

    def plan(self, run: Run) -> None:
        """Put the closed form in the place of the model, solve, evaluate and log.

        Raises:
            UserError: no function of the kind passes through the training examples.
        """
        train = run.context.whole("train")
        solution = self._closed_form(train.x.double(), run.context)
        # Not earlier: other methods set themselves up on the recipe's model.
        run.objective.model = solution
        if run.load_finished(STAGE, run.objective):
            return
        try:
            values = solution.solve(train.y)
        except NotInterpolable as error:
            raise UserError(str(error), where=WHERE) from error
        end = Tick(STAGE, run.steps - 1, run.steps_per_epoch, run.steps)
        run.measure(run.objective, train, {}, end)
        run.evaluate(end, {f"interpolation/{name}": value for name, value in values.items()})
        run.finish_stage(STAGE, end, run.objective)

    def _closed_form(self, x: Tensor, context: MethodContext) -> TwoLayer | MinNorm | Kernel:
        if self.kind == "kernel":
            return Kernel(x, context.num_classes, self.kernel, self.ridge)
        inputs = x.flatten(1)
        if self.kind == "min_norm":
            return MinNorm(inputs, context.num_classes)
        generator = torch.Generator().manual_seed(seed_of(context.seed, "interpolation"))
        direction = torch.randn(inputs.shape[1], generator=generator, dtype=torch.float64)
        return TwoLayer(inputs, direction.to(inputs.device), context.num_classes)


class TwoLayer(nn.Module):
    """c(x) = sum_j w_j max(<a, x> - b_j, 0); logits are -(c(x) - k)^2, so the nearest class is predicted."""

    def __init__(self, inputs: Tensor, direction: Tensor, num_classes: int) -> None:
        super().__init__()
        self.a = nn.Parameter(direction, requires_grad=False)
        self.b = nn.Parameter(torch.zeros_like(inputs[:, 0]), requires_grad=False)
        self.w = nn.Parameter(torch.zeros_like(self.b), requires_grad=False)
        self.register_buffer("classes", torch.arange(num_classes, device=inputs.device), persistent=False)
        self.projections = inputs @ direction

    def solve(self, labels: Tensor) -> dict[str, float]:
        """Fit the labels' numbers, (n,); return what is logged."""
        b, w = two_layer_weights(self.projections, labels.double())
        self.b.copy_(b)
        self.w.copy_(w)
        errors = (two_layer(self.projections, b, w) - labels).abs()
        return {"max_error": float(errors.max()), "weights": sum(p.numel() for p in self.parameters())}

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (N, ...) to logits (N, num_classes)."""
        value = two_layer(x.flatten(1).double() @ self.a, self.b, self.w)
        return -(value[:, None] - self.classes).square()


class MinNorm(nn.Module):
    """Linear, without an intercept."""

    def __init__(self, inputs: Tensor, num_classes: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.w = nn.Parameter(inputs.new_zeros(inputs.shape[1], num_classes), requires_grad=False)

    def solve(self, labels: Tensor) -> dict[str, float]:
        """Fit one-hot labels; return what is logged.

        Raises:
            NotInterpolable: there are more examples than input values, or they are linearly dependent.
        """
        examples, values = self.inputs.shape
        if examples > values:
            raise NotInterpolable(
                f"a linear map of {values} input values cannot pass through {examples} examples; "
                f"keep {values} or fewer (corruptions.subset.n)"
            )
        targets = F.one_hot(labels, self.w.shape[1]).double()
        self.w.copy_(min_norm_weights(self.inputs, targets))
        return {
            "max_error": float((self.inputs @ self.w - targets).abs().max()),
            "weights": self.w.numel(),
            "norm": float(self.w.norm()),
        }

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (N, ...) to logits (N, num_classes)."""
        return x.flatten(1).double() @ self.w


class Kernel(nn.Module):
    """k(x, X) alpha for the training inputs X, (n, ...)."""

    def __init__(
        self,
        inputs: Tensor,
        num_classes: int,
        kernel: Callable[[Tensor, Tensor], Tensor],
        ridge: float,
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.kernel = kernel
        self.ridge = ridge
        self.alpha = nn.Parameter(inputs.new_zeros(len(inputs), num_classes), requires_grad=False)

    def solve(self, labels: Tensor) -> dict[str, float]:
        """Fit one-hot labels; return what is logged."""
        targets = F.one_hot(labels, self.alpha.shape[1]).double()
        self.alpha.copy_(kernel_weights(self.kernel(self.inputs, self.inputs), targets, self.ridge))
        fitted = torch.cat([self(part) for part in self.inputs.split(1024)])
        return {
            "max_error": float((fitted - targets).abs().max()),
            "weights": self.alpha.numel(),
            "norm": float((self.alpha * fitted).sum().sqrt()),
        }

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (N, ...) to logits (N, num_classes)."""
        return self.kernel(x.double(), self.inputs) @ self.alpha


build = Interpolation
