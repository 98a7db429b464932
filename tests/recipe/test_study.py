"""Recipes as files: what a good one expands to, and the one sentence about each bad one."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from imbtui.errors import UserError
from imbtui.recipe import Study, load_study, to_toml

GOOD = """
title = "small"
seeds = [0, 1]
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
normalise = "weights"
[optimizer]
lr = 0.05
[train]
epochs = 2
[[arms]]
label = "CE"
[[arms]]
label = "LDAM-DRW"
[arms.set]
"loss.name" = "ldam"
"model.head" = "cosine"
"methods.class_weights.start_epoch" = "60%"
[grid]
"corruptions.long_tail.ratio" = [10, 100]
"""


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(GOOD)
    return path


def load(path: Path, *assignments: str, **options: object) -> Study:
    return load_study(path, assignments, **options)  # type: ignore[arg-type]


def test_expands_arms_times_grid_times_seeds(recipe_file: Path) -> None:
    study = load(recipe_file)
    assert len(study.runs) == 2 * 2 * 2
    assert len({run.digest for run in study.runs}) == 8
    ldam = [run for run in study.runs if run.arm == "LDAM-DRW"]
    assert {run.recipe.loss.name for run in ldam} == {"ldam"}
    assert {run.recipe.model.head for run in ldam} == {"cosine"}
    assert ldam[0].recipe.methods[0].options["start_epoch"] == "60%"
    assert {run.recipe.corruptions[0].options["ratio"] for run in ldam} == {10, 100}


EXTENDED = """
[[arms]]
label = "LDAM-DRW, wide"
extends = "LDAM-DRW"
[arms.set]
"model.hidden" = [256, 64]
"methods.class_weights.start_epoch" = "80%"
[[arms]]
label = "focal, wide"
extends = "LDAM-DRW, wide"
[arms.set]
"loss.name" = "focal"
"methods.class_weights" = false
"""


def test_an_arm_that_extends_another_starts_from_its_settings(tmp_path: Path) -> None:
    path = tmp_path / "extended.toml"
    path.write_text(GOOD.replace("[grid]", EXTENDED + "[grid]"))
    by_arm = {run.arm: run.recipe for run in load(path).runs}
    wide, focal, short = by_arm["LDAM-DRW, wide"], by_arm["focal, wide"], by_arm["LDAM-DRW"]
    assert (wide.loss.name, wide.model.head, wide.model.options["hidden"]) == ("ldam", "cosine", [256, 64])
    assert wide.methods[0].options["start_epoch"] == "80%"
    assert short.methods[0].options["start_epoch"] == "60%"
    assert (focal.loss.name, focal.model.options["hidden"], focal.methods) == ("focal", [256, 64], [])


@pytest.mark.parametrize(
    ("extends", "sentence"),
    [
        ("LDAM-DWR", 'there is no arm "LDAM-DWR".*Did you mean "LDAM-DRW"'),
        ("focal, wide", '"focal, wide" is not above this arm.*further up'),
        ("LDAM-DRW, wide", '"LDAM-DRW, wide" is not above this arm'),
    ],
)
def test_an_arm_extends_only_one_further_up(tmp_path: Path, extends: str, sentence: str) -> None:
    path = tmp_path / "extended.toml"
    wrong = EXTENDED.replace('extends = "LDAM-DRW"', f'extends = "{extends}"')
    path.write_text(GOOD.replace("[grid]", wrong + "[grid]"))
    with pytest.raises(UserError, match=rf"extended\.toml, arms \(LDAM-DRW, wide\)\.extends: {sentence}"):
        load(path)


def test_all_defaults_are_filled_in(recipe_file: Path) -> None:
    recipe = load(recipe_file).runs[0].recipe
    assert recipe.corruptions[0].options == {"profile": "exp", "ratio": 10, "n_max": 120, "pick": "first"}
    assert recipe.optimizer.name == "sgd"
    assert recipe.train.batch_size == 128


def test_changing_a_name_drops_the_old_options_and_keeps_the_engine_s_keys(recipe_file: Path) -> None:
    study = load(recipe_file, "loss.name=focal", "loss.gamma=2.0")
    assert {run.recipe.loss.name for run in study.runs} == {"focal"}
    assert study.runs[0].recipe.loss.options == {"gamma": 2.0}
    assert study.runs[0].recipe.loss.normalise == "weights"


def test_set_adds_and_removes_plug_ins_of_a_list(recipe_file: Path) -> None:
    added = load(recipe_file, "corruptions.label_noise.kind=symmetric", "corruptions.label_noise.rate=0.4")
    assert [c.name for c in added.runs[0].recipe.corruptions] == ["long_tail", "label_noise"]
    removed = load(recipe_file, "methods.class_weights=false")
    assert all(not run.recipe.methods for run in removed.runs)


def test_seeds_from_outside_replace_the_file_s(recipe_file: Path) -> None:
    assert {run.seed for run in load(recipe_file, seeds=[7]).runs} == {7}


def test_a_resolved_recipe_is_a_recipe_of_exactly_this_run(recipe_file: Path, tmp_path: Path) -> None:
    for run in load(recipe_file).runs:
        path = tmp_path / "resolved.toml"
        path.write_text(to_toml(run.recipe))
        (again,) = load(path).runs
        assert again.recipe == run.recipe
        assert again.digest == run.digest
        assert tomllib.loads(path.read_text())["seeds"] == [run.seed]


def test_ways_of_launching_and_spelling_do_not_change_a_digest(recipe_file: Path) -> None:
    plain = load(recipe_file).runs[0]
    for same in ("train.threads=2", "title=other", "launch.processes=2", "train.batch_size=128"):
        assert load(recipe_file, same).runs[0].digest == plain.digest, same
    for other in ("train.batch_size=64", "split_seed=3", "augmentation.flip=true"):
        assert load(recipe_file, other).runs[0].digest != plain.digest, other


def test_a_variant_is_blind_to_seeds_and_nothing_else(recipe_file: Path) -> None:
    plain = load(recipe_file)
    assert load(recipe_file, seeds=[5, 6]).variant == plain.variant
    assert load(recipe_file, "train.epochs=3").variant != plain.variant


def test_digests_of_the_shipped_recipes_stay_as_they_are() -> None:
    """A new option's default must change nothing; a digest that moves would orphan finished runs."""
    pinned = {"quickstart": PINNED_QUICKSTART, "cao2019/cifar10-lt": PINNED_CIFAR}
    for name, expected in pinned.items():
        assert load_study(name).runs[0].digest == expected, name


