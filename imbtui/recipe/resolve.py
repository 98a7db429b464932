"""From raw tables to one resolved run: every name, key, type and value checked, every default filled in."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from imbtui import plugins
from imbtui.errors import UserError, did_you_mean
from imbtui.recipe import schema
from imbtui.recipe.explain import explain
from imbtui.recipe.fusing import hindrance
from imbtui.recipe.measured import check_metric, evaluated
from imbtui.recipe.overrides import ENGINE_KEYS

DEFAULT_EPOCHS = 10
Checked = TypeVar("Checked", bound=BaseModel)
_KINDS: dict[str, tuple[str, type[schema.Plugin]]] = {
    "dataset": ("dataset", schema.Dataset),
    "model": ("model", schema.Model),
    "loss": ("loss", schema.Loss),
    "corruptions": ("corruption", schema.Plugin),
    "methods": ("method", schema.Plugin),
    "probes": ("probe", schema.Probe),
}


def check(model: type[Checked], table: Any, where: str) -> Checked:
    """Validate a table.

    Raises:
        UserError: the sentence about the first thing wrong with it.
    """
    try:
        return model.model_validate(table)
    except ValidationError as error:
        raise explain(error, model, where) from None


def resolve(
    tables: Mapping[str, Any], seed: int, *, where: str, allow_plugins: bool = False
) -> schema.Recipe:
    """Return the run that raw tables describe, for one seed.

    Args:
        tables: a recipe's tables, arms and grid already applied.
        seed: the run's seed.
        where: the file, named in errors.
        allow_plugins: permit plug-ins from outside the package.

    Raises:
        UserError: anything wrong with any table.
    """
    resolved: dict[str, Any] = {
        "title": tables.get("title", ""),
        "paper": tables.get("paper", ""),
        "seeds": [seed],
        "split_seed": tables.get("split_seed", "seed"),
    }
    for key in ("dataset", "model", "loss"):
        resolved[key] = _plugin(key, tables.get(key), f"{where}, {key}", allow_plugins)
    for key in ("corruptions", "methods", "probes"):
        members = tables.get(key, [])
        if not isinstance(members, list):
            raise UserError(f'"{key}" is a list of tables', where=where, hint=f"Write [[{key}]].")
        resolved[key] = [_plugin(key, m, f"{where}, {key}", allow_plugins) for m in members]
        names = [m.name for m in resolved[key]]
        for name in names:
            if names.count(name) > 1:
                raise UserError(f'"{name}" is listed twice', where=f"{where}, {key}")
    resolved["optimizer"] = _optimizer(tables.get("optimizer", {}), f"{where}, optimizer")
    plain: tuple[tuple[str, type[schema.Table]], ...] = (
        ("augmentation", schema.Augmentation),
        ("schedule", schema.Schedule),
        ("train", schema.Train),
        ("launch", schema.Launch),
    )
    for key, model in plain:
        resolved[key] = check(model, tables.get(key, {}), f"{where}, {key}")
    train = resolved["train"]
    if train.epochs is None and train.steps is None:
        resolved["train"] = train.model_copy(update={"epochs": DEFAULT_EPOCHS})
    recipe = check(schema.Recipe, resolved, where)
    _one_plan(recipe, where)
    _steps(recipe, where)
    _one_task(recipe, where)
    _one_kind_of_input(recipe, where)
    _repeats(recipe, where)
    if train.until is not None:
        check_metric(train.until.metric, evaluated(recipe), where=f"{where}, train.until.metric")
    return recipe


def _plugin(key: str, table: Any, where: str, allow_plugins: bool) -> schema.Plugin:
    kind, model = _KINDS[key]
    if isinstance(table, str):
        table = {"name": table}
    if not isinstance(table, Mapping):
        raise UserError(
            "this must be a table" if table is not None else "this table is required",
            where=where,
            hint=f'It needs at least name = "...": {", ".join(plugins.names(kind))}.',
        )
    name = table.get("name")
    if not isinstance(name, str):
        raise UserError(
            f"a {kind} needs a name", where=where, hint="Known: " + ", ".join(plugins.names(kind)) + "."
        )
    plugins.check_name(kind, name, where=f"{where}.name", allow_outside=allow_plugins)
    owned = {k: v for k, v in table.items() if k in ENGINE_KEYS[key]}
    given = {k: v for k, v in table.items() if k not in ENGINE_KEYS[key]}
    form = options_model(kind, name)
    known = [*form.model_fields, *ENGINE_KEYS[key]]
    for option in given:
        if option not in form.model_fields:
            raise UserError(
                f'{kind} "{name}" has no option "{option}"', where=where, hint=did_you_mean(option, known)
            )
    options = check(form, given, f"{where}.{name}" if key in ("corruptions", "methods", "probes") else where)
    plain = {k: v for k, v in options.model_dump().items() if v is not None}
    return check(model, {**owned, "options": plain}, where)


@functools.cache
def options_model(kind: str, name: str) -> type[BaseModel]:
    """Return a model of a plug-in's options, made from its signature."""
    fields: dict[str, Any] = {}
    for option in plugins.options(kind, name).values():
        if option.default is plugins.REQUIRED:
            fields[option.name] = (option.annotation, Field())
        else:
            fields[option.name] = (option.annotation, Field(default=option.default))
    return create_model(
        f"{kind}_{name}", __config__=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False), **fields
    )


def _optimizer(table: Any, where: str) -> schema.Table:
    if not isinstance(table, Mapping):
        raise UserError("this must be a table", where=where)
    name = table.get("name", "sgd")
    if name not in schema.OPTIMIZERS:
        raise UserError(
            f'there is no optimizer "{name}"',
            where=f"{where}.name",
            hint=did_you_mean(str(name), list(schema.OPTIMIZERS)),
        )
    return check(schema.OPTIMIZERS[name], {**table, "name": name}, where)


