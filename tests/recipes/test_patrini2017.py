"""The recipes of patrini2017: the quick study is the specification's, and holds; MNIST agrees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from imbtui import store
from imbtui.recipe import load_study
from imbtui.verdict import check_claims

Held = Callable[[str], list[store.RunView]]
AssertMeans = Callable[..., None]

ACCURACY, ERROR = "test/accuracy", "estimate_transition/error"
# patrini2017 §9 at asymmetric 0.4: means of an independent implementation, and how far ten seeds may be off.
MEASURED = [
    ("CE", ACCURACY, 0.838, 0.03),
    ("forward, true T", ACCURACY, 0.946, 0.04),
    ("forward, estimated T", ACCURACY, 0.902, 0.05),
    ("forward, unfiltered T", ACCURACY, 0.862, 0.03),
    ("backward, true T", ACCURACY, 0.897, 0.03),
    ("backward, true T, unclipped", ACCURACY, 0.817, 0.05),
    ("forward, estimated T", ERROR, 0.130, 0.03),
    ("forward, unfiltered T", ERROR, 0.310, 0.04),
]


def test_the_quick_study_is_that_of_the_specification() -> None:
    """patrini2017 §9."""
    study = load_study("patrini2017/quick")
    assert not study.warnings
    assert len({run.digest for run in study.runs}) == len(study.runs)
    assert {arm for arm, *_ in MEASURED} <= {run.arm for run in study.runs}
    recipe = study.runs[0].recipe
    assert (recipe.dataset.options["n_test"], recipe.dataset.validation) == (360, 143)
    assert recipe.dataset.corrupt_validation
    assert recipe.model.options["hidden"] == [128, 128]
    assert (recipe.optimizer.name, recipe.optimizer.lr, recipe.train.epochs) == ("adagrad", 0.02, 40)
    assert [claim.says.split(" ")[0] for claim in study.claims if claim.asserted] == ["Forward", "The"]
    check_claims(study.record())


OTHERS = ["rates", "symmetric", "step-size", "mnist-short", "mnist", "cifar10", "cifar100"]


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_studies_can_be_judged(name: str) -> None:
    study = load_study(f"patrini2017/{name}")
    assert not study.warnings
    check_claims(study.record())


@pytest.mark.slow
def test_the_quick_study_holds(held: Held, assert_means: AssertMeans) -> None:
    views = held("patrini2017/quick")
    assert_means(views, [(arm, metric, "last", *numbers) for arm, metric, *numbers in MEASURED])


@pytest.mark.slow
def test_forward_correction_is_ahead_on_mnist(held: Held, data_root: Path) -> None:
    held("patrini2017/mnist-short")
