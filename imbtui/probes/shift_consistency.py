"""How often a network gives a shifted image another class."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.seeding import seed_of
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.numerics.shift_invariance import all_shifts, shifted
from imbtui.option_types import Count
from imbtui.probes._model import AT_ONCE, evaluating, first_examples, require_examples

WHERE = "probes.shift_consistency"
METRICS = ("agree", "kept")


class ShiftConsistency(Probe):
    """Predictions under circular shifts, whatever the labels (singla2021 §Attacks and metrics).

    `agree`: share of images whose two random shifts are given one class, each image with shifts of its
    own (released code draws one pair a batch, which is noisy). With `shifts = "all"` besides `kept`: share
    of all shifts, the image itself included, that keep the class of the image itself.

    Args:
        shifts: `random` or `all`; all of a 28 x 28 image are 784.
        split: the images.
        limit: at most this many of them, the first ones.
    """

    def __init__(
        self,
        *,
        shifts: Literal["random", "all"] = "random",
        split: Literal["train", "test", "val"] = "test",
        limit: Count = 1000,
    ) -> None:
        self.shifts = shifts
        self.split = split
        self.limit = limit

    def setup(self, context: ProbeContext) -> None:
        """Make sure that the split is there and holds images.

        Raises:
            UserError: it does not.
        """
        require_examples(context, self.split, where=f"{WHERE}.split")
        if len(context.input_shape) != 3:
            raise UserError("only images can be shifted", where=WHERE)
        self.seed = context.seed
        # The same ones on every process.
        self.x, _ = first_examples(context, self.split, self.limit)

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the shares by name."""
        generator = torch.Generator().manual_seed(seed_of(self.seed, WHERE, t.stage, t.step))
        agree: list[Tensor] = []
        kept: list[Tensor] = []
        with evaluating(objective) as model:
            for x in self.x.split(AT_ONCE):
                first, second = (model(_moved(x, generator)).argmax(-1) for _ in range(2))
                agree.append(first == second)
                if self.shifts == "all":
                    kept += [kept_share(model, image) for image in x.split(1)]
        shares: dict[str, float | list[float]] = {"agree": float(torch.cat(agree).double().mean())}
        return shares | ({"kept": float(torch.stack(kept).mean())} if kept else {})


def kept_share(model: nn.Module, image: Tensor) -> Tensor:
    """Return the share of all circular shifts of one image (1, C, H, W) that keep its class, a scalar."""
    predicted = model(all_shifts(image)[0]).argmax(-1)
    return (predicted == predicted[0]).double().mean()


def _moved(x: Tensor, generator: torch.Generator) -> Tensor:
    rows, columns = (torch.randint(n, (len(x),), generator=generator).to(x.device) for n in x.shape[-2:])
    return shifted(x, rows, columns)


build = ShiftConsistency
