"""Accuracy on corrupted and on clean examples, apart."""

from __future__ import annotations

import torch
from torch import Tensor


class CorruptedAccuracy:
    """Accumulates batches without waiting for the device; `compute` fetches everything at once.

    Args:
        device: where logits will be.

    Attributes:
        state: `sums` (6,) float64: corrupted examples, those of them that are classified as their given
            and as their true label, and those with another label than the true one; clean examples, and
            those of them that are classified right. Processes add theirs up before `compute`.
    """

    def __init__(self, *, device: torch.device | str = "cpu") -> None:
        self.state = {"sums": torch.zeros(6, dtype=torch.float64, device=device)}

    @torch.no_grad()
    def update(self, logits: Tensor, targets: Tensor, clean_targets: Tensor, is_corrupted: Tensor) -> None:
        """Add a batch.

        Args:
            logits: (N, K).
            targets: given labels, (N,) int64.
            clean_targets: true labels, (N,) int64.
            is_corrupted: (N,) bool.
        """
        predicted = logits.argmax(1)
        given, true, relabelled = predicted == targets, predicted == clean_targets, targets != clean_targets
        clean = ~is_corrupted
        marks = (is_corrupted, is_corrupted & given, is_corrupted & true, relabelled, clean, clean & given)
        self.state["sums"] += torch.stack(marks).sum(1)

    def compute(self) -> dict[str, float]:
        """Return the accuracies of all examples so far; none where no example is corrupted.

        `corrupted_accuracy`: corrupted examples, against the labels they were given; memorised noise
        counts as right. `corrupted_true_accuracy`: the same against their true labels, where any label
        differs from the true one. `clean_accuracy`: the other examples, where there are any
        (arpit2017 §4.5).
        """
        corrupted, given, true, relabelled, clean, right = self.state["sums"].tolist()
        if not corrupted:
            return {}
        accuracies = {"corrupted_accuracy": given / corrupted}
        if relabelled:
            accuracies["corrupted_true_accuracy"] = true / corrupted
        if clean:
            accuracies["clean_accuracy"] = right / clean
        return accuracies
