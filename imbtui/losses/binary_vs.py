"""Vector-scaling loss of one score, for two classes (kini2021)."""

from __future__ import annotations

from torch import Tensor, nn

from imbtui.numerics.vector_scaling import (
    binary_vs_loss,
    require_examples,
    require_two_classes,
    vs_offsets,
    vs_scales,
)
from imbtui.option_types import NonNegative


class BinaryVS(nn.Module):
    """The binary VS loss (kini2021 §2.2) of the score f = z_1 - z_0; class 1 is the positive label.

    Delta_y = (n_y / n_max)^gamma and iota_y = -tau ln(n_y / n), of the label alone: a different loss from
    `vs` with two classes. On separable data a linear model tends to the cost-sensitive SVM with
    delta = Delta_- / Delta_+, whatever tau and the sample weights are (§3.1).

    Args:
        class_counts: training examples a class, (2,); all above 0.
        gamma: exponent of the multiplicative factors; 0 leaves them out.
        tau: factor of the additive terms; 0 leaves them out.

    Raises:
        UserError: there are not two classes, or one has no examples.
    """

    scales: Tensor
    offsets: Tensor

    def __init__(self, class_counts: Tensor, *, gamma: NonNegative = 0.3, tau: NonNegative = 1.0) -> None:
        super().__init__()
        require_two_classes(class_counts, "binary_vs")
        require_examples(class_counts, "binary_vs")
        self.register_buffer("scales", vs_scales(class_counts, gamma))
        self.register_buffer("offsets", -vs_offsets(class_counts, tau))

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Map logits (N, 2) and labels (N,) to one value a sample, (N,)."""
        scores, signs = logits[:, 1] - logits[:, 0], 2 * targets - 1
        return binary_vs_loss(scores, signs, self.scales[targets], self.offsets[targets])


build = BinaryVS
