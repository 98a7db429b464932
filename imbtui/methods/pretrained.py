"""Start from the network that another run ended with, and train all of it: full fine-tuning."""

from __future__ import annotations

import torch

from imbtui.engine.context import MethodContext
from imbtui.engine.method import Method
from imbtui.engine.neighbours import final_weights, find_run
from imbtui.errors import UserError, did_you_mean
from imbtui.methods._masks import is_part
from imbtui.methods._networks import networks_in

WHERE = "methods.pretrained"


class Pretrained(Method):
    """Full fine-tuning, the control of kornblith2021 §4: no layer is frozen.

    In a model that other methods have multiplied, every copy starts from these weights.

    Args:
        run: where weights and batch-norm statistics come from: a run's id, the start of one (in the same
            folder of runs), the path of its folder, or `STUDY:ARM`: the finished run of that arm with this
            run's seed.
        exclude: layers that keep their own initial weights, by name or part of it.
    """

    def __init__(
        self,
        *,
        run: str,
        exclude: list[str] = ["head"],  # noqa: B006  a recipe's default; never changed
    ) -> None:
        super().__init__()
        self.run = run
        self.exclude = exclude

    @torch.no_grad()
    def setup(self, context: MethodContext) -> None:
        """Load the weights.

        Raises:
            UserError: the run is not there or has not finished, or a layer is missing there or differs.
        """
        folder = find_run(context.runs, self.run, where=f"{WHERE}.run", seed=context.seed)
        theirs = final_weights(folder, context.device, where=f"{WHERE}.run")
        template = context.make_model(context.seed)
        for entry in self.exclude:
            if not any(is_part(entry, name) for name in template.state_dict()):
                layers = sorted({name.rpartition(".")[0] for name in template.state_dict()})
                hint = did_you_mean(entry, layers)
                raise UserError(f'the model has no layer "{entry}"', where=f"{WHERE}.exclude", hint=hint)
        for network in networks_in(context.model, template, where=WHERE):
            for name, value in network.state_dict().items():
                if any(is_part(entry, name) for entry in self.exclude):
                    continue
                if name not in theirs or theirs[name].shape != value.shape:
                    layer = name.rpartition(".")[0]
                    raise UserError(
                        f'"{name}" is not of the same shape in {folder.id}, or not there',
                        where=WHERE,
                        hint=f'Use the model of {folder.id}, or exclude = ["{layer}"].',
                    )
                value.copy_(theirs[name])


build = Pretrained
