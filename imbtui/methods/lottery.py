"""Iterative magnitude pruning with rewinding: train, prune, rewind, repeat (lottery tickets, frankle2019)."""

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING, Literal

import torch
from safetensors.torch import save
from torch import Tensor, nn

from imbtui.engine.seeding import seed_of
from imbtui.engine.tick import Tick
from imbtui.errors import UserError, did_you_mean
from imbtui.methods._masks import REWOUND, Masked, is_part, masks_file, prunable_layers
from imbtui.methods._networks import draw_anew, networks_in
from imbtui.metrics import pick, series
from imbtui.numerics.early_stopping import early_stop, is_winning, smallest_winning_density, speedup
from imbtui.numerics.pruning import (
    density,
    largest_masks,
    magnitude_masks,
    noisy_weights,
    one_shot_rate,
    remaining_counts,
    resampled_weights,
    shuffled_masks,
)
from imbtui.option_types import Count, NonNegativeInt, Positive, Rate, When

if TYPE_CHECKING:
    from imbtui.engine.run import Run

WHERE = "methods.lottery"
REWIND = "rewind"
TASKS = ("classification", "regression")
STAGES = (
    "rewind",
    "level-#",
    "level-#-random_reinit",
    "level-#-random_mask",
    "level-#-random_mask_global",
    "level-#-prune_at_init",
    "level-#-reinit_from_ticket",
    "level-#-noise_#",
    "level-#-noise_#.#",
)
METRICS = (
    "lottery/level",
    "lottery/density",
    "lottery/pruned_fraction",
    "lottery/remaining",
    "lottery/remaining/*",
    "lottery/early_stop_step",
    "lottery/early_stop_loss",
    "lottery/early_stop_accuracy",
    "lottery/is_winning",
    "lottery/speedup",
    "lottery/smallest_winning_density",
)


