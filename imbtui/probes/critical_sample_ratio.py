"""Share of examples with another predicted class close by: how intricate the decision surface is."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.seeding import seed_of
from imbtui.engine.tick import Tick
from imbtui.numerics.critical_samples import critical_samples
from imbtui.numerics.ensembles import joint_logits
from imbtui.option_types import Count, NonNegative, NonNegativeInt, Positive
from imbtui.probes._model import evaluating, over_split, require_examples

WHERE = "probes.critical_sample_ratio"
METRICS = ("{radii}",)


class CriticalSampleRatio(Probe):
    """Critical samples over all, by Langevin adversarial sample search (arpit2017 §4.4).

    One value a radius, such as `critical_sample_ratio/0.3`. Radii mean nothing without the scale of the
    inputs: the paper's 0.3 is on pixels from 0 to 255. Where the recipe normalises or standardises, inputs
    are larger by 1 / deviation; give a `scale` that accounts for it.

    Args:
        radii: half the widths of the boxes searched, on the scale below.
        scale: how many of these units make one unit of the network's inputs; 255 for pixels in [0, 1].
        step: length of a step, in radii (0.25 / 0.3 in the paper).
        noise: standard deviation of the Gaussian noise of a step, in radii (0.2 / 0.3 in the paper).
        iterations: steps of the search.
        min_new: end a batch's search once a step finds fewer new critical samples; 0: never. Released code
            uses 20, which makes the ratio depend on the number of examples.
        split: the examples; left out: validation where there is a validation split, else test.
    """

    def __init__(
        self,
        *,
        radii: list[Positive] = [0.3],  # noqa: B006  a recipe's default; never changed
        scale: Positive = 255.0,
        step: Positive = 0.8333333333333334,
        noise: NonNegative = 0.6666666666666666,
        iterations: Count = 100,
        min_new: NonNegativeInt = 0,
        split: Literal["val", "test", "train"] | None = None,
    ) -> None:
        self.radii = radii
        self.scale = scale
        self.step = step
        self.noise = noise
        self.iterations = iterations
        self.min_new = min_new
        self.split = split

    def setup(self, context: ProbeContext) -> None:
        """Choose the split.

        Raises:
            UserError: the run has no such split.
        """
        self.chosen = self.split or ("val" if "val" in context.examples else "test")
        require_examples(context, self.chosen, where=f"{WHERE}.split")
        self.context = context

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the ratio by radius."""
        with evaluating(objective) as model:
            return {f"{radius:g}": self._ratio(model, radius, t) for radius in self.radii}

    def _ratio(self, model: nn.Module, radius: float, t: Tick) -> float:
        device = self.context.device
        generator = torch.Generator(device).manual_seed(seed_of(self.context.seed, WHERE, t.stage, t.step))
        size = radius / self.scale

        def look(batch: Batch) -> tuple[Tensor]:
            found = critical_samples(
                lambda x: joint_logits(model(x)),
                batch.x,
                radius=size,
                step=self.step * size,
                noise=self.noise * size,
                iterations=self.iterations,
                min_new=self.min_new,
                generator=generator,
            )
            return (found.critical,)

        (critical,) = over_split(self.context, self.chosen, look)
        return float(critical.double().mean())


build = CriticalSampleRatio
