"""The slots that a method may fill, and those of a probe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import MethodContext, ProbeContext
from imbtui.engine.examples import Examples
from imbtui.engine.tick import Tick

if TYPE_CHECKING:
    from imbtui.engine.run import Run


class Method(nn.Module):
    """A training method: override the slots it needs, leave the others.

    Each slot has one rule of combination, so methods combine freely. State belongs in buffers or
    parameters: it is then checkpointed and moved between devices with the rest. Hooks act only while
    the module is in training mode; extra forward passes run in `eval()`.
    """

    def setup(self, context: MethodContext) -> None:
        """Prepare once before training, in recipe order; may wrap `context.model`."""

    def sampling_weights(self, train: Examples, t: Tick) -> Tensor | None:
        """Return relative draw probabilities (N_train,) float64 for the coming epoch, or None.

        Weights of several methods are multiplied; if any is given, examples are drawn with
        replacement, as many as the training set holds.
        """
        return None

    def around_step(self, batch: Batch, t: Tick) -> AbstractContextManager[Batch | None]:
        """Return a context that is entered before the forward pass and left after the optimizer step.

        What it yields, if not None, replaces the batch for this step.
        """
        return nullcontext()

    def weights(self, batch: Batch, losses: Tensor, t: Tick) -> Tensor | None:
        """Return a weight per sample (N,), or None for all ones. Methods' weights are multiplied."""
        return None

    def penalty(self, batch: Batch, logits: Tensor, t: Tick) -> Tensor | None:
        """Return a scalar that is added to the loss, or None."""
        return None

    def before_evaluation(self) -> None:
        """Bring up to the present weights what evaluation needs beside them.

        All processes call it, before probes measure and before splits are evaluated, so maybe twice after
        one step. Without gradients; those of the step are still there and must stay.
        """

    def logs(self) -> dict[str, Tensor]:
        """Return scalars of the step just computed, detached; their means are logged as `running/<name>`."""
        return {}

    def stages(self) -> list[str]:
        """Return the names of the stages that `plan` will run, in order, so that progress can be told."""
        return ["train"]

    plan: Callable[[Run], None] | None = None
    """Runs the stages itself instead of one plain stage `train`; at most one method of a recipe may.

    Restarting a run calls the plan again from its beginning: `run.fit` returns at once for stages that
    had finished, with their end state loaded.
    """


class Probe:
    """Measures something while training, or concludes something from a stage's rows at its end.

    One that follows every step keeps what it has seen since its last measurement; `state` and `restore`
    carry that over a restart.
    """

    def setup(self, context: ProbeContext) -> None:
        """Prepare once before training, after all methods."""

    def prepare(self, objective: nn.Module, batch: Batch, t: Tick) -> None:
        """Look at the model before a step that `measure` follows, to tell what the step changed."""

    def follow(self, objective: nn.Module, logs: Mapping[str, Tensor], t: Tick) -> None:
        """See every step, after the optimizer's; nothing in here may wait for the device.

        Args:
            objective: after the step.
            logs: what the step logged: `loss` and what methods add.
            t: the step.
        """

    def state(self) -> dict[str, Tensor]:
        """Return what `follow` has gathered so far."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a `state`; an empty one begins anew, as every stage does."""

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return values by name; they are logged as `<probe>/<name>`.

        Called while the step's gradients are there. The model is in training mode; a probe that runs it
        switches to `eval()` and back.
        """
        return {}

    def conclude(self, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, float | list[float]]:
        """Return what the rows of a whole stage say, by name; logged as `<probe>/<name>` at its end.

        Only rank 0 calls it.
        """
        return {}
