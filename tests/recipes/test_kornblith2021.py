"""The recipes of kornblith2021: the quick study is the specification's, and holds; all can be judged."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from imbtui import store
from imbtui.recipe import load_study
from imbtui.verdict import check_claims

Held = Callable[[str], list[store.RunView]]
AssertMeans = Callable[..., None]

R2, PROBE, LAST_LAYER = "class_separation/r2", "linear_probe/accuracy", "cka/head"
# kornblith2021 §9: the mean of two measurements of three seeds each, and how far five seeds may be off. Which
# digits are drawn moves the probe by 0.05; measurements of one temperature differ by up to 0.07 there.
MEASURED = [
    ("cosine 0.02", R2, 0.838, 0.05),
    ("cosine 0.05", R2, 0.886, 0.03),
    ("cosine 0.1", R2, 0.951, 0.02),
    ("cosine 0.2", R2, 0.995, 0.01),
    ("cosine 0.5", R2, 0.998, 0.01),
    ("softmax", R2, 0.909, 0.03),
    ("squared error", R2, 0.987, 0.02),
    ("cosine 0.02", PROBE, 0.856, 0.06),
    ("cosine 0.1", PROBE, 0.768, 0.07),
    ("cosine 0.5", PROBE, 0.633, 0.07),
    ("softmax", PROBE, 0.705, 0.07),
    ("label smoothing", LAST_LAYER, 0.87, 0.07),
    ("logit penalty", LAST_LAYER, 0.86, 0.07),
    ("cosine 0.1", LAST_LAYER, 0.79, 0.07),
    ("squared error", LAST_LAYER, 0.85, 0.07),
]


def test_the_quick_study_is_that_of_the_specification() -> None:
    """kornblith2021 §9."""
    study = load_study("kornblith2021/quick")
    assert not study.warnings
    assert len({run.digest for run in study.runs}) == len(study.runs) == 13 * 5
    assert {arm for arm, *_ in MEASURED} <= {run.arm for run in study.runs}
    recipe = study.runs[0].recipe
    assert (recipe.dataset.options["transfer_per_class"], recipe.dataset.options["pixels"]) == (
        10,
        "symmetric",
    )
    assert (recipe.model.options["hidden"], recipe.model.head_std) == ([128, 128, 64], 0.05)
    assert (recipe.optimizer.name, recipe.optimizer.lr, recipe.train.steps) == ("adamw", 2e-3, 800)
    asserted = [claim.metric for claim in study.claims if claim.asserted]
    assert asserted[:2] == [R2, PROBE]
    check_claims(study.record())


@pytest.mark.parametrize("name", ["cifar10-halves", "cifar10-halves-fine-tuned", "cifar100", "imagenet"])
def test_the_other_studies_can_be_judged(name: str) -> None:
    study = load_study(f"kornblith2021/{name}")
    assert not study.warnings
    check_claims(study.record())


@pytest.mark.slow
def test_the_quick_study_holds(held: Held, assert_means: AssertMeans) -> None:
    views = held("kornblith2021/quick")
    assert_means(views, [(arm, metric, "last", *numbers) for arm, metric, *numbers in MEASURED])
