"""From a recipe to the examples of each split: load, set validation aside, corrupt."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbtui import files, plugins
from imbtui.engine.examples import Corruption, DataSplits, Examples
from imbtui.errors import UserError
from imbtui.recipe import Recipe
from imbtui.recipe.resolve import check, options_model


@dataclass(frozen=True)
class PreparedData:
    """The examples of a run by split name (`train`, `test`, maybe `val`), ready for the device.

    Attributes:
        examples: what is trained and evaluated on.
        extra: further examples that only probes look at, by other names.
    """

    examples: dict[str, Examples]
    extra: dict[str, Examples]
    num_classes: int
    class_names: tuple[str, ...]
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    vocabulary: int = 0


def prepare(recipe: Recipe, root: Path) -> PreparedData:
    """Load a recipe's data set and corrupt its examples in recipe order.

    Everything drawn here depends on `split_seed` and `seed` alone.

    Args:
        recipe: the run.
        root: the data root.

    Raises:
        UserError: the data is missing, or a corruption asks for what the data cannot give.
    """
    dataset = plugins.load("dataset", recipe.dataset.name)(**recipe.dataset.options)
    splits: DataSplits = dataset.load(root, split_seed=recipe.data_seed)
    train, val = splits.train, splits.val
    wanted, late = recipe.dataset.validation, recipe.dataset.corrupt_validation
    if wanted and val is not None:
        raise UserError(
            f'data set "{recipe.dataset.name}" sets its own validation split aside',
            where="dataset.validation",
            hint="Leave it out.",
        )
    if late and not wanted:
        raise UserError(
            "there are no validation examples to corrupt",
            where="dataset.corrupt_validation",
            hint="Set dataset.validation too: how many training examples are set aside.",
        )
    if wanted and not late:
        train, val = set_aside(train, wanted, recipe.data_seed)
    held_out = {"test": splits.test} if val is None else {"test": splits.test, "val": val}
    for corruption in recipe.corruptions:
        corrupt: Corruption = plugins.load("corruption", corruption.name)(**corruption.options)
        if hasattr(corrupt, "held_out"):
            held_out = {
                split: corrupt.held_out(examples, train, split=split, seed=recipe.seed)
                for split, examples in held_out.items()
            }
        train = corrupt(train, splits.num_classes, split_seed=recipe.data_seed, seed=recipe.seed)
    if wanted and late:
        train, held_out["val"] = set_aside(train, wanted, recipe.data_seed)
    if not len(train):
        raise UserError("no training example is left", where="corruptions")
    if recipe.dataset.train_on_validation != "never":
        alone = recipe.dataset.train_on_validation == "only"
        train = _with_validation(train, held_out.get("val"), alone=alone)
    examples = {"train": train, **held_out}
    extra = dict(splits.extra)
    return PreparedData(
        examples,
        extra,
        splits.num_classes,
        splits.class_names,
        splits.mean,
        splits.std,
        splits.vocabulary,
    )


def load_splits(name: str, options: Mapping[str, Any], root: Path, *, seed: int, where: str) -> DataSplits:
    """Return the splits of a data set beside the run's own, for probes that look at other data.

    Args:
        name: the data set.
        options: its options, as a recipe would give them.
        root: the data root.
        seed: `split_seed`, for data sets that draw their splits.
        where: the recipe's key, for messages.

    Raises:
        UserError: there is no such data set, an option is wrong, or files are missing.
    """
    plugins.check_name("dataset", name, where=where)
    checked = check(options_model("dataset", name), options, where)
    return plugins.load("dataset", name)(**checked.model_dump()).load(root, split_seed=seed)


def _with_validation(train: Examples, val: Examples | None, *, alone: bool) -> Examples:
    """Return the validation examples, behind the training examples or alone; they keep their labels.

    Raises:
        UserError: there are none.
    """
    if val is None:
        raise UserError(
            "there are no validation examples to train on",
            where="dataset.train_on_validation",
            hint="Set dataset.validation too: how many training examples are set aside.",
        )
    return val if alone else train.joined(val)


def group_counts(data: PreparedData) -> NDArray[np.int64]:
    """Return how many training examples each label has in each group, (num_classes, groups).

    Raises:
        UserError: the data set has no groups.
    """
    groups = [examples.group for examples in data.examples.values()]
    known = [group for group in groups if group is not None]
    if len(known) < len(groups):
        raise UserError(
            "the loss needs groups, and the data set has none",
            where="loss.name",
            hint='Data sets with groups: waterbirds, gaussian_mixture (form = "groups").',
        )
    num_groups = 1 + max(int(group.max(initial=0)) for group in known)
    return data.examples["train"].group_counts(data.num_classes, num_groups)


def set_aside(train: Examples, amount: float, seed: int) -> tuple[Examples, Examples]:
    """Split training examples at random into those that stay and a validation set.

    Args:
        amount: a number of examples (int) or a share of them (float).
        seed: seed of the choice.

    Raises:
        UserError: nothing would stay.
    """
    number = amount if isinstance(amount, int) else round(amount * len(train))
    if number >= len(train):
        raise UserError(
            f"{number} validation examples leave none of {len(train)}", where="dataset.validation"
        )
    order = np.random.RandomState(seed).permutation(len(train))
    return train.take(np.sort(order[number:])), train.take(np.sort(order[:number]))


def store_training_labels(train: Examples, num_classes: int, path: Path) -> None:
    """Keep which examples a run trained on, with which labels, beside the run.

    Arrays of the file: `index`, `targets`, `clean_targets`, `is_corrupted`, all (N,); `label_counts`
    (K, K): examples of each clean label (rows) that carry each label (columns); after label noise also
    `transition` (K, K): the probabilities that it drew them with.
    """
    import io

    buffer = io.BytesIO()
    fields = ("index", "targets", "clean_targets", "is_corrupted")
    arrays = {field: getattr(train, field) for field in fields}
    arrays["label_counts"] = train.label_counts(num_classes)
    if train.transition is not None:
        arrays["transition"] = train.transition
    np.savez_compressed(buffer, **arrays)
    files.write_atomic(path, buffer.getvalue(), durable=False)


def positions(examples: Examples) -> Examples:
    """Return the examples with `index` counting from 0, as batches report it to methods."""
    return dataclasses.replace(examples, index=np.arange(len(examples), dtype=np.int64))
