"""The form as data: which fields a recipe has, and what changing them assigns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imbtui import plugins
from imbtui.recipe import known, parse_study, to_toml
from imbtui.tui.form import DEVICES, SEEDS, Field, Form

ARMS = """
title = "two arms"
seeds = [0, 1, 2]
[dataset]
name = "digits"
protocol = "long_tail"
[[corruptions]]
name = "long_tail"
ratio = 100
n_max = 120
[model]
name = "mlp"
[loss]
name = "cross_entropy"
[train]
epochs = 3
[[arms]]
label = "CE"
[[arms]]
label = "LDAM, noisy"
[arms.set]
"loss.name" = "ldam"
"corruptions.label_noise.rate" = 0.2
"methods.class_weights.start_epoch" = 2
"""


@pytest.fixture
def form() -> Form:
    return Form(ARMS, Path("arms.toml"), "arms")


def field(form: Form, key: str) -> Field:
    return next(f for f in [*form.main(), *form.more()] if f.key == key)


def change(form: Form, key: str, value: str) -> None:
    form.change(field(form, key), value)


def test_an_arm_that_extends_another_has_its_settings() -> None:
    extended = '[[arms]]\nlabel = "more noise"\nextends = "LDAM, noisy"\n[arms.set]\n'
    form = Form(f'{ARMS}{extended}"corruptions.label_noise.rate" = 0.4\n', Path("arms.toml"), "arms")
    losses = ["cross_entropy", "ldam", "ldam"]
    assert [run["loss"]["name"] for run in resolved(form)[::3]] == losses
    assert field(form, "corruptions.label_noise.rate").by_arm.endswith("0.4: more noise")
    assert field(form, "loss.name").by_arm == 'cross_entropy: CE; ldam: "LDAM, noisy", more noise'


def resolved(form: Form) -> list[dict[str, Any]]:
    """Return the recipes of all runs, as the command line would resolve them."""
    import tomllib

    study = parse_study(form.source, form.path, name=form.name, assignments=form.assignments())
    return [tomllib.loads(to_toml(run.recipe)) for run in study.runs]


def test_the_main_knobs_come_first_and_show_what_the_recipe_says(form: Form) -> None:
    assert [f.label for f in form.main()] == [
        "Loss",
        "Data set",
        "Imbalance ratio",
        "Noise rate",
        "Noise kind",
        "Pruning rounds",
        "Seeds",
        "Devices",
    ]
    assert field(form, "corruptions.long_tail.ratio").value == "100"
    assert field(form, "methods.lottery.rounds").value == "0"
    assert field(form, SEEDS).value == "0-2" and field(form, DEVICES).value == "any"
    assert form.assignments() == []


def test_what_arms_set_differently_is_said_and_left_alone(form: Form) -> None:
    loss = field(form, "loss.name")
    assert loss.value == "" and loss.by_arm == 'cross_entropy: CE; ldam: "LDAM, noisy"'
    assert field(form, "corruptions.label_noise.rate").by_arm == '0: CE; 0.2: "LDAM, noisy"'
    assert [r["loss"]["name"] for r in resolved(form)] == ["cross_entropy"] * 3 + ["ldam"] * 3


def test_a_changed_knob_wins_in_every_arm(form: Form) -> None:
    change(form, "loss.name", "focal")
    change(form, "corruptions.label_noise.rate", "0.3")
    assert {r["loss"]["name"] for r in resolved(form)} == {"focal"}
    rates = [next(c["rate"] for c in r["corruptions"] if c["name"] == "label_noise") for r in resolved(form)]
    assert set(rates) == {0.3}


def test_each_knob_changes_its_key(form: Form) -> None:
    for key, value in (
        ("loss.name", "ldam"),
        ("dataset.name", "fashion_mnist"),
        ("corruptions.long_tail.ratio", "20"),
        ("corruptions.label_noise.rate", "0.1"),
        ("corruptions.label_noise.kind", "uniform"),
        ("methods.lottery.rounds", "2"),
    ):
        change(form, key, value)
        assert field(form, key).value == value and field(form, key).changed
    for recipe in resolved(form):
        assert recipe["loss"]["name"] == "ldam" and recipe["dataset"]["name"] == "fashion_mnist"
        members = {m["name"]: m for m in [*recipe["corruptions"], *recipe["methods"]]}
        assert members["long_tail"]["ratio"] == 20
        assert members["label_noise"]["rate"] == 0.1 and members["label_noise"]["kind"] == "uniform"
        assert members["lottery"]["rounds"] == 2


def test_ratio_one_noise_zero_and_no_round_take_the_plugin_out(form: Form) -> None:
    change(form, "corruptions.long_tail.ratio", "1")
    change(form, "corruptions.label_noise.rate", "0.0")
    assert form.assignments() == ["corruptions.long_tail=false", "corruptions.label_noise=false"]
    for recipe in resolved(form):
        assert not recipe.get("corruptions")
    # What is not there needs no taking out.
    change(form, "methods.lottery.rounds", "3")
    change(form, "methods.lottery.rounds", "0")
    assert not any("lottery" in assignment for assignment in form.assignments())


def test_going_back_to_the_recipe_assigns_nothing(form: Form) -> None:
    for value in ("50", "100"):
        change(form, "corruptions.long_tail.ratio", value)
    change(form, "loss.name", "ldam")
    change(form, "loss.name", "")
    assert form.assignments() == [] and not form.edits


def test_every_option_of_the_chosen_plugins_is_under_more(form: Form) -> None:
    keys = {f.key for f in form.more()}
    assert {f"model.{name}" for name in plugins.options("model", "mlp")} <= keys
    assert {f"corruptions.long_tail.{n}" for n in plugins.options("corruption", "long_tail")} - keys == {
        "corruptions.long_tail.ratio"
    }
    assert {
        "train.epochs",
        "optimizer.lr",
        "schedule.milestones",
        "augmentation.crop",
        "loss.normalise",
    } <= keys
    assert {f"methods.{name}" for name in plugins.names("method")} <= keys
    assert not keys & {f.key for f in form.main()}


def test_another_plugin_has_other_options_and_forgets_what_was_said_of_the_old(form: Form) -> None:
    change(form, "loss.name", "ldam")
    change(form, "loss.max_m", "0.4")
    change(form, "loss.normalise", "weights")
    assert "loss.max_m=0.4" in form.assignments()
    change(form, "loss.name", "focal")
    assert form.assignments() == ["loss.normalise=weights", "loss.name=focal"] or sorted(
        form.assignments()
    ) == ["loss.name=focal", "loss.normalise=weights"]
    assert field(form, "loss.gamma") and not [f for f in form.more() if f.key == "loss.max_m"]
    assert resolved(form)


def test_a_method_is_put_there_before_its_options_are_set(form: Form) -> None:
    change(form, "methods.resample", "true")
    name = next(iter(plugins.options("method", "resample")))
    option = field(form, f"methods.resample.{name}")
    assert option.section == "methods: resample"
    form.edits = {option.key: "3", **form.edits}  # typed in whatever order
    found = form.assignments()
    assert found.index("methods.resample=true") < found.index(f"{option.key}=3")
    change(form, "methods.resample", "false")
    assert form.assignments() == []


def test_a_key_of_the_grid_is_fixed() -> None:
    form = Form(ARMS + '\n[grid]\n"corruptions.long_tail.ratio" = [10, 100]\n', Path("g.toml"), "g")
    assert field(form, "corruptions.long_tail.ratio").fixed == "the grid varies it: 10, 100"


def test_nonsense_is_kept_for_the_check_to_complain_about(form: Form) -> None:
    change(form, "corruptions.long_tail.ratio", "many")
    change(form, "train.epochs", "[")
    assert form.assignments() == ["train.epochs=[", "corruptions.long_tail.ratio=many"]
    assert field(form, "train.epochs").value == "["


@pytest.mark.parametrize("name", sorted(known()))
def test_every_recipe_that_comes_with_imbtui_has_a_form(name: str) -> None:
    path = known()[name]
    form = Form(path.read_text(), path, name)
    fields = [*form.main(), *form.more()]
    assert len({f.key for f in fields}) == len(fields)
    assert form.assignments() == []
    # Every value it shows is one the recipe's own check takes.
    for each in fields:
        if each.value and not each.fixed and each.choices:
            assert each.value in each.choices, each
