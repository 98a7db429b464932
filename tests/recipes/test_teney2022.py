"""The recipes of teney2022: the quick study is the specification's, and holds; all can be judged."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from imbtui import store
from imbtui.recipe import load_study
from imbtui.verdict import check_claims

Held = Callable[[str], list[store.RunView]]
AssertMeans = Callable[..., None]

ORACLE, MEAN = "model_selection/oracle", "model_selection/mean"
# teney2022 §QUICK STUDY: means of two measurements of five seeds each, and how far others may be off.
MEASURED = [
    ("independent", ORACLE, 0.690, 0.015),
    ("independent", f"{MEAN}/tile_0", 0.91, 0.03),
    ("independent", f"{MEAN}/test", 1.0, 0.001),
    ("diverse", ORACLE, 0.768, 0.02),
    ("diverse", MEAN, 0.60, 0.02),
    ("diverse", f"{MEAN}/test", 0.925, 0.015),
    ("squared product", ORACLE, 0.728, 0.03),
    ("pixels, independent", ORACLE, 0.662, 0.02),
    ("pixels, diverse", ORACLE, 0.672, 0.02),
]


def test_the_quick_study_is_that_of_the_specification() -> None:
    """teney2022 §QUICK STUDY, the cheaper setting."""
    study = load_study("teney2022/quick")
    assert not study.warnings
    assert len({run.digest for run in study.runs}) == len(study.runs) == 8 * 5
    assert {arm for arm, *_ in MEASURED} <= {run.arm for run in study.runs}
    recipe = next(run.recipe for run in study.runs if run.arm == "diverse")
    assert (recipe.dataset.options["contrasts"], recipe.dataset.options["components"]) == (
        [1.0, 0.6, 0.6, 0.6],
        24,
    )
    assert (recipe.model.options["hidden"], recipe.model.head) == ([16, 16], "binary")
    options = recipe.methods[0].options
    assert [options[name] for name in ("members", "strength", "penalty")] == [16, 5.0, "cos_sq"]
    assert (recipe.optimizer.name, recipe.optimizer.lr) == ("adam", 3e-3)
    assert (recipe.train.steps, recipe.train.batch_size, recipe.train.drop_last) == (400, 64, True)
    check_claims(study.record())


@pytest.mark.parametrize(
    "name", ["digits-limits", "digits-more-models", "collages", "collages-mnist-cifar10"]
)
def test_the_other_studies_can_be_judged(name: str) -> None:
    study = load_study(f"teney2022/{name}")
    assert not study.warnings
    assert len({run.digest for run in study.runs}) == len(study.runs)
    check_claims(study.record())


@pytest.mark.slow
def test_the_quick_study_holds(held: Held, assert_means: AssertMeans) -> None:
    views = held("teney2022/quick")
    assert_means(views, [(arm, metric, "last", *numbers) for arm, metric, *numbers in MEASURED])