def _one_plan(recipe: schema.Recipe, where: str) -> None:
    planners = [
        m.name
        for m in recipe.methods
        if not plugins.is_outside(m.name) and plugins.defines("method", m.name, "plan")
    ]
    if len(planners) > 1:
        raise UserError(
            f'"{planners[0]}" and "{planners[1]}" both plan the stages of a run; only one method may',
            where=f"{where}, methods",
        )


def _steps(recipe: schema.Recipe, where: str) -> None:
    """Refuse methods that act in training steps beside one that does without these.

    The module of the one says `NEEDS_STEPS = True`, that of the other `TAKES_STEPS = False`.
    """
    needing = [m.name for m in recipe.methods if plugins.literal("method", m.name, "NEEDS_STEPS", False)]
    without = [m.name for m in recipe.methods if not plugins.literal("method", m.name, "TAKES_STEPS", True)]
    if needing and without:
        raise UserError(
            f'"{needing[0]}" acts in training steps, and "{without[0]}" takes none that it could act in',
            where=f"{where}, methods",
        )


def _one_task(recipe: schema.Recipe, where: str) -> None:
    """Refuse plug-ins that are not for the data set's task, as their modules' constants say.

    A data set's `TASK` and the `TASKS` of the others are classification where nothing is said.
    """
    task = plugins.literal("dataset", recipe.dataset.name, "TASK", "classification")
    members = [("loss", "loss", recipe.loss)]
    members += [
        (_KINDS[key][0], key, m) for key in ("corruptions", "methods", "probes") for m in getattr(recipe, key)
    ]
    for kind, key, member in members:
        tasks = plugins.literal(kind, member.name, "TASKS", ("classification",))
        if task not in tasks:
            fitting = [
                n
                for n in plugins.names(kind)
                if task in plugins.literal(kind, n, "TASKS", ("classification",))
            ]
            raise UserError(
                f'{kind} "{member.name}" is for {" and ".join(tasks)}, and the data set '
                f'"{recipe.dataset.name}" is for {task}',
                where=f"{where}, {key}",
                hint=f"For {task}: {', '.join(fitting)}." if fitting else "",
            )
    if task == "regression" and recipe.loss.start_epoch != 0:
        raise UserError(
            "before its start a loss is replaced by cross-entropy, and the targets are real numbers",
            where=f"{where}, loss.start_epoch",
        )


def _one_kind_of_input(recipe: schema.Recipe, where: str) -> None:
    """Refuse a model that does not take the data set's inputs, as their modules' constants `INPUTS` say.

    Where nothing is said, inputs are numbers.
    """
    given = plugins.literal("dataset", recipe.dataset.name, "INPUTS", "numbers")
    if plugins.literal("model", recipe.model.name, "INPUTS", "numbers") != given:
        fitting = [
            n for n in plugins.names("model") if plugins.literal("model", n, "INPUTS", "numbers") == given
        ]
        raise UserError(
            f'model "{recipe.model.name}" does not take the {given} of the data set "{recipe.dataset.name}"',
            where=f"{where}, model.name",
            hint=f"Models that do: {', '.join(fitting)}.",
        )


def _repeats(recipe: schema.Recipe, where: str) -> None:
    """Refuse replicates where no method repeats anything (its module says `REPLICATES = True`)."""
    if recipe.train.replicates == 1:
        return
    if not any(plugins.literal("method", m.name, "REPLICATES", False) for m in recipe.methods):
        repeating = [n for n in plugins.names("method") if plugins.literal("method", n, "REPLICATES", False)]
        raise UserError(
            "no method of the recipe repeats anything",
            where=f"{where}, train.replicates",
            hint=f"Methods that do: {', '.join(repeating)}. Else use more seeds.",
        )


def warnings(recipe: schema.Recipe) -> list[str]:
    """Return a sentence for each setting that will have no effect, such as a point in time beyond the end.

    Only points given in the unit of the run's length can be judged here: epochs against `epochs`,
    steps against `steps`.
    """
    points: list[tuple[str, int | str]] = [("loss.start_epoch", recipe.loss.start_epoch)]
    points += [("schedule.milestones", m) for m in recipe.schedule.milestones]
    points += [
        ("schedule.warmup_epochs", recipe.schedule.warmup_epochs),
        ("schedule.warmup", recipe.schedule.warmup),
    ]
    for key in ("corruptions", "methods"):
        kind = _KINDS[key][0]
        for member in getattr(recipe, key):
            for option in plugins.options(kind, member.name).values():
                if "When" in option.text and option.name in member.options:
                    points.append((f"{key}.{member.name}.{option.name}", member.options[option.name]))
    train = recipe.train
    found = []
    if train.fuse and (why := hindrance(recipe)):
        found.append(f"train.fuse = true has no effect: {why}")
    if recipe.launch.slurm is not None and recipe.launch.executor != "slurm":
        found.append(f'[launch.slurm] has no effect: launch.executor is "{recipe.launch.executor}"')
    for key, when in points:
        late = isinstance(when, int) and train.epochs is not None and when > train.epochs
        late |= (
            isinstance(when, str)
            and when.endswith("it")
            and train.steps is not None
            and int(when[:-2]) > train.steps
        )
        if late:
            length = f"{train.epochs} epochs" if isinstance(when, int) else f"{train.steps} steps"
            found.append(
                f"{key} = {when} lies beyond the end of the run ({length}) and will never be reached"
            )
    return found
