"""Out-of-distribution detection: AUROC and AUPR of unfamiliar against familiar examples, accuracy beside."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from imbtui import paths
from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.data import load_splits
from imbtui.engine.examples import Examples
from imbtui.engine.method import Probe
from imbtui.engine.ranks import is_main
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.numerics.ood import class_probabilities, dempster_shafer, doubt, true_negative_rate
from imbtui.probes._model import evaluating, logits_and_variance, require_examples

WHERE = "probes.ood"
METRICS = (
    "auroc",
    "aupr",
    "tnr_at_80_tpr",
    "tnr_at_95_tpr",
    "accuracy",
    "familiar_confidence",
    "confidence",
    "familiar",
    "unfamiliar",
    "familiar_variance",
    "variance",
)


class OOD(Probe):
    """Scores all examples by the model's uncertainty; unfamiliar ones are positive (liu2020, metrics).

    `auroc`, `aupr`, `tnr_at_80_tpr` and `tnr_at_95_tpr` (1 - FPR there); `accuracy` on the familiar examples,
    since a model that has learnt nothing can detect well; `confidence` and `familiar_confidence`, the mean
    largest probabilities; of a model that has variances `variance` and `familiar_variance`. AUPR depends on
    the ratio of `unfamiliar` to `familiar`, the numbers of examples. Probabilities are float64.

    Args:
        examples: the unfamiliar examples: what the data set has for probes, or a split of `dataset`.
        dataset: a data set beside the run's own, with inputs of the same shape, prepared with the run's own
            statistics; its `test` split unless `examples` says otherwise. Left out: the run's data set.
        dataset_options: its options.
        split: the familiar examples.
        score: `probability`: 1 - max p. `dempster_shafer`: K / (K + sum exp z). `variance`: of the logits.
    """

    def __init__(
        self,
        *,
        examples: str | None = None,
        dataset: str | None = None,
        dataset_options: dict[str, str | int | float | bool | list[int]] = {},  # noqa: B006  never changed
        split: Literal["test", "val", "train"] = "test",
        score: Literal["probability", "dempster_shafer", "variance"] = "probability",
    ) -> None:
        self.examples = examples
        self.dataset = dataset
        self.dataset_options = dataset_options
        self.split = split
        self.score = score

    def setup(self, context: ProbeContext) -> None:
        """Find the unfamiliar examples.

        Raises:
            UserError: they are not there, or have another shape.
        """
        require_examples(context, self.split, where=f"{WHERE}.split")
        if self.dataset is None:
            name = self.examples or "ood"
            require_examples(
                context, name, where=f"{WHERE}.examples", hint="Name another data set: probes.ood.dataset."
            )
            self.unfamiliar = context.examples[name]
        else:
            self.unfamiliar = self._elsewhere(context, self.dataset, self.examples or "test")
        self.familiar = context.examples[self.split]
        self.context = context

    def _elsewhere(self, context: ProbeContext, dataset: str, name: str) -> Examples:
        splits = load_splits(
            dataset, self.dataset_options, paths.data_root(), seed=context.seed, where=f"{WHERE}.dataset"
        )
        known = {"train": splits.train, "test": splits.test, **splits.extra}
        if name not in known:
            raise UserError(f'the data set "{dataset}" has no examples "{name}"', where=f"{WHERE}.examples")
        own, other = context.examples["train"].x.shape[1:], known[name].x.shape[1:]
        if own != other:
            raise UserError(
                f'inputs of "{dataset}" have the shape {other} and those of the run {own}',
                where=f"{WHERE}.dataset",
            )
        return known[name]

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the values by name.

        Raises:
            UserError: the variance is asked for, and the model has none.
        """
        if not is_main():
            return {}
        from sklearn.metrics import average_precision_score, roc_auc_score

        with evaluating(objective) as model:
            inside, outside = (self._answers(model, part) for part in (self.familiar, self.unfamiliar))
        familiar, unfamiliar = (self._scores(*answer).cpu().numpy() for answer in (inside, outside))
        positive = np.repeat([0, 1], [len(familiar), len(unfamiliar)])
        together = np.concatenate([familiar, unfamiliar])
        tops = [class_probabilities(logits).max(1) for logits, _ in (inside, outside)]
        targets = torch.from_numpy(self.familiar.targets).to(tops[0].indices.device)
        values: dict[str, float | list[float]] = {
            "auroc": float(roc_auc_score(positive, together)),
            "aupr": float(average_precision_score(positive, together)),
            "tnr_at_80_tpr": true_negative_rate(familiar, unfamiliar, 0.8),
            "tnr_at_95_tpr": true_negative_rate(familiar, unfamiliar, 0.95),
            "accuracy": float((tops[0].indices == targets).double().mean()),
            "familiar_confidence": float(tops[0].values.mean()),
            "confidence": float(tops[1].values.mean()),
            "familiar": float(len(familiar)),
            "unfamiliar": float(len(unfamiliar)),
        }
        for name, (_, variance) in (("familiar_variance", inside), ("variance", outside)):
            if variance is not None:
                values[name] = float(variance.mean())
        return values

    def _answers(self, model: nn.Module, examples: Examples) -> tuple[Tensor, Tensor | None]:
        """Return logits, (N, K) or (M, N, K), and variances (N,) of all examples."""
        parts = [logits_and_variance(model, batch.x) for batch in self.context.batches_of(examples)]
        variances = [variance for _, variance in parts if variance is not None]
        logits = torch.cat([logits for logits, _ in parts], dim=-2)
        return logits, torch.cat(variances) if variances else None

    def _scores(self, logits: Tensor, variance: Tensor | None) -> Tensor:
        if self.score == "probability":
            return doubt(class_probabilities(logits))
        if self.score == "dempster_shafer":
            return dempster_shafer(logits.mean(0) if logits.dim() == 3 else logits)
        if variance is None:
            raise UserError(
                "the model's predictions have no variance",
                where=f"{WHERE}.score",
                hint="The method sngp gives them one.",
            )
        return variance


build = OOD
