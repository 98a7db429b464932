"""By how much one step changes what each layer gives for the same examples."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.tick import Tick
from imbtui.option_types import Count
from imbtui.probes._model import evaluating, first_examples

METRICS = ("*",)


class FeatureChange(Probe):
    """`<layer>` = ||h_after - h_before|| / ||h_before|| over one update (thilak2022 §5).

    h is the output, in evaluation mode, of each module with parameters of its own, on the first training
    examples.

    Args:
        examples: how many training examples are looked at.
    """

    def __init__(self, *, examples: Count = 256) -> None:
        self.examples = examples

    def setup(self, context: ProbeContext) -> None:
        """Take the examples."""
        self.x, _ = first_examples(context, "train", self.examples)

    def prepare(self, objective: nn.Module, batch: Batch, t: Tick) -> None:
        """Remember the outputs."""
        self.before = self._outputs(objective)

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the change of each layer."""
        after = self._outputs(objective)
        changes = [relative_change(h, after[name]) for name, h in self.before.items()]
        return dict(zip(self.before, torch.stack(changes).tolist(), strict=True))

    def _outputs(self, objective: nn.Module) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        with evaluating(objective) as model:
            layers = {m: name for name, m in model.named_modules() if any(True for _ in m.parameters(False))}

            def keep(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
                found[layers[layer]] = output.clone()

            handles = [layer.register_forward_hook(keep) for layer in layers]
            try:
                model(self.x)
            finally:
                for handle in handles:
                    handle.remove()
        return found


def relative_change(before: Tensor, after: Tensor) -> Tensor:
    """Return ||after - before|| / ||before||, () (thilak2022 §5)."""
    return torch.linalg.vector_norm(after - before) / torch.linalg.vector_norm(before)


build = FeatureChange
