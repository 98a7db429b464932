"""From a recipe to a `Run`: data on the device, model, loss, methods and probes."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn

from imbtui import files, paths, plugins
from imbtui.engine.batch import joined
from imbtui.engine.batches import Batches, DeviceBatches, Order
from imbtui.engine.checkpoint import Checkpoints
from imbtui.engine.context import Context, MakeModel, MethodContext, ProbeContext
from imbtui.engine.data import PreparedData, group_counts, prepare, store_training_labels
from imbtui.engine.examples import Examples
from imbtui.engine.heads import draw_head_, make_head
from imbtui.engine.log import MetricsLog
from imbtui.engine.method import Method
from imbtui.engine.objective import Objective
from imbtui.engine.pixels import PixelScale
from imbtui.engine.run import Assembly, Run, store_artifact
from imbtui.errors import UserError
from imbtui.recipe import Recipe

PRECISIONS = {"fp32": "no", "tf32": "no", "fp64": "no", "bf16": "bf16", "fp16": "fp16"}


def make_accelerator(recipe: Recipe) -> Accelerator:
    """Return the accelerator for a recipe's precision, on this process's device.

    Raises:
        UserError: fp16 without a GPU (gradient scaling needs one).
    """
    precision = recipe.train.precision
    if precision == "fp16" and not torch.cuda.is_available():
        raise UserError("fp16 needs a GPU", where="train.precision", hint='Use "bf16" or "fp32" on a CPU.')
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.use_deterministic_algorithms(recipe.train.deterministic)
    # Accelerate keeps the precision of the first run of a process for all that follow.
    AcceleratorState._reset_state()
    return Accelerator(mixed_precision=PRECISIONS[precision])


def build(
    recipe: Recipe,
    run_paths: paths.RunPaths,
    accelerator: Accelerator,
    stop_flag: list[int],
    assembly: Assembly | None = None,
) -> Run:
    """Build everything a run needs, seeded by the recipe alone.

    Args:
        recipe: the run.
        run_paths: its folder.
        accelerator: processes and device.
        stop_flag: filled by a signal handler to ask for a stop.
        assembly: what `assemble` has made of it; None: nothing yet.

    Raises:
        UserError: data is missing, or parts do not fit together.
    """
    assembly = assembly or assemble(recipe, run_paths, accelerator)
    probes = []
    for spec in recipe.probes:
        probe = plugins.load("probe", spec.name)(**spec.options)
        probe.setup(assembly.for_probes)
        probes.append((spec.name, spec.every, probe))
    main = accelerator.is_main_process
    checkpoints = Checkpoints(
        run_paths.checkpoints,
        writes=main,
        device=accelerator.device,
        every=recipe.train.checkpoint_every,
    )
    log = MetricsLog(run_paths.metrics, select_on=recipe.train.select_on) if main else None
    if log is not None:
        if checkpoints.none:
            log.restart()
        run_paths.artifacts.mkdir(mode=files.PRIVATE_FOLDER, exist_ok=True)
        context = assembly.context
        store_training_labels(
            context.examples["train"], context.num_classes, run_paths.artifacts / "training_labels.npz"
        )
    return Run(
        recipe=recipe,
        paths=run_paths,
        accelerator=accelerator,
        assembly=assembly,
        assemble=lambda other: assemble(other, run_paths, accelerator),
        probes=probes,
        log=log,
        checkpoints=checkpoints,
        stop_flag=stop_flag,
    )


def assemble(recipe: Recipe, run_paths: paths.RunPaths, accelerator: Accelerator) -> Assembly:
    """Build data, model, loss and methods of a recipe, seeded by it alone.

    Raises:
        UserError: data is missing, or parts do not fit together.
    """
    device = accelerator.device
    data = prepare(recipe, paths.data_root())
    batches = {split: _batches(recipe, data, part, accelerator) for split, part in data.examples.items()}
    extra = {name: _batches(recipe, data, part, accelerator) for name, part in data.extra.items()}
    counts = torch.from_numpy(data.examples["train"].class_counts(data.num_classes)).to(device)
    make_model = _model_maker(recipe, data, batches["train"], device)

    def keep(name: str, content: bytes) -> None:
        if accelerator.is_main_process:
            store_artifact(run_paths, name, content)

    loss = _make_loss(recipe, data, counts)
    common = Context(
        input_shape=batches["train"].input_shape,
        vocabulary=data.vocabulary,
        num_classes=data.num_classes,
        class_counts=counts,
        examples=data.examples | data.extra,
        batches=lambda split: (batches | extra)[split].evaluation(),
        whole=lambda split: joined(list((batches | extra)[split].evaluation(whole=True))),
        seed=recipe.seed,
        device=device,
        runs=run_paths.root.parent,
        pixels=_pixel_scale(recipe, data, device),
    )
    context = MethodContext(
        **vars(common),
        model=make_model(recipe.seed),
        make_model=make_model,
        loss=loss,
        replicates=recipe.train.replicates,
        epoch=lambda number: batches["train"].epoch(number),
    )
    methods: list[Method] = [plugins.load("method", m.name)(**m.options) for m in recipe.methods]
    for method in methods:
        method.setup(context)
    if hasattr(loss, "setup"):
        loss.setup(common)
    objective = Objective(
        context.model,
        loss,
        methods,
        start_epoch=recipe.loss.start_epoch,
        normalise=recipe.loss.normalise,
    ).to(device)
    for_probes = ProbeContext(
        **vars(common),
        model=context.model,
        batches_of=lambda examples: _batches(recipe, data, examples, accelerator).evaluation(whole=True),
        keep=keep,
        beside=context.beside,
    )
    return Assembly(objective, context, for_probes, batches)


def _make_loss(recipe: Recipe, data: PreparedData, counts: torch.Tensor) -> nn.Module:
    """Return the recipe's loss; one that needs groups is also told how many examples each holds."""
    make = plugins.load("loss", recipe.loss.name)
    if "group" not in getattr(make, "needs", ()):
        return make(counts, **recipe.loss.options)
    by_group = torch.from_numpy(group_counts(data)).to(counts.device)
    return make(counts, by_group, **recipe.loss.options)


