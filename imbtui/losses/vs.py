"""Vector-scaling loss: multiplicative and additive logit factors by class (kini2021)."""

from __future__ import annotations

from torch import Tensor, nn

from imbtui.numerics.vector_scaling import require_examples, vs_loss, vs_offsets, vs_scales
from imbtui.option_types import NonNegative


class VS(nn.Module):
    """The multiclass VS loss (kini2021 §2.1), in training only; predictions come from the raw logits.

    | gamma, tau | is |
    | --- | --- |
    | 0, 0 | cross-entropy |
    | 0, above 0 | logit adjustment (with tau 1: balanced softmax) |
    | above 0, 0 | CDT |

    The sample weights omega of the paper are the method `class_weights`; its code's "mixed" mode, plain
    cross-entropy in the first six epochs, is `loss.start_epoch = 6`.

    Args:
        class_counts: training examples a class, (K,); all above 0.
        gamma: exponent of the multiplicative factors (n_c / n_max)^gamma.
        tau: factor of the additive terms tau ln(n_c / n). Tune both together: each makes the other
            stronger (kini2021 §8.5).

    Raises:
        UserError: a class has no examples.
    """

    scales: Tensor
    offsets: Tensor

    def __init__(self, class_counts: Tensor, *, gamma: NonNegative = 0.3, tau: NonNegative = 1.0) -> None:
        super().__init__()
        require_examples(class_counts, "vs")
        self.register_buffer("scales", vs_scales(class_counts, gamma))
        self.register_buffer("offsets", vs_offsets(class_counts, tau))

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Map logits (N, K) and labels (N,) to one value a sample, (N,)."""
        return vs_loss(logits, targets, self.scales, self.offsets)


build = VS
