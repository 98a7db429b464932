"""How alike layers represent the same examples: within the network, or between it and another one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

import orjson
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.heads import CosineHead
from imbtui.engine.log import row_position
from imbtui.engine.method import Probe
from imbtui.engine.neighbours import find_run, load_network
from imbtui.engine.ranks import is_main
from imbtui.engine.seeding import seed_of
from imbtui.engine.tick import Tick
from imbtui.errors import UserError, did_you_mean
from imbtui.numerics.cka import FEWEST, aligned, hsic, hsic_unbiased, linear_gram, rbf_gram
from imbtui.option_types import Count, Positive
from imbtui.probes._model import evaluating, require_examples

WHERE = "probes.cka"
MATRIX, ACTIVATIONS = "cka.json", "activations.safetensors"
POSITIONS = "positions of the examples"
WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, CosineHead)

Layers = dict[str, Tensor]
METRICS = ("adjacent", "{layers}")


class CKA(Probe):
    """Centred kernel alignment of layers over examples in evaluation mode (kornblith2021 §5).

    A layer stands for what enters the module of its name, flattened by example: `head` is the penultimate
    layer. `<layer>`: the layer against the one of the same name in the other network; within one network
    `adjacent`: each layer against the next. All pairs are kept as a matrix in artifacts/cka.json. Measure it
    once: `every = "100%"`; a Gram matrix a layer takes 8 bytes for each pair of examples.

    Args:
        against: `self`: the layers of the network among each other; `twin`: the network that the method
            `twin` trains beside it; else another run by its id, the start of one, the path of its folder or
            as `STUDY:ARM` with the same seed: its stored activations, or its network as it ended.
        layers: names of modules; []: all linear and convolution layers and the head, but the first one.
        examples: a split, or further examples that the data set has for probes.
        most: so many of them, drawn with the run's seed; left out: all.
        estimator: of HSIC: `biased`, `debiased`, or `minibatch`, the debiased one averaged over batches.
        batch_size: of `minibatch`; a last batch of fewer than 4 is left out.
        kernel: `linear`, or `rbf`.
        threshold: bandwidth of `rbf` over the median distance.
        store: keep the activations in artifacts/activations.safetensors, so that other runs can be compared
            with this one after its checkpoint has gone.
    """

    def __init__(
        self,
        *,
        against: str = "self",
        layers: list[str] = [],  # noqa: B006  a recipe's default; never changed
        examples: str = "train",
        most: Count | None = None,
        estimator: Literal["biased", "debiased", "minibatch"] = "biased",
        batch_size: Count = 256,
        kernel: Literal["linear", "rbf"] = "linear",
        threshold: Positive = 1.0,
        store: bool = False,
    ) -> None:
        self.against = against
        self.layers = layers
        self.examples = examples
        self.most = most
        self.estimator: Literal["biased", "debiased", "minibatch"] = estimator
        self.batch_size = batch_size
        self.kernel: Literal["linear", "rbf"] = kernel
        self.threshold = threshold
        self.store = store
        self.other: nn.Module | None = None
        self.stored: Layers | None = None

    def setup(self, context: ProbeContext) -> None:
        """Find layers, examples and the other network.

        Raises:
            UserError: one of them is not there, or the stored activations are of other examples.
        """
        require_examples(context, self.examples, where=f"{WHERE}.examples")
        everything = context.examples[self.examples]
        generator = torch.Generator().manual_seed(seed_of(context.seed, "cka"))
        order = torch.randperm(len(everything), generator=generator)[: self.most]
        self.chosen = everything.take(order.sort().values.numpy())
        if len(self.chosen) < FEWEST:
            raise UserError(f"CKA needs at least {FEWEST} examples", where=f"{WHERE}.examples")
        self.names = chosen_layers(context.model, self.layers)
        self.context = context
        if self.against == "self":
            return
        if self.against in context.beside:
            self.other = context.beside[self.against]
        elif self.against == "twin":
            raise UserError(
                "no twin is trained", where=f"{WHERE}.against", hint='Add the method "twin" to the recipe.'
            )
        else:
            self._find_other(context)

    def _find_other(self, context: ProbeContext) -> None:
        where = f"{WHERE}.against"
        run = find_run(context.runs, self.against, where=where, seed=context.seed)
        kept = run.artifacts / ACTIVATIONS
        if kept.is_file():
            try:
                self.stored = load_file(kept, device=str(context.device))
            except SafetensorError as error:
                raise UserError(f"{kept} is damaged: {error}", where=where) from None
            if self.stored.pop(POSITIONS).tolist() != self.chosen.index.tolist():
                raise UserError(
                    f"the activations of {run.id} are of other examples",
                    where=where,
                    hint="Examples are the same with the same data set, split seed, `examples` and `most`.",
                )
        else:
            self.other = load_network(
                run, context.input_shape, context.device, where=where, vocabulary=context.vocabulary
            )

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the values by name, and keep the matrix."""
        if not is_main():
            return {}
        with evaluating(objective) as model:
            own = activations(model, self.names, self.context.batches_of(self.chosen))
            other = own if self.stored is None else self.stored
            if self.other is not None:
                names = chosen_layers(self.other, self.layers)
                other = activations(self.other, names, self.context.batches_of(self.chosen))
        matrix = self._matrix(own, other)
        self._keep(matrix, own, other, t)
        if self.against == "self":
            return {"adjacent": [matrix[row][row + 1] for row in range(len(own) - 1)]}
        columns = {name: number for number, name in enumerate(other)}
        return {name: matrix[row][columns[name]] for row, name in enumerate(own) if name in columns}

    def _matrix(self, rows: Layers, columns: Layers) -> list[list[float]]:
        """Return the alignment of each layer of one network with each of the other."""
        total = len(self.chosen)
        size = self.batch_size if self.estimator == "minibatch" else total
        between = torch.zeros(len(rows), len(columns), dtype=torch.float64)
        of_rows, of_columns = between.new_zeros(len(rows)), between.new_zeros(len(columns))
        estimate = hsic if self.estimator == "biased" else hsic_unbiased
        for start in range(0, total, size):
            if total - start < FEWEST:
                break
            row_grams, column_grams = (
                [self._gram(features[start : start + size]) for features in layers.values()]
                for layers in (rows, columns)
            )
            for i, k in enumerate(row_grams):
                of_rows[i] += estimate(k, k)
                for j, other in enumerate(column_grams):
                    between[i, j] += estimate(k, other)
            for j, other in enumerate(column_grams):
                of_columns[j] += estimate(other, other)
        return [
            [
                aligned(float(between[i, j]), float(of_rows[i]), float(of_columns[j]))
                for j in range(len(columns))
            ]
            for i in range(len(rows))
        ]

    def _gram(self, features: Tensor) -> Tensor:
        return linear_gram(features) if self.kernel == "linear" else rbf_gram(features, self.threshold)

    def _keep(self, matrix: list[list[float]], own: Layers, other: Layers, t: Tick) -> None:
        step, epoch = row_position(t)
        compared = "layers of this run" if self.against == "self" else f"layers of {self.against}"
        document = {
            "stage": t.stage,
            "step": step,
            "epoch": epoch,
            "rows": "layers of this run",
            "columns": compared,
            "row_names": list(own),
            "column_names": list(other),
            "matrices": {f"{self.estimator} {self.kernel} CKA": matrix},
        }
        self.context.keep(MATRIX, orjson.dumps(document))
        if self.store:
            tensors = {name: features.cpu().contiguous() for name, features in own.items()}
            tensors[POSITIONS] = torch.from_numpy(self.chosen.index)
            self.context.keep(ACTIVATIONS, save(tensors))