class Lottery(Masked):
    """Plans stages `level-0` (dense) to `level-<rounds>`; level n is what n prunings left (frankle2019 §3).

    Every level starts from the rewind point with a fresh optimizer, schedules, batch order and batch-norm
    statistics of that point, and trains for the recipe's length. After it the smallest weights are
    removed. Removed weights are exactly zero in every forward pass and get no gradient, so that they stay
    so through momentum and weight decay.

    Pruned are the weights of linear and convolution layers; biases and batch norm never. A cosine head is
    not pruned either: its columns are normalised before use, so their magnitudes rank nothing. Densities
    are shares of all weight tensors, those of layers that are never pruned included (§2).

    Masks are buffers, and artefacts `masks-<stage>.safetensors` (bool, by parameter name); the network at
    the rewind point is the artefact `rewound.safetensors`. The method `ticket` starts another run from them.

    Each stage logs `lottery/level`, `density`, `pruned_fraction`, `remaining` and `remaining/<layer>`
    before it. With a validation split it logs after it `early_stop_step`, `early_stop_loss` and
    `early_stop_accuracy` (on test data), where the validation loss is lowest; beside the dense network
    `is_winning` (1 or 0), `speedup` and, over the levels so far, `smallest_winning_density` (§2, §8).

    Args:
        rounds: prunings; `rounds` + 1 networks are trained.
        rate: share of the surviving weights that a round removes.
        output_rate: instead of `rate` for the output layer (the model's `head`); 0.1 in the paper.
        conv_rate: instead of `rate` for convolutions.
        scope: rank weights within each `layer`, or over all layers together (`global`).
        exclude: layers that are never pruned, by name or part of it (`"head"`, `"blocks.0"`).
        strategy: `resetting`: every level starts from the rewind point. `continued`: weights are kept
            between rounds and only the last level starts from it.
        one_shot: prune once, to what `rounds` rounds would leave: stages `level-0`, `level-<rounds>`.
        rewind: point in time of the dense run that survivors go back to, reached in a stage `rewind` of
            its own; 0: their initial values.
        controls: trained beside a level, from the rewind point, before it, in stages such as
            `level-6-random_mask`. Other masks: `random_mask`: the level's, shuffled within each layer;
            `random_mask_global`: over all layers; `prune_at_init`: as many weights as the level has, the
            largest at the rewind point. Other weights under the level's mask: `random_reinit`: newly
            drawn; `reinit_from_ticket`: each drawn from the layer's surviving ones; `noise`: Gaussian
            noise is added.
        noise: deviations of the control `noise`, in those of the layer's weights at the rewind point; each
            is a stage of its own, such as `level-6-noise_0.5`.
        control_rounds: levels that get controls; none: the last.
        compat: count as released code does, which removes one weight more: `google` (the authors' first
            code) or `open_lth` (needs scope `global`).
        allow_empty: permit that a scope loses all its weights.
    """

    def __init__(
        self,
        *,
        rounds: Count = 5,
        rate: Rate = 0.2,
        output_rate: Rate | None = None,
        conv_rate: Rate | None = None,
        scope: Literal["layer", "global"] = "layer",
        exclude: list[str] = [],  # noqa: B006  a recipe's default; never changed
        strategy: Literal["resetting", "continued"] = "resetting",
        one_shot: bool = False,
        rewind: When = 0,
        controls: list[
            Literal[
                "random_reinit",
                "random_mask",
                "random_mask_global",
                "prune_at_init",
                "reinit_from_ticket",
                "noise",
            ]
        ] = [],  # noqa: B006
        noise: list[Positive] = [0.5, 1.0, 2.0, 3.0],  # noqa: B006
        control_rounds: list[NonNegativeInt] = [],  # noqa: B006
        compat: Literal["google", "open_lth"] | None = None,
        allow_empty: bool = False,
    ) -> None:
        super().__init__()
        self.rounds = rounds
        self.rates = {
            "linear": rate,
            "conv": rate if conv_rate is None else conv_rate,
            "output": rate if output_rate is None else output_rate,
        }
        self.scope = scope
        self.exclude = exclude
        self.strategy = strategy
        self.rewind = rewind
        self.compat: Literal["google", "open_lth"] | None = compat
        self.allow_empty = allow_empty
        self.levels = [0, rounds] if one_shot else list(range(rounds + 1))
        self.noise = {f"noise_{c:g}": c for c in noise}
        self.controls = [
            stage for control in controls for stage in (self.noise if control == "noise" else (control,))
        ]
        self.control_rounds = (control_rounds or [rounds]) if controls else []
        if scope == "global" and not (output_rate is None and conv_rate is None):
            raise UserError(
                "scope global ranks all layers together and has one rate",
                where=WHERE,
                hint="Leave output_rate and conv_rate out, or list layers under exclude.",
            )
        if compat == "open_lth" and scope != "global":
            raise UserError('open_lth prunes all layers together; it needs scope = "global"', where=WHERE)
        for level in self.control_rounds:
            if level not in self.levels:
                raise UserError(f"there is no level {level} for controls", where=f"{WHERE}.control_rounds")
        self.asked = {"output_rate": output_rate, "conv_rate": conv_rate}
        self.cuts = 1 if one_shot else rounds
        if one_shot:
            self.rates = {kind: one_shot_rate(r, rounds) for kind, r in self.rates.items()}
        self._excluded = self._unpruned = 0
        self._dense: tuple[int, float] | None = None
        """Early stop of the dense network, and its test accuracy there."""
        self._tickets: dict[float, bool] = {}
        """By density, whether the ticket of a level is a winning one."""

    def plan(self, run: Run) -> None:
        """Train, prune and rewind, level by level.

        Raises:
            UserError: an option asks for what the model lacks, the rewind point is not before the end, or
                a round would leave a layer without weights.
        """
        self._find_layers(run.objective.model)
        self.guard()
        ticket = [torch.ones_like(layer.weight, dtype=torch.bool) for layer in self.layers]
        if "random_reinit" in self.controls:
            template = run.context.make_model(run.context.seed)
            networks_in(run.objective.model, template, where=f"{WHERE}.controls")
        first = Tick(REWIND, 0, run.steps_per_epoch, run.steps).step_of(self.rewind)
        if first >= run.steps:
            raise UserError(
                f"the rewind point, step {first}, is not before the end, {run.steps}", where=f"{WHERE}.rewind"
            )
        if first:
            run.fit(REWIND, stop=first, length=run.steps)
        rewound = begin = copy.deepcopy(run.objective.state_dict())
        run.keep(REWOUND, save({k: v.clone() for k, v in run.objective.model.state_dict().items()}))
        for level in self.levels:
            for control in self.controls if level in self.control_rounds else ():
                run.objective.load_state_dict(rewound)
                masks = self._control(run, control, level, ticket)
                self._train(run, f"level-{level}-{control}", level, masks, first)
            run.objective.load_state_dict(begin)
            self._train(run, f"level-{level}", level, ticket, first)
            if level < self.rounds:
                ticket = self._prune(ticket)
                if self.strategy == "continued":
                    last_is_next = level == self.levels[-2]
                    begin = rewound if last_is_next else copy.deepcopy(run.objective.state_dict())

    def stages(self) -> list[str]:
        """Return the names of the stages in the order `plan` runs them."""
        names = [] if self.rewind in (0, "0it", "0%") else [REWIND]
        for level in self.levels:
            controls = self.controls if level in self.control_rounds else []
            names += [*(f"level-{level}-{control}" for control in controls), f"level-{level}"]
        return names

    def _find_layers(self, model: nn.Module) -> None:
        """List the layers to prune, and count the weights outside them."""
        found = prunable_layers(model)
        names = [layer.name for layer in found]
        for entry in self.exclude:
            if not any(is_part(entry, name) for name in names):
                raise UserError(
                    f'the model has no layer "{entry}" to prune',
                    where=f"{WHERE}.exclude",
                    hint=did_you_mean(entry, names),
                )
        self.layers = [
            layer for layer in found if not any(is_part(entry, layer.name) for entry in self.exclude)
        ]
        if not self.layers:
            raise UserError("the model has no layer to prune", where=WHERE)
        for option, kind in (("output_rate", "output"), ("conv_rate", "conv")):
            if self.asked[option] is not None and all(layer.kind != kind for layer in self.layers):
                raise UserError(f"no {kind} layer of the model is pruned", where=f"{WHERE}.{option}")
        pruned = sum(layer.weight.numel() for layer in self.layers)
        self._excluded = sum(layer.weight.numel() for layer in found) - pruned
        self._unpruned = sum(p.numel() for p in model.parameters() if p.dim() >= 2) - pruned
        self._check_schedule(pruned)

    def _check_schedule(self, pruned: int) -> None:
        """Refuse before training what a later round would refuse."""
        scopes = [(f'layer "{layer.name}"', layer.weight.numel(), layer.kind) for layer in self.layers]
        if self.scope == "global":
            scopes = [("the network", pruned, "linear")]
        for scope, size, kind in scopes:
            counts = remaining_counts(
                size, self.rates[kind], self.cuts, compat=self.compat, elsewhere=self._excluded
            )
            if counts[-1] == 0 and not self.allow_empty:
                raise UserError(
                    f"round {counts.index(0)} would leave {scope} without weights",
                    where=WHERE,
                    hint="Choose fewer rounds or a smaller rate.",
                )

    def _train(self, run: Run, stage: str, level: int, masks: list[Tensor], first: int) -> None:
        """Train the network as it stands under these masks, through one stage."""
        self.put_masks(masks)
        share = density(masks, self._unpruned)
        counts = {layer.name: int(mask.sum()) for layer, mask in zip(self.layers, masks, strict=True)}
        run.note(
            stage,
            first,
            {
                "lottery/level": level,
                "lottery/density": share,
                "lottery/pruned_fraction": 1 - share,
                "lottery/remaining": sum(counts.values()) + self._unpruned,
                **{f"lottery/remaining/{name}": count for name, count in counts.items()},
            },
        )
        run.keep(masks_file(stage), self._export(run.objective.model, masks))
        run.fit(stage, start=first)
        self._conclude(run, stage, level, share)

    def _conclude(self, run: Run, stage: str, level: int, share: float) -> None:
        """Log when the network would have been stopped early, and whether it is a winning ticket."""
        rows = run.rows(stage)
        losses = series(rows, "val/loss")
        if not losses.values:
            return
        step = early_stop(losses.steps, losses.values)
        accuracy = pick(rows, "test/accuracy", "argmin:val/loss")
        values: dict[str, float | None] = {
            "lottery/early_stop_step": step,
            "lottery/early_stop_loss": pick(rows, "val/loss", "min"),
            "lottery/early_stop_accuracy": accuracy,
        }
        if stage == "level-0":
            self._dense = step, accuracy
        elif self._dense is not None:
            dense_step, dense_accuracy = self._dense
            wins = is_winning(step, accuracy, dense_step=dense_step, dense_accuracy=dense_accuracy)
            values["lottery/is_winning"] = float(wins)
            values["lottery/speedup"] = speedup(step, dense_step=dense_step)
            if stage == f"level-{level}":
                self._tickets[share] = wins
                values["lottery/smallest_winning_density"] = smallest_winning_density(
                    list(self._tickets), list(self._tickets.values())
                )
        run.note(stage, run.steps, values)

    def _export(self, model: nn.Module, masks: list[Tensor]) -> bytes:
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        return save(
            {names[id(layer.weight)]: m.contiguous() for layer, m in zip(self.layers, masks, strict=True)}
        )

    def _control(self, run: Run, control: str, level: int, ticket: list[Tensor]) -> list[Tensor]:
        """Return the masks of a control; its weights are put in place, over those of the rewind point."""
        seed = seed_of(run.context.seed, "lottery", control, level)
        generator = torch.Generator().manual_seed(seed)
        if control == "random_reinit":
            draw_anew(run.objective.model, run.context, seed, where=f"{WHERE}.controls")
        elif control == "prune_at_init":
            return self._largest(ticket)
        elif control.startswith("random_mask"):
            return shuffled_masks(ticket, generator, across_layers=control == "random_mask_global")
        else:
            for layer, mask in zip(self.layers, ticket, strict=True):
                weight = layer.weight.detach()
                if control in self.noise:
                    weight.copy_(noisy_weights(weight, self.noise[control], generator))
                elif mask.any():
                    weight.copy_(resampled_weights(weight, mask, generator))
        return ticket

    def _largest(self, ticket: list[Tensor]) -> list[Tensor]:
        """Return masks with as many survivors in each scope, the largest weights as they are."""
        weights: list[Tensor] = [layer.weight for layer in self.layers]
        if self.scope == "global":
            return largest_masks(weights, ticket)
        return [largest_masks([w], [mask])[0] for w, mask in zip(weights, ticket, strict=True)]

    def _prune(self, masks: list[Tensor]) -> list[Tensor]:
        """Return the masks after a round, by the weights as they are."""
        weights: list[Tensor] = [layer.weight for layer in self.layers]
        prune = partial(
            magnitude_masks, compat=self.compat, elsewhere=self._excluded, allow_empty=self.allow_empty
        )
        try:
            if self.scope == "global":
                return prune(weights, masks, self.rates["linear"])
            return [
                prune([layer.weight], [mask], self.rates[layer.kind])[0]
                for layer, mask in zip(self.layers, masks, strict=True)
            ]
        except ValueError as error:
            raise UserError(str(error), where=WHERE, hint="Choose fewer rounds or a smaller rate.") from None


build = Lottery
