"""How well random signs are fitted: a learner's empirical Rademacher complexity."""

from __future__ import annotations

from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.numerics.ensembles import predicted_classes
from imbtui.probes._model import evaluating, over_split

METRICS = ("complexity",)


class Rademacher(Probe):
    """`complexity`: mean agreement of predictions with labels that are signs, over the training examples.

    It estimates the empirical Rademacher complexity of what training reaches when the two classes' labels
    are random throughout (`label_noise`, kind `uniform`, rate 1): 1 when all are fitted, about 0 when none
    can be (zhang2017 §5).
    """

    def setup(self, context: ProbeContext) -> None:
        """Check that labels are signs.

        Raises:
            UserError: there are not two classes.
        """
        if context.num_classes != 2:
            raise UserError("the probe needs two classes", where="probes.rademacher")
        self.context = context

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the estimate."""
        with evaluating(objective) as model:
            predicted, labels = over_split(
                self.context, "train", lambda b: (predicted_classes(model(b.x)), b.y)
            )
        return {"complexity": float(sign_agreement(2 * predicted - 1, 2 * labels - 1))}


def sign_agreement(predicted: Tensor, signs: Tensor) -> Tensor:
    """Return (1/n) sum_i sigma_i sign f(x_i), a scalar in [-1, 1] (zhang2017 §5).

    Args:
        predicted: sign f(x_i), (n,), values -1 and 1.
        signs: sigma_i, (n,), likewise.
    """
    return (predicted * signs).double().mean()


build = Rademacher