def chosen_layers(model: nn.Module, wanted: Sequence[str]) -> list[str]:
    """Return names of modules: those wanted, or all with weights but the first.

    Raises:
        UserError: there is no module of a name, or none with weights behind the first.
    """
    modules = dict(model.named_modules())
    for name in wanted:
        if name not in modules:
            raise UserError(
                f'the model has no layer "{name}"',
                where=f"{WHERE}.layers",
                hint=did_you_mean(name, [known for known in modules if known]),
            )
    if wanted:
        return list(wanted)
    weighted = [name for name, module in modules.items() if isinstance(module, WEIGHTED)]
    if len(weighted) < 2:
        raise UserError("the model has no hidden layer", where=WHERE)
    return weighted[1:]


def activations(model: nn.Module, names: Sequence[str], batches: Iterable[Batch]) -> Layers:
    """Return what enters each module, (N, D), in the order of `names`."""
    parts: dict[str, list[Tensor]] = {name: [] for name in names}
    for batch in batches:
        for name, entered in zip(names, _entering(model, names, batch.x), strict=True):
            parts[name].append(entered.flatten(1))
    return {name: torch.cat(entered) for name, entered in parts.items()}


def _entering(model: nn.Module, names: Sequence[str], x: Tensor) -> Iterator[Tensor]:
    modules = dict(model.named_modules())
    seen: Layers = {}

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            seen[name] = arguments[0]

        return hook

    handles = [modules[name].register_forward_pre_hook(note(name)) for name in names]
    try:
        model(x)
    finally:
        for handle in handles:
            handle.remove()
    return (seen[name] for name in names)


build = CKA
