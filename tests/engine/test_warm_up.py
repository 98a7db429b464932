"""What a trainer imports once for all runs of a launch."""

from __future__ import annotations

from collections.abc import Callable

from imbtui.engine.__main__ import _announced
from imbtui.paths import RunPaths

MakeRuns = Callable[..., list[RunPaths]]


def test_what_plug_ins_say_that_they_import(make_runs: MakeRuns) -> None:
    (plain,) = make_runs(name="plain")
    (probed,) = make_runs(
        "dataset.protocol=transfer", "corruptions=[]", "probes.linear_probe=true", name="probed"
    )
    assert _announced(plain) == []
    assert _announced(probed) == ["sklearn.linear_model", "sklearn.model_selection"]


def test_a_damaged_recipe_is_left_to_the_run_that_has_it(make_runs: MakeRuns) -> None:
    (run,) = make_runs()
    run.recipe.write_text("no = toml = at all")
    assert _announced(run) == []
