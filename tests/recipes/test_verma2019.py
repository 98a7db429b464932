"""The recipes of Verma et al. 2019: what they train, and the quick study as a user runs it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import pytest

from imbtui import plugins, store
from imbtui.engine.heads import make_head
from imbtui.engine.layers import chosen_places
from imbtui.recipe import load_study

Held = Callable[[str], list[store.RunView]]

RECIPES = Path(__file__).parents[2] / "recipes" / "verma2019"
ERROR, NLL = "test/error", "test/nll"
FGSM, PGD = "adversarial_accuracy/fgsm_0.1", "adversarial_accuracy/pgd_0.1"
RATIO, REST = "flattening/layer3/scatter_ratio", "flattening/layer3/rest"
# Means over seeds of two independent implementations, and how far those over other seeds may lie off.
MEASURED = {
    "none": {ERROR: 0.052, NLL: 0.232, FGSM: 0.49, PGD: 0.44, RATIO: 0.149, REST: 68.0},
    "input mixup": {ERROR: 0.034, NLL: 0.190, FGSM: 0.613, PGD: 0.553, RATIO: 0.255, REST: 39.1},
    "manifold mixup": {ERROR: 0.032, NLL: 0.171, FGSM: 0.642, PGD: 0.595, RATIO: 0.2, REST: 33.1},
    "hidden only": {ERROR: 0.029, NLL: 0.139, FGSM: 0.649, PGD: 0.589, RATIO: 0.105, REST: 23.4},
}
TOLERANCE = {ERROR: 0.006, NLL: 0.035, FGSM: 0.04, PGD: 0.04, RATIO: 0.02, REST: 7.0}


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda p: p.stem)
def test_recipes_mix_where_their_networks_have_places(path: Path) -> None:
    study = load_study(str(path))
    assert not study.warnings
    assert len({run.digest for run in study.runs}) == len(study.runs)
    wanted = {}
    for run in study.runs:
        model = run.recipe.model
        for method in (m for m in run.recipe.methods if m.name == "manifold_mixup"):
            layers = method.options["layers"]
            wanted[model.name, *map(str, model.options.items()), *layers] = (model, layers)
    assert wanted
    for model, layers in wanted.values():
        make = plugins.load("model", model.name)
        small = {"depth": 18, "width": 4} if model.name == "preact_resnet" else {"depth": 10, "widen": 1}
        options = model.options if model.name == "mlp" else small  # the same stages in fewer blocks
        network = make((3, 32, 32), lambda width: make_head("linear", width, 10), **options)
        assert list(chosen_places(network, layers, where="test")) == layers


@pytest.mark.slow
def test_every_asserted_claim_of_the_quick_study_is_held(held: Held) -> None:
    views = held("verma2019/quick")
    for arm, expected in MEASURED.items():
        for metric, value in expected.items():
            found = statistics.mean(view.metrics[metric] for view in views if view.arm == arm)
            assert found == pytest.approx(value, abs=TOLERANCE[metric]), (arm, metric)
