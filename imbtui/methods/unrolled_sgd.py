"""Loss sensitivity: how much the training loss depends on each example, through all steps so far."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from imbtui.engine.batch import Batch
from imbtui.engine.fit import Stopped
from imbtui.engine.method import Method
from imbtui.engine.objective import Objective
from imbtui.engine.optim import lr_at
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.numerics.gini import gini
from imbtui.option_types import When
from imbtui.recipe.schema import Sgd

if TYPE_CHECKING:
    from imbtui.engine.run import Run

WHERE = "methods.unrolled_sgd"
STAGE = "train"
TAKES_STEPS = False
METRICS = ("unrolled_sgd/gini", "unrolled_sgd/mean", "unrolled_sgd/diagonal")


class UnrolledSgd(Method):
    """Plans a stage `train` whose steps stay in one graph (arpit2017 §4.2).

    Every now and then the average loss over the training set, L_t, is differentiated with respect to all
    training inputs, back through every step to the initial weights: g_x = |dL_t / dx|_1. Logged are, of the
    mean of g over the times so far, `unrolled_sgd/gini` and `unrolled_sgd/mean`; the mean itself is kept in
    artifacts/loss_sensitivity.npz. Memory grows with the number of steps, so networks have to be small. A
    run that is stopped begins anew.

    Args:
        every: interval between the times at which g is taken.
        by_class: also the class-specific version: how the loss of the examples of class i depends on an
            example of class j, mean over these, (K, K). `unrolled_sgd/diagonal` is the share of it that is on
            the diagonal; the matrix is kept with the rest. It takes K times as long.
    """

    def __init__(self, *, every: When = "200it", by_class: bool = False) -> None:
        super().__init__()
        self.every = every
        self.by_class = by_class

    def plan(self, run: Run) -> None:
        """Train, and look back.

        Raises:
            UserError: the optimizer is not plain SGD, the network keeps statistics of batches, or there is
                more than one process.
        """
        check(run)
        if run.load_finished(STAGE, run.objective):
            return
        objective = run.objective.train()
        train = run.context.whole("train")
        x = train.x.detach().clone().requires_grad_()
        every_example = replace(train, x=x)
        weights = {n: p.detach().clone().requires_grad_() for n, p in trainable(objective).items()}
        total = torch.zeros(len(x), dtype=torch.float64, device=x.device)
        by_class = torch.zeros(run.context.num_classes, len(x), dtype=torch.float64, device=x.device)
        times = 0
        for batch, t in run.clock(STAGE, 0, run.steps, run.steps):
            lr = lr_at(run.recipe.schedule, run.recipe.optimizer.lr, t)
            weights = sgd_step(objective, weights, replace(batch, x=x[batch.index]), t, lr)
            if t.due(self.every):
                times += 1
                total += sensitivity(functional_call(objective, weights, (every_example, t))[0], x)
                if self.by_class:
                    by_class += class_sensitivity(objective, weights, every_example, t, len(by_class))
                mean = total / times
                run.note(STAGE, t.step + 1, {f"unrolled_sgd/{k}": v for k, v in summary(mean).items()})
            if run.evaluation_due(t):
                adopt(objective, weights)
                run.evaluate(t)
            if run.stop_requested(t):
                raise Stopped(STAGE)
        arrays = {"sensitivity": mean.cpu().numpy()}
        if self.by_class:
            arrays["by_class"] = matrix = class_matrix(by_class / times, train.y).cpu().numpy()
            run.note(STAGE, run.steps, {"unrolled_sgd/diagonal": float(matrix.trace() / matrix.sum())})
        content = io.BytesIO()
        np.savez_compressed(content, **arrays)
        run.keep("loss_sensitivity.npz", content.getvalue())
        adopt(objective, weights)
        run.finish_stage(STAGE, t, objective)


def check(run: Run) -> None:
    """Refuse what cannot be unrolled.

    Raises:
        UserError: the optimizer is not plain SGD, the network keeps statistics of batches, or there is more
            than one process.
    """
    optimizer = run.recipe.optimizer
    if not isinstance(optimizer, Sgd) or optimizer.momentum or optimizer.weight_decay:
        raise UserError(
            "unrolled_sgd unrolls plain SGD, without momentum and weight decay", where="optimizer"
        )
    if any(True for _ in run.objective.model.buffers()):
        raise UserError(
            "unrolled_sgd needs a network that keeps no state between steps, unlike batch norm or sngp",
            where="model",
        )
    if run.accelerator.num_processes > 1:
        raise UserError("unrolled_sgd runs in one process", where="launch.processes")


def trainable(objective: Objective) -> dict[str, Tensor]:
    """Return the parameters that are trained, by name."""
    return {name: p for name, p in objective.named_parameters() if p.requires_grad}


def sgd_step(
    objective: Objective, weights: dict[str, Tensor], batch: Batch, t: Tick, lr: float
) -> dict[str, Tensor]:
    """Return the weights after one step of SGD, as functions of the weights before and of the batch."""
    loss, _ = functional_call(objective, weights, (batch, t))
    gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
    return {n: w - lr * g for (n, w), g in zip(weights.items(), gradients, strict=True)}


def sensitivity(loss: Tensor, x: Tensor) -> Tensor:
    """Return g_x = |d loss / d x|_1 of each example, (N,) float64, through all steps (arpit2017 §4.2).

    Args:
        loss: scalar; its graph is kept.
        x: inputs (N, ...) that the weights depend on.
    """
    (gradient,) = torch.autograd.grad(loss, x, retain_graph=True)
    return gradient.abs().flatten(1).sum(1).double()


def class_sensitivity(
    objective: Objective, weights: dict[str, Tensor], examples: Batch, t: Tick, num_classes: int
) -> Tensor:
    """Return |d L_t(y = i) / d x|_1 for each class i and example, (K, N) float64 (arpit2017 §4.2).

    L_t(y = i) are the terms of class i in the average loss.
    """
    logits = functional_call(objective.model, model_weights(weights), (examples.x,))
    losses = objective.sample_losses(logits, examples, t) / len(examples)
    return torch.stack([sensitivity(losses[examples.y == i].sum(), examples.x) for i in range(num_classes)])


def model_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the objective's weights that are the model's, by their names there."""
    prefix = "model."
    return {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}


def class_matrix(by_class: Tensor, targets: Tensor) -> Tensor:
    """Return the mean of `by_class` (K, N) over each class's examples, (K, K); rows: class of the loss."""
    member = torch.nn.functional.one_hot(targets, len(by_class)).to(by_class)
    return by_class @ member / member.sum(0).clamp_min(1)


def summary(mean: Tensor) -> dict[str, Tensor]:
    """Return what is logged of mean sensitivities (N,)."""
    return {"gini": gini(mean), "mean": mean.mean()}


@torch.no_grad()
def adopt(objective: Objective, weights: dict[str, Tensor]) -> None:
    """Copy weights into the objective."""
    for name, parameter in trainable(objective).items():
        parameter.copy_(weights[name])


build = UnrolledSgd
