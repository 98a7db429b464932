"""The metrics that a recipe's runs record, told without importing what measures them.

A probe or method says in its module what it records, as a constant that is read from the source:

    METRICS = ("clean", "fgsm_{eps}", "weight/*")

A method that plans the stages of a run says likewise which there may be:

    STAGES = ("rewind", "level-#", "level-#-random_mask")

A probe's names stand behind its own (`adversarial_accuracy/clean`), a method's are whole. `{eps}` stands for
the values of that option, or for any name where the option is left empty; `*` for any name, `#` for any
whole number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from imbtui import plugins
from imbtui.errors import UserError, did_you_mean
from imbtui.recipe.schema import Recipe

SPLITS = ("train", "val", "test")
EVALUATED: dict[str, tuple[str, ...]] = {
    "classification": (
        "loss",
        "accuracy",
        "error",
        "balanced_accuracy",
        "class_accuracy",
        "many_accuracy",
        "medium_accuracy",
        "few_accuracy",
        "nll",
        "brier",
        "ece",
        "corrupted_accuracy",
        "corrupted_true_accuracy",
        "clean_accuracy",
    ),
    "regression": ("loss", "mse", "mae", "r2"),
}
"""What an evaluation may hold of a split, by the data set's `TASK`."""
POSITION = ("step", "epoch", "time")
"""How far a row is: numbers that expressions may ask for as well, in steps, epochs and seconds."""
ANYTHING = "*"
_NUMBER = re.compile(r"\d+")
_OPTION = re.compile(r"\{(\w+)\}")


def evaluated(recipe: Recipe) -> list[str]:
    """Return what rows of evaluations may hold: metrics of splits, and running means of the steps."""
    task = plugins.literal("dataset", recipe.dataset.name, "TASK", "classification")
    splits = [split for split in SPLITS if split != "val" or _sets_aside(recipe)]
    names = [f"{split}/{metric}" for split in splits for metric in EVALUATED[task]]
    return [*names, "running/loss", *(n for n in _of_methods(recipe) if n.startswith("running/"))]


def metrics(recipes: Iterable[Recipe]) -> list[str]:
    """Return the names of all metrics that runs of these recipes may record, sorted.

    A `*` in them stands for any name: of a layer, for instance. A method from outside the package that
    declares nothing may record anything.
    """
    found: set[str] = set(POSITION)
    for recipe in recipes:
        found.update(evaluated(recipe), _of_methods(recipe))
        for probe in recipe.probes:
            declared = plugins.literal("probe", probe.name, "METRICS", (ANYTHING,))
            found.update(f"{probe.name}/{name}" for name in _filled(declared, probe.options))
    return sorted(found)


def stages(recipes: Iterable[Recipe]) -> list[str]:
    """Return the names of all stages that runs of these recipes may have, sorted; `*` and `#` as above."""
    found: set[str] = set()
    for recipe in recipes:
        plans = [_stages_of(method.name) for method in recipe.methods]
        found.update(*([names for names in plans if names] or [("train",)]))
    return sorted(found)


def check_stage(name: str, known: Sequence[str], *, where: str) -> None:
    """Make sure that a stage is one of those known.

    Args:
        name: the stage.
        known: names as `stages` returns them.
        where: named in the error.

    Raises:
        UserError: it is none of them.
    """
    numbers = _NUMBER.findall(name)
    if ANYTHING in known or name in known or _NUMBER.sub("#", name) in known:
        return
    # What may be meant is named with the numbers that were written.
    meant = [_numbered(pattern, numbers) for pattern in known]
    raise UserError(f'no run has a stage "{name}"', where=where, hint=did_you_mean(name, meant))


def anywhere() -> list[str]:
    """Return the names of all metrics that some recipe could record with what comes with imbtui, sorted."""
    found = {f"{split}/{metric}" for split in SPLITS for names in EVALUATED.values() for metric in names}
    found.update((*POSITION, "running/loss"))
    for method in plugins.names("method"):
        found.update(_filled(plugins.literal("method", method, "METRICS", ()), {}))
    for probe in plugins.names("probe"):
        found.update(f"{probe}/{name}" for name in _filled(plugins.literal("probe", probe, "METRICS"), {}))
    return sorted(found)


def check_metric(name: str, known: Sequence[str], *, where: str) -> None:
    """Make sure that a metric is one of those known.

    Args:
        name: the metric.
        known: names as `metrics` returns them.
        where: named in the error.

    Raises:
        UserError: it is none of them.
    """
    if any(fnmatchcase(name, pattern) for pattern in known):
        return
    owner = name.partition("/")[0]
    hint = did_you_mean(name, [pattern for pattern in known if ANYTHING not in pattern])
    if not any(pattern.startswith(f"{owner}/") for pattern in known):
        if owner == "val":
            hint = "There is no validation split: set dataset.validation."
        for kind in ("probe", "method"):
            if owner in plugins.names(kind):
                hint = f'Add the {kind} "{owner}".'
    raise UserError(f'no run measures "{name}"', where=where, hint=hint)


def _sets_aside(recipe: Recipe) -> bool:
    """Whether there may be a validation split: the recipe's own, or one of the data set.

    A data set that has one says so in `VALIDATION`: the options with which it does, by name, or none; and in
    `VALIDATION_SIZE` which option counts its examples, where it may be 0.
    """
    if recipe.dataset.validation or plugins.is_outside(recipe.dataset.name):
        return True
    needs = plugins.literal("dataset", recipe.dataset.name, "VALIDATION")
    size = plugins.literal("dataset", recipe.dataset.name, "VALIDATION_SIZE")
    options = recipe.dataset.options
    return needs is not None and needs.items() <= options.items() and (size is None or options[size] != 0)


def _stages_of(method: str) -> Sequence[str]:
    """Return the stages that a method plans: empty where it plans none, anything where it does not say."""
    if plugins.is_outside(method):
        return (ANYTHING,)
    if not plugins.defines("method", method, "plan"):
        return ()
    return plugins.literal("method", method, "STAGES", (ANYTHING,))


def _numbered(pattern: str, numbers: Sequence[str]) -> str:
    """Return a stage's name with numbers in the places for them, as far as there are any."""
    first, *rest = pattern.split("#")
    return first + "".join(n + part for n, part in zip([*numbers, *"0" * len(rest)], rest, strict=False))


def _of_methods(recipe: Recipe) -> list[str]:
    found: list[str] = []
    for method in recipe.methods:
        unknown = (ANYTHING,) if plugins.is_outside(method.name) else ()
        found += _filled(plugins.literal("method", method.name, "METRICS", unknown), method.options)
    return found


def _filled(declared: Iterable[str], options: Mapping[str, Any]) -> list[str]:
    """Return declared names with the values of options in the place of these."""
    found: list[str] = []
    for name in declared:
        option = _OPTION.search(name)
        if option is None:
            found.append(name)
            continue
        values = options.get(option[1]) or [ANYTHING]
        shown = [v if isinstance(v, str) else f"{v:g}" for v in values]
        found += [name.replace(option[0], value) for value in shown]
    return found