PINNED_QUICKSTART = "135dc8a85d67"
PINNED_CIFAR = "c1059206b425"


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("train.until={metric = 'train/error', reaches = 0.0}", "train.until ends each run"),
        ("launch.processes=2", "launch.processes is above 1"),
        ("train.precision=bf16", "train.precision is bf16"),
        ("optimizer={name = 'normalised_gd'}", "normalised_gd divides"),
    ],
)
def test_fusing_what_can_never_be_fused_is_warned_about(recipe_file: Path, setting: str, says: str) -> None:
    assert not load(recipe_file, "train.fuse=true").warnings
    (warning,) = load(recipe_file, "train.fuse=true", setting).warnings
    assert warning.startswith("train.fuse = true has no effect: ") and says in warning


def test_what_is_asked_of_slurm_is_warned_about_where_nobody_asks_it(recipe_file: Path) -> None:
    asked = "launch.slurm.partition=gpu"
    (warning,) = load(recipe_file, asked).warnings
    assert warning == '[launch.slurm] has no effect: launch.executor is "local"'
    assert not load(recipe_file, asked, "launch.executor=slurm").warnings


def test_points_in_time_beyond_the_end_are_warned_about(recipe_file: Path) -> None:
    assert not load(recipe_file).warnings
    late = load(recipe_file, "methods.class_weights.start_epoch=5", "schedule.milestones=[1,9]")
    assert any("methods.class_weights.start_epoch = 5" in sentence for sentence in late.warnings)
    assert any("schedule.milestones = 9" in sentence for sentence in late.warnings)


