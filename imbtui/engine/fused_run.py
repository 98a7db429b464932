"""Runs that train together: to the loop one run, to their folders runs of their own.

The loop of `engine.fit` is the ordinary one. What it asks of a run is asked here of every member in turn:
its batches in its order, its evaluations, probes, rows and checkpoints.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from imbtui.engine.batch import Batch
from imbtui.engine.fused import FusedObjective, OptimizerPart, stacked
from imbtui.engine.run import Run
from imbtui.engine.tick import Tick
from imbtui.recipe import Recipe


@dataclass(frozen=True)
class Member:
    """One of the runs.

    Attributes:
        run: what it would be alone.
        stop_asked: whether its user asked this attempt to stop.
        end: tells its folder how it ended: the state, and the error that a failure was.
    """

    run: Run
    stop_asked: Callable[[], bool]
    end: Callable[[str, BaseException | None], None]


class FusedRun:
    """Several runs under way, as `fit` knows one. Each leaves when it is asked to stop or fails by itself.

    A member that has left is still computed with, since the others' tensors hold it; nothing is written
    for it any more.

    Args:
        members: the runs; they differ in their seeds and stand at the same step.
        stop_flag: a list that a signal handler fills.
    """

    def __init__(self, members: Sequence[Member], stop_flag: list[int]) -> None:
        self.objective = FusedObjective([member.run.objective for member in members])
        self.steps_per_epoch = members[0].run.steps_per_epoch
        self.steps = members[0].run.steps
        self._members = members
        self._staying = list(enumerate(members))
        self._obeyed: set[int] = set()
        self._stop_flag = stop_flag
        self._optimizer: torch.optim.Optimizer | None = None
        self._batches: Sequence[Batch] = ()
        self._probing = bool(members[0].run.probes)

    @property
    def recipe(self) -> Recipe:
        """The recipe of one of them."""
        return self._members[0].run.recipe

    def _each(self, do: Callable[[int, Run], None]) -> None:
        """Do something for every member that stays; one for which it fails leaves, and the others go on."""
        for number, member in list(self._staying):
            try:
                do(number, member.run)
            except Exception as error:
                self._leave(number, "failed", error)

    def _leave(self, number: int, state: str, error: BaseException | None = None) -> None:
        self._staying = [(n, member) for n, member in self._staying if n != number]
        self._members[number].end(state, error)

    def close(self) -> None:
        """End the members' logs after the last stage, and their runs."""
        self._each(lambda number, run: run.close())
        for number, _ in list(self._staying):
            self._leave(number, "finished")

    # What the loop calls

    def load_finished(self, stage: str, objective: FusedObjective) -> bool:
        """Return False: runs that have finished are not trained together with others."""
        return False

    def load_under_way(
        self, stage: str, objective: FusedObjective, optimizer: torch.optim.Optimizer, start: int
    ) -> int:
        """Load every member's checkpoint and return the step that all of them go on with."""
        self._optimizer = optimizer
        first = {
            member.run.load_under_way(stage, member.run.objective, self._part(optimizer, number), start)
            for number, member in self._staying
        }
        (step,) = first
        return step

    def _part(self, optimizer: torch.optim.Optimizer, number: int) -> OptimizerPart:
        count = len(optimizer.param_groups[0]["params"]) // len(self._members)
        return OptimizerPart(optimizer, number * count, count)

    def prepare(
        self, objective: FusedObjective, optimizer: torch.optim.Optimizer
    ) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Return both as they are: several processes do not train together."""
        return objective, optimizer

    def clock(self, stage: str, first: int, stop: int, length: int) -> Iterator[tuple[Batch, Tick]]:
        """Yield the members' batches, stacked, with their common ticks."""
        clocks = [member.run.clock(stage, first, stop, length) for member in self._members]
        for step in zip(*clocks, strict=True):
            self._batches = [batch for batch, _ in step]
            yield stacked(self._batches), step[0][1]

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Return nothing to enter: half precision does not train together."""
        return contextlib.nullcontext()

    def backward(self, loss: torch.Tensor) -> None:
        """Compute the gradients of all members."""
        self.objective.backward(loss)

    def prepare_probes(self, objective: FusedObjective, batch: Batch, t: Tick) -> None:
        """Let probes look at each member before a step."""
        if self._probing:
            self._each(lambda n, run: _drawing(run, t).prepare_probes(run.objective, self._batches[n], t))

    def measure(
        self, objective: FusedObjective, batch: Batch, logs: Mapping[str, torch.Tensor], t: Tick
    ) -> None:
        """Show the step to each member's probes."""
        if self._probing:
            self._each(
                lambda n, run: _drawing(run, t).measure(run.objective, self._batches[n], _of(logs, n), t)
            )

    def evaluation_due(self, t: Tick) -> bool:
        """Whether all splits are evaluated after this step."""
        return self._members[0].run.evaluation_due(t)

    def evaluate(self, t: Tick, running: Mapping[str, torch.Tensor] | None = None) -> None:
        """Evaluate each member and log a row of its own."""
        self._each(lambda number, run: run.evaluate(t, _of(running or {}, number)))

    def log_due(self) -> bool:
        """Whether rows of running values should be written now."""
        return any(member.run.log_due() for _, member in self._staying[:1])

    def write(self, t: Tick, values: Mapping[str, torch.Tensor]) -> None:
        """Log a row for each member."""
        self._each(lambda number, run: run.write(t, _of(values, number)))

    def checkpoint_due(self, t: Tick) -> bool:
        """Whether checkpoints are written after this step."""
        return any(member.run.checkpoint_due(t) for _, member in self._staying[:1])

    def save(self, t: Tick, objective: FusedObjective, optimizer: torch.optim.Optimizer) -> None:
        """Write each member's checkpoint, as if it had trained alone."""
        self._each(lambda number, run: run.save(t, run.objective, self._part(optimizer, number)))

    def stop_requested(self, t: Tick) -> bool:
        """Let the members leave that were asked to stop; return whether none is to go on.

        A signal says only that somebody was. Where no stop file explains it, all of them were.
        """
        if t.last or (self._staying and not self._stop_flag):
            return False
        self._stop_flag.clear()
        asked = {number for number, member in enumerate(self._members) if member.stop_asked()}
        told, self._obeyed = asked - self._obeyed, asked
        for number, member in [pair for pair in self._staying if pair[0] in told]:
            assert self._optimizer is not None
            try:
                member.run.save(t, member.run.objective, self._part(self._optimizer, number))
            except Exception as error:
                self._leave(number, "failed", error)
            else:
                self._leave(number, "stopped")
        return not told or not self._staying

    def target_reached(self) -> bool:
        """Return False: `train.until` ends each run at a step of its own."""
        return False

    def conclude(self, t: Tick) -> None:
        """Log what each member's probes conclude."""
        self._each(lambda number, run: run.conclude(t))

    def finish_stage(self, stage: str, t: Tick, objective: FusedObjective) -> None:
        """Write each member's end state."""
        self._each(lambda number, run: run.finish_stage(stage, t, run.objective))


def _of(values: Mapping[str, torch.Tensor], number: int) -> dict[str, torch.Tensor]:
    """Return one member's values of those with a leading member axis."""
    return {name: value[number] for name, value in values.items()}


def _drawing(run: Run, t: Tick) -> Run:
    """Return the run, its random draws in force instead of the last member's."""
    run.reseed(t)
    return run
