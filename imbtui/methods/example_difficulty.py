"""Which examples are easy: the share of freshly drawn networks that classify each one correctly."""

from __future__ import annotations

import copy
import io
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from imbtui.engine.batch import Batch
from imbtui.engine.batches import EVALUATION_BATCH
from imbtui.engine.context import MethodContext
from imbtui.engine.method import Method
from imbtui.engine.objective import Objective
from imbtui.engine.seeding import seed_of
from imbtui.errors import UserError
from imbtui.methods._networks import draw_anew, networks_in
from imbtui.numerics.difficulty import spread_ratio
from imbtui.numerics.ensembles import predicted_classes

if TYPE_CHECKING:
    from imbtui.engine.run import Run

WHERE = "methods.example_difficulty"
REPLICATES = True
STAGES = ("network-#",)
METRICS = (
    "example_difficulty/mean",
    "example_difficulty/spread",
    "example_difficulty/always",
    "example_difficulty/never",
)


class ExampleDifficulty(Method):
    """Trains `train.replicates` networks and compares what they got right (arpit2017 §4.1).

    All see the run's own examples with the run's own corruption; initial weights and the order of the
    batches differ. Each is a stage `network-<n>` of the recipe's length, which is one epoch in the paper. A
    training example's P is the share of them that classify it as its given label, in a clean pass after
    training. Logged are `example_difficulty/mean` (of P), `spread` (its variance over that of binomial
    draws with the same mean), `always` and `never` (shares of examples with P = 1 and P = 0). P is kept in
    artifacts/difficulty.npz.

    The learning rate must be constant: epochs are counted on from network to network, which is how their
    batches differ.
    """

    def setup(self, context: MethodContext) -> None:
        """Remember how many networks there will be."""
        self.networks = context.replicates

    def stages(self) -> list[str]:
        """Return the names of the stages, one a network."""
        return [f"network-{number}" for number in range(self.networks)]

    def plan(self, run: Run) -> None:
        """Train the networks, then compare them.

        Raises:
            UserError: the schedule changes the learning rate, or another method has changed the network.
        """
        schedule = run.recipe.schedule
        if schedule.warmup_epochs or schedule.warmup or schedule.milestones or schedule.name != "multistep":
            raise UserError("example_difficulty needs a constant learning rate", where="schedule")
        networks_in(run.objective.model, run.context.make_model(run.context.seed), where=WHERE)
        begin = copy.deepcopy(run.objective.state_dict())
        train = run.context.whole("train")
        hits = torch.zeros(len(train), dtype=torch.int64, device=train.y.device)
        for number, stage in enumerate(self.stages()):
            run.objective.load_state_dict(begin)
            draw_anew(run.objective.model, run.context, seed_of(run.context.seed, stage), where=WHERE)
            run.fit(stage, start=number * run.steps, stop=(number + 1) * run.steps)
            hits += predictions(run.objective, train) == train.y
        share = hits.double() / self.networks
        run.note(
            stage,
            (number + 1) * run.steps,
            {
                "example_difficulty/mean": share.mean(),
                "example_difficulty/spread": spread_ratio(share, self.networks),
                "example_difficulty/always": (share == 1).double().mean(),
                "example_difficulty/never": (share == 0).double().mean(),
            },
        )
        content = io.BytesIO()
        np.savez_compressed(content, share_correct=share.cpu().numpy())
        run.keep("difficulty.npz", content.getvalue())


@torch.no_grad()
def predictions(objective: Objective, examples: Batch) -> Tensor:
    """Return the predicted class of every example in a clean pass, (N,)."""
    objective.eval()
    predicted = [predicted_classes(objective.model(x)) for x in examples.x.split(EVALUATION_BATCH)]
    objective.train()
    return torch.cat(predicted)


build = ExampleDifficulty