BAD = [
    (("loss.name=ldm",), 'there is no loss "ldm"', 'Did you mean "ldam"?'),
    (("loss.nam=ldam",), 'has no option "nam"', 'Did you mean "name"?'),
    (("los.name=ldam",), 'unknown key "los.name"', 'Did you mean "loss"?'),
    (("train.epoch=3",), 'unknown key "epoch"', 'Did you mean "epochs"?'),
    (("train.epochs=many",), "a whole number", "many"),
    (("train.epochs=2.5",), "a whole number", "2.5"),
    (("train.epochs=0",), "at least 1", "0"),
    (("train.precision=fp8",), '"fp64"', "fp8"),
    (("train.steps=10",), "epochs or steps", "not both"),
    (("optimizer.lr=-1",), "above 0", "-1"),
    (("optimizer.name=sdg",), 'no optimizer "sdg"', 'Did you mean "sgd"?'),
    (("optimizer.momentum=1.5",), "at most 1", "1.5"),
    (("corruptions.label_noise.kind=symmetric", "corruptions.label_noise.rate=1.2"), "at most 1", "1.2"),
    (("corruptions.label_noise.kind=symmetric", "corruptions.label_noise.rate=-0.1"), "at least 0", "-0.1"),
    (("model.name=../../x",), "is not a model name", "'../../x'"),
    (("model.name=mypkg.mod:Thing",), "outside imbtui", "--allow-plugins"),
    (("schedule.milestones=[1,2]", "schedule.factor=[0.1]"), "one factor a milestone", "1"),
    (("loss.start_epoch=2 weeks",), "point in time", "2 weeks"),
    (("methods.class_weights=3",), "is a plug-in, not a value", "true or false"),
    (("seeds=[1]",), "cannot be set", "--seeds"),
    (("nonsense",), "is not an assignment", "KEY=VALUE"),
]


@pytest.mark.parametrize(("assignments", "sentence", "also"), BAD, ids=lambda v: str(v)[:40])
def test_one_sentence_says_what_is_wrong(
    recipe_file: Path, assignments: tuple[str, ...], sentence: str, also: str
) -> None:
    with pytest.raises(UserError) as caught:
        load(recipe_file, *assignments)
    text = str(caught.value)
    assert sentence in text
    assert also in text
    assert "\n" not in text


def test_a_ratio_below_one_names_the_file_and_the_key(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(GOOD.split("[grid]")[0].replace("ratio = 100", "ratio = 0.01"))
    with pytest.raises(UserError, match=r"bad\.toml, corruptions\.long_tail\.ratio: .*at least 1.*0\.01"):
        load(path)


def test_toml_errors_name_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text('title = "x"\nseeds = [0,, 1]\n')
    with pytest.raises(UserError, match=r"line 2, column \d+"):
        load(path)


@pytest.mark.parametrize("seeds", ["[]", "[0, 0]", '["a"]', "[-1]"])
def test_bad_seed_lists_are_refused(tmp_path: Path, seeds: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(GOOD.replace("seeds = [0, 1]", f"seeds = {seeds}"))
    with pytest.raises(UserError, match="seed"):
        load(path)


def test_two_plans_are_refused_by_name(recipe_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from imbtui import plugins

    monkeypatch.setattr(plugins, "defines", lambda kind, name, function: True)
    with pytest.raises(UserError, match=r'"resample" and "class_weights"|"class_weights" and "resample"'):
        load(recipe_file, "methods.class_weights=true", "methods.resample=true")


def test_claims_are_checked(tmp_path: Path) -> None:
    claim = '[[claims]]\nsays = "x"\nkind = "order"\nmetric = "test/accuracy"\narm = "LDAM-DRW"\n'
    path = tmp_path / "claims.toml"
    path.write_text(GOOD + claim)
    with pytest.raises(UserError, match='needs "above" or "below"'):
        load(path)
    path.write_text(GOOD + claim + 'above = "CEE"\n')
    with pytest.raises(UserError, match=r'there is no arm "CEE".*Did you mean "CE"'):
        load(path)
    path.write_text(GOOD + claim + 'above = "CE"\n')
    assert load(path).claims[0].asserted


def test_recipes_are_found_by_name_and_by_path(recipe_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_study("cao2019/quick").name == "cao2019/quick"
    assert load(recipe_file).name == "small"
    with pytest.raises(UserError, match=r'Did you mean "cao2019/quick"\?'):
        load_study("cao2019/quik")
    monkeypatch.chdir(recipe_file.parent)
    (recipe_file.parent / "recipes").mkdir()
    recipe_file.rename(recipe_file.parent / "recipes" / "small.toml")
    assert load_study("small").name == "small"
