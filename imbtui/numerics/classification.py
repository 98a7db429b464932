"""Classification metrics from one confusion matrix and the probabilities, kept on the device."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


class ClassificationMetrics:
    """Accumulates batches without waiting for the device; `compute` fetches everything at once.

    All of `state` are sums over examples: processes that saw different examples add theirs up (all of
    the values, in place) before `compute`.

    Args:
        num_classes: K.
        train_counts: training examples a class, (K,), which sort classes into many, medium and few.
        shots: (f, m): classes with fewer than f training examples are few-shot, with more than m
            many-shot, the others medium-shot (cao2019 §6: 20 and 100).
        bins: equal-width bins of the confidence behind `ece`.
        device: where logits will be.

    Attributes:
        state: `confusion` (K, K) int64, rows true and columns predicted; `nll` and `brier` () float64;
            `bin_count`, `bin_correct`, `bin_confidence` (bins,) float64.
    """

    def __init__(
        self,
        num_classes: int,
        train_counts: Tensor | Sequence[int],
        shots: Sequence[int] = (20, 100),
        bins: int = 15,
        *,
        device: torch.device | str = "cpu",
    ) -> None:
        self.num_classes = num_classes
        self.train_counts = torch.as_tensor(train_counts).cpu()
        self.few_below, self.many_above = shots
        self.bins = bins
        by_bin = dict.fromkeys(("bin_count", "bin_correct", "bin_confidence"), (bins,))
        sums: dict[str, tuple[int, ...]] = {"nll": (), "brier": (), **by_bin}
        self.state: dict[str, Tensor] = {
            "confusion": torch.zeros(num_classes, num_classes, dtype=torch.int64, device=device),
            **{name: torch.zeros(shape, dtype=torch.float64, device=device) for name, shape in sums.items()},
        }
        self._edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64, device=device)[1:-1]

    @torch.no_grad()
    def update(self, logits: Tensor, targets: Tensor) -> None:
        """Add a batch.

        Args:
            logits: (N, K); half precision is computed in float32.
            targets: true classes (N,) int64.
        """
        state = self.state
        logits = logits if logits.dtype == torch.float64 else logits.float()
        log_probabilities = F.log_softmax(logits, dim=1)
        log_confidence, predicted = log_probabilities.max(dim=1)
        state["nll"] -= log_probabilities.gather(1, targets.unsqueeze(1)).double().sum()
        state["brier"] += brier_scores(log_probabilities.exp(), targets).double().sum()
        # Adding ones by index is exact in any order; bincount would wait for a GPU to know its length.
        cells = targets * self.num_classes + predicted
        state["confusion"].view(-1).scatter_add_(0, cells, torch.ones_like(cells))
        confidence = log_confidence.double().exp()
        bin_of = torch.bucketize(confidence, self._edges)
        member = F.one_hot(bin_of, self.bins).double()  # a product adds in a fixed order, unlike a scatter
        state["bin_count"] += member.sum(0)
        state["bin_correct"] += (predicted == targets).double() @ member
        state["bin_confidence"] += confidence @ member

    def compute(self) -> dict[str, float | list[float]]:
        """Return the metrics of all examples so far.

        `accuracy`, `error` (1 - accuracy), `nll` and `brier` (means), `ece`, `class_accuracy` (recall of
        each class, NaN for one without examples), `balanced_accuracy` (mean recall), and `many_accuracy`,
        `medium_accuracy`, `few_accuracy` (mean recall of the group; left out when it has no class).
        Classes without examples count nowhere. Without any example all values are NaN.
        """
        confusion, nll, brier, bin_count, bin_correct, bin_confidence = self._fetch()
        total = float(confusion.sum())
        support = confusion.sum(1)
        recall = confusion.diagonal() / support
        accuracy = float(confusion.diagonal().sum()) / total if total else math.nan
        metrics: dict[str, float | list[float]] = {
            "accuracy": accuracy,
            "error": 1 - accuracy,
            "balanced_accuracy": mean_recall(recall, support > 0),
            "class_accuracy": recall.tolist(),
            "nll": float(nll) / total if total else math.nan,
            "brier": float(brier) / total if total else math.nan,
            "ece": expected_calibration_error(bin_count, bin_correct, bin_confidence),
        }
        for name, group in self._groups().items():
            if bool((group & (support > 0)).any()):
                metrics[f"{name}_accuracy"] = mean_recall(recall, group & (support > 0))
        return metrics

    def confusion(self) -> list[list[int]]:
        """Return the confusion matrix, rows true and columns predicted classes."""
        return self.state["confusion"].tolist()

    def _groups(self) -> dict[str, Tensor]:
        few = self.train_counts < self.few_below
        many = self.train_counts > self.many_above
        return {"many": many, "medium": ~(many | few), "few": few}

    def _fetch(self) -> tuple[Tensor, ...]:
        """Return the state in float64 on the CPU, through one transfer."""
        flat = torch.cat([value.reshape(-1).double() for value in self.state.values()]).cpu()
        parts = flat.split([value.numel() for value in self.state.values()])
        return tuple(part.view(value.shape) for part, value in zip(parts, self.state.values(), strict=True))


def brier_scores(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Return sum_k (p_k - [k = y])^2 of each example, (N,), between 0 and 2 (Brier 1950).

    Args:
        probabilities: p, (N, K).
        targets: y, (N,) int64.
    """
    of_target = probabilities.gather(1, targets.unsqueeze(1)).squeeze(1)
    return probabilities.square().sum(1) - 2 * of_target + 1


def mean_recall(recall: Tensor, classes: Tensor) -> float:
    """Return the mean of `recall` (K,) over the classes marked in `classes` (K,) (cao2019 §6)."""
    return float(recall[classes].mean())


def expected_calibration_error(count: Tensor, correct: Tensor, confidence: Tensor) -> float:
    """Return the mean distance of accuracy and confidence over bins, weighted by their examples.

    sum_b (n_b / N) |correct_b / n_b - confidence_b / n_b| = sum_b |correct_b - confidence_b| / N
    (liu2020 §Metrics).

    Args:
        count: examples in each bin, (bins,).
        correct: of these, rightly classified ones.
        confidence: sum of their largest probabilities.
    """
    total = float(count.sum())
    return float((correct - confidence).abs().sum()) / total if total else math.nan
