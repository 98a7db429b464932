"""Probes of the imbalance papers on small known networks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from imbtui.datasets.gaussian_mixture import GaussianMixture
from imbtui.engine.batch import Batch, joined
from imbtui.engine.context import ProbeContext
from imbtui.engine.examples import DataSplits, Examples
from imbtui.engine.heads import make_head
from imbtui.engine.method import Probe
from imbtui.engine.objective import Objective
from imbtui.engine.pixels import PixelScale
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.losses.cross_entropy import CrossEntropy
from imbtui.models.linear import Linear
from imbtui.models.mlp import MLP
from imbtui.numerics.feature_deviation import feature_deviation
from imbtui.numerics.separators import cs_svm
from imbtui.probes._model import features_and_logits, head_and_tail
from imbtui.probes.balanced_svm import BalancedSVM
from imbtui.probes.feature_deviation import FeatureDeviation
from imbtui.probes.gaussian_errors import GaussianErrors
from imbtui.probes.group_metrics import GroupMetrics
from imbtui.probes.margins import Margins, decision_values
from imbtui.probes.prediction_rate import PredictionRate
from imbtui.probes.separator import Separator

T = Tick("train", 0, 1, 1)
NOWHERE = Path("no such folder")


def batch_of(examples: Examples) -> Batch:
    y = torch.from_numpy(examples.targets)
    return Batch(
        x=torch.from_numpy(examples.x).double(),
        y=y,
        index=torch.arange(len(y)),
        clean_targets=y,
        is_corrupted=torch.zeros(len(y), dtype=torch.bool),
        group=None if examples.group is None else torch.from_numpy(examples.group),
    )


def context_of(model: nn.Module, splits: DataSplits) -> ProbeContext:
    examples = {"train": splits.train, "test": splits.test, **splits.extra}

    def batches(name: str) -> Iterator[Batch]:
        whole = examples[name]
        for start in range(0, len(whole), 64):
            yield batch_of(whole.take(np.arange(start, min(start + 64, len(whole)))))

    return ProbeContext(
        model=model,
        input_shape=splits.train.x.shape[1:],
        num_classes=splits.num_classes,
        class_counts=torch.from_numpy(splits.train.class_counts(splits.num_classes)),
        examples=examples,
        batches=batches,
        whole=lambda split: joined(list(batches(split))),
        seed=0,
        device=torch.device("cpu"),
        runs=Path("runs"),
        batches_of=lambda examples: [batch_of(examples)],
        keep=lambda name, content: None,
        pixels=PixelScale(),
        beside={},
    )


def measured(probe: Probe, model: nn.Module, splits: DataSplits) -> dict[str, Any]:
    probe.setup(context_of(model, splits))
    objective = Objective(model, CrossEntropy(torch.ones(splits.num_classes)), []).train()
    values = probe.measure(objective, batch_of(splits.train.take(np.arange(2))), T)
    assert objective.training
    assert model.training
    return values


def three_classes(seed: int = 0) -> DataSplits:
    rng = np.random.RandomState(seed)
    y = np.repeat([0, 1, 2], [60, 30, 8])
    test_y = np.arange(90) % 3
    train, test = (rng.randn(len(labels), 5) + labels[:, None] for labels in (y, test_y))
    noise = Examples.of(rng.rand(50, 5).astype(np.float32), np.zeros(50, np.int64))
    return DataSplits(
        train=Examples.of(train.astype(np.float32), y),
        test=Examples.of(test.astype(np.float32), test_y),
        num_classes=3,
        class_names=("a", "b", "c"),
        extra={"noise": noise},
    )


def network(classes: int = 3, dropout: float = 0.5) -> MLP:
    torch.manual_seed(0)
    return MLP((5,), lambda width: make_head("linear", width, classes), hidden=[6], dropout=dropout).double()


def logits_of(model: nn.Module, examples: Examples) -> Tensor:
    model.eval()
    logits = model(batch_of(examples).x).detach()
    model.train()
    return logits


def linear(weight: Any, bias: float | None = None) -> Linear:
    """Return a model whose score z_1 - z_0 is w.x + b."""
    w = torch.as_tensor(weight, dtype=torch.float64)
    model = Linear((len(w),), lambda width: make_head("linear", width, 2), bias=bias is not None).double()
    head = model.head
    assert isinstance(head, nn.Linear)
    head.weight.data = torch.stack([-0.25 * w, 0.75 * w])
    if bias is not None:
        head.bias.data = torch.tensor([1.0, 1.0 + bias], dtype=torch.float64)
    return model


def test_prediction_rates() -> None:
    splits, model = three_classes(), network()
    values = measured(PredictionRate(label=2), model, splits)
    assert values.keys() == {"test", "noise"}
    for name, examples in (("test", splits.test), ("noise", splits.extra["noise"])):
        expected = (logits_of(model, examples).argmax(1) == 2).double().mean().item()
        assert values[name] == pytest.approx(expected)
    assert measured(PredictionRate(sets=["train"]), model, splits).keys() == {"train"}


def test_prediction_rate_refuses_what_is_not_there() -> None:
    with pytest.raises(UserError, match="no class 3"):
        measured(PredictionRate(label=3), network(), three_classes())
    with pytest.raises(UserError, match='no examples "nois"') as error:
        measured(PredictionRate(sets=["nois"]), network(), three_classes())
    assert "noise" in error.value.hint


def test_margins_by_hand() -> None:
    z = torch.tensor([[1.0, 3.0, 2.0], [0.5, -1.0, -2.0]])
    of_target, margin = decision_values(z, torch.tensor([1, 2]))
    assert (of_target.tolist(), margin.tolist()) == ([3.0, -2.0], [1.0, -2.5])


def test_margins_of_classes() -> None:
    splits, model = three_classes(), network()
    values = measured(Margins(split="train"), model, splits)
    z, y = logits_of(model, splits.train), torch.from_numpy(splits.train.targets)
    margin = torch.stack(
        [row[c] - torch.cat([row[:c], row[c + 1 :]]).max() for row, c in zip(z, y, strict=True)]
    )
    assert values["margin"] == pytest.approx([margin[y == c].mean().item() for c in range(3)])
    assert values["smallest"] == pytest.approx([margin[y == c].min().item() for c in range(3)])
    assert values["decision"] == pytest.approx([z[y == c, c].mean().item() for c in range(3)])
    # Of three classes one is the head and one the tail.
    assert values["tail_decision"] == values["decision"][2]
    assert values["head_margin"] == values["margin"][0]
    assert values["ratio"] == pytest.approx(values["smallest"][2] / values["smallest"][0])


def test_head_and_tail() -> None:
    counts = torch.tensor([5, 120, 1, 43, 71, 2, 9, 3, 25, 15])
    assert head_and_tail(counts, 3) == ([1, 4, 3], [7, 5, 2])
    assert head_and_tail(torch.tensor([10, 90]), 3) == ([1], [0])
    assert head_and_tail(torch.tensor([4, 4, 4]), 3) == ([0], [2])


def test_feature_deviation_looks_at_what_enters_the_head() -> None:
    splits, model = three_classes(), network()
    values = measured(FeatureDeviation(), model, splits)
    model.eval()
    train, test = (model.features(batch_of(e).x).detach() for e in (splits.train, splits.test))
    y, test_y = (torch.from_numpy(e.targets) for e in (splits.train, splits.test))
    expected = feature_deviation(train, y, test, test_y, 3)
    assert values["deviation"] == pytest.approx(expected.tolist())
    assert values["head"] == pytest.approx(expected[0].item())
    assert values["tail"] == pytest.approx(expected[2].item())
    assert not any(map(math.isnan, values["controlled"]))
    model.train()
    again = measured(FeatureDeviation(), model, splits)
    assert again["controlled"] == values["controlled"]  # the subsets are drawn from the run's seed


def test_features_of_a_wrapped_model() -> None:
    class Wrapper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network(dropout=0.0)

        def forward(self, x: Tensor) -> Tensor:
            return 2 * self.inner(x)

    model = Wrapper()
    x = torch.randn(4, 5, dtype=torch.float64)
    features, logits = features_and_logits(model, x)
    torch.testing.assert_close(features, model.inner.features(x))
    torch.testing.assert_close(logits, model(x))
    assert not model.inner.head._forward_pre_hooks


def test_group_metrics() -> None:
    splits = GaussianMixture(form="groups", dimension=3, test_per_component=40).load(NOWHERE, split_seed=0)
    values = measured(GroupMetrics(), linear([1.0, 0.5, 0.0]), splits)
    predicted = splits.test.x @ np.array([1.0, 0.5, 0.0]) > 0
    wrong = predicted != splits.test.targets
    errors = [wrong[splits.test.group == g].mean() for g in range(4)]
    assert values["error"] == pytest.approx(errors)
    assert values["worst_error"] == pytest.approx(max(errors))
    assert values["worst_accuracy"] == pytest.approx(1 - max(errors))
    assert values["balanced_error"] == pytest.approx(np.mean(errors))
    deo = [abs(errors[1] - errors[0]), abs(errors[3] - errors[2])]
    assert values["deo"] == pytest.approx(deo)
    assert values["symmetric_deo"] == pytest.approx(np.mean(deo))
    with pytest.raises(UserError, match="no groups"):
        measured(GroupMetrics(), network(), three_classes())


def test_separator_at_its_limits() -> None:
    splits = GaussianMixture().load(NOWHERE, split_seed=0)
    x, y = splits.train.x.astype(np.float64), 2.0 * splits.train.targets - 1
    svm = measured(Separator(), linear(7 * cs_svm(x, y)), splits)
    assert svm["svm_cosine"] == pytest.approx(1)
    assert svm["svm_angle"] == pytest.approx(0, abs=1e-5)
    assert svm["cs_svm_cosine"] == pytest.approx(svm["limits_cosine"])
    assert svm["limits_cosine"] == pytest.approx(0.890, abs=5e-4)
    assert svm["margin_ratio"] == pytest.approx(1, abs=1e-6)
    scaled = measured(Separator(), linear(cs_svm(x, y, 3.0)), splits)
    assert scaled["cs_svm_cosine"] == pytest.approx(1)
    assert scaled["margin_ratio"] == pytest.approx(3, abs=1e-6)


def test_separator_with_an_intercept_lies_in_one_dimension_more() -> None:
    splits = GaussianMixture(counts=[5, 5], dimension=20).load(NOWHERE, split_seed=0)
    x, y = splits.train.x.astype(np.float64), 2.0 * splits.train.targets - 1
    w = cs_svm(np.column_stack([x, np.ones(10)]), y)
    values = measured(Separator(), linear(w[:-1], bias=float(w[-1])), splits)
    assert values["svm_cosine"] == pytest.approx(1)
    assert values["norm"] == pytest.approx(np.linalg.norm(w))


def test_gaussian_errors_agree_with_many_test_points() -> None:
    splits = GaussianMixture(form="groups", dimension=3, test_per_component=40_000).load(
        NOWHERE, split_seed=0
    )
    model = linear([1.0, 0.5, 0.3], bias=0.4)
    exact = measured(GaussianErrors(), model, splits)
    sampled = measured(GroupMetrics(), model, splits)
    assert exact["worst"] == pytest.approx(sampled["worst_error"], abs=0.01)
    assert exact["balanced_groups"] == pytest.approx(sampled["balanced_error"], abs=0.01)
    assert exact["symmetric_deo"] == pytest.approx(sampled["symmetric_deo"], abs=0.01)
    plain = GaussianMixture(dimension=3).load(NOWHERE, split_seed=0)
    values = measured(GaussianErrors(), linear([1.0, 0.0, 0.0], bias=0.0), plain)
    assert values["negative"] == pytest.approx(0.5)
    assert values["balanced"] == pytest.approx((values["positive"] + 0.5) / 2)
    assert values["standard"] == pytest.approx(0.1 * values["positive"] + 0.9 * 0.5)
    assert "worst" not in values
    assert measured(GaussianErrors(), linear([0.0, 0.0, 0.0]), plain) == {}


def test_balanced_svm_equalises() -> None:
    """kini2021 §10, seed 1."""
    splits = GaussianMixture(shifts=[4.0, 4.0]).load(NOWHERE, split_seed=1)
    values = measured(BalancedSVM(), linear(np.ones(300)), splits)
    assert values["positive"] == pytest.approx(0.543, abs=6e-4)
    assert values["delta"] == pytest.approx(3.099, abs=2e-3)
    assert values["shifted_positive"] == pytest.approx(0.0399, abs=6e-5)
    assert values["shifted_negative"] == pytest.approx(0.0399, abs=6e-5)


@pytest.mark.parametrize("probe", [Separator, GaussianErrors])
def test_linear_probes_need_a_linear_model_of_two_classes(probe: Callable[[], Probe]) -> None:
    splits = GaussianMixture(dimension=5).load(NOWHERE, split_seed=0)
    deep = MLP((5,), lambda width: make_head("linear", width, 2), hidden=[5]).double()
    with pytest.raises(UserError, match="linear model of two classes"):
        measured(probe(), deep, splits)
    with pytest.raises(UserError, match="linear model of two classes"):
        measured(probe(), network(), three_classes())


def test_probes_that_need_other_data() -> None:
    splits = GaussianMixture(dimension=2, counts=[300, 300], shifts=[0.1, 0.1]).load(NOWHERE, split_seed=0)
    with pytest.raises(UserError, match="cannot be separated"):
        measured(Separator(), linear([1.0, 0.0]), splits)
    pair = DataSplits(splits.train, splits.test, 2, ("a", "b"))
    for probe in (GaussianErrors(), BalancedSVM()):
        with pytest.raises(UserError, match="gaussian_mixture"):
            measured(probe, linear([1.0, 0.0]), pair)
    groups = GaussianMixture(form="groups", dimension=2).load(NOWHERE, split_seed=0)
    with pytest.raises(UserError, match="one Gaussian a class"):
        measured(BalancedSVM(), linear([1.0, 0.0]), groups)