def _pixel_scale(recipe: Recipe, data: PreparedData, device: torch.device) -> PixelScale | None:
    if recipe.augmentation.standardise:
        return None
    if not recipe.augmentation.normalise or data.mean is None or data.std is None:
        return PixelScale()
    dtype = torch.float64 if recipe.train.precision == "fp64" else torch.float32
    mean, std = (torch.tensor(v, device=device, dtype=dtype)[:, None, None] for v in (data.mean, data.std))
    return PixelScale(mean, std)


def _batches(recipe: Recipe, data: PreparedData, examples: Examples, accelerator: Accelerator) -> Batches:
    train = recipe.train
    size = len(examples) if train.batch_size == "all" else train.batch_size
    order = Order(
        len(examples),
        size,
        drop_last=train.drop_last,
        seed=recipe.seed,
        rank=accelerator.process_index,
        world=accelerator.num_processes,
    )
    dtype = torch.float64 if train.precision == "fp64" else torch.float32
    make: Callable[..., Batches] = DeviceBatches
    if examples.x.dtype.kind in "UO":  # file names
        from imbtui.engine.streaming import StreamingBatches

        make = functools.partial(StreamingBatches, size=recipe.augmentation.image_size)
    return make(
        examples,
        device=accelerator.device,
        dtype=dtype,
        augmentation=recipe.augmentation,
        mean=data.mean,
        std=data.std,
        order=order,
    )


def _model_maker(recipe: Recipe, data: PreparedData, train: Batches, device: torch.device) -> MakeModel:
    dtype = torch.float64 if recipe.train.precision == "fp64" else torch.float32

    def make_model(seed: int, *, plain_head: bool = False) -> nn.Module:
        # Drawn on the CPU, so that a seed means the same network on every device.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = network(
                recipe,
                train.input_shape,
                data.num_classes or 1,
                vocabulary=data.vocabulary,
                plain_head=plain_head,
            )
        return model.to(device=device, dtype=dtype)

    return make_model


def network(
    recipe: Recipe,
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    vocabulary: int = 0,
    plain_head: bool = False,
) -> nn.Module:
    """Draw a recipe's network from torch's default generator, on the CPU.

    Args:
        recipe: its model.
        input_shape: shape of one input.
        outputs: width of the last layer.
        vocabulary: how many different tokens there are; for models of tokens.
        plain_head: give it a linear head without dropout, whatever the recipe says; the rest is the same.
    """
    spec = recipe.model
    heads: list[nn.Module] = []

    def head(width: int) -> nn.Module:
        if plain_head:
            made = make_head("linear", width, outputs)
        else:
            made = make_head(
                spec.head,
                width,
                outputs,
                dropout=spec.head_dropout,
                temperature=spec.head_temperature,
                bias=spec.head_bias,
                compat=spec.head_compat,
            )
        heads.append(made)
        return made

    of_tokens = plugins.literal("model", spec.name, "INPUTS") == "tokens"
    tokens = (vocabulary,) if of_tokens else ()
    model = plugins.load("model", spec.name)(input_shape, head, *tokens, **spec.options)
    if spec.head_std is not None:
        # Last, since some models draw all of their layers themselves.
        for made in heads:
            draw_head_(made, spec.head_std)
    return model
