"""The training loop. Papers fill the slots of `Method`; none of them forks this function."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import torch

from imbtui.engine.optim import lr_at, make_optimizer, set_lr
from imbtui.engine.tick import Tick

if TYPE_CHECKING:
    from imbtui.engine.fused import FusedObjective
    from imbtui.engine.objective import Objective
    from imbtui.engine.under_way import UnderWay


class Stopped(Exception):
    """The run was asked to stop; a checkpoint has been written."""


def fit(
    run: UnderWay,
    objective: Objective | FusedObjective,
    stage: str,
    *,
    start: int = 0,
    stop: int | None = None,
    length: int | None = None,
) -> None:
    """Train `objective` through one stage, or take over where an earlier attempt left it.

    A stage that had finished is loaded and left: restarting a run means calling everything again.

    Args:
        run: clock, data, log and checkpoints of the run.
        objective: what is minimised; trained in place.
        stage: name of the stage, unique in the run.
        start: step the schedules and the data order begin at (rewinding to step k starts at k).
        stop: step the stage ends before; None: the recipe's length.
        length: steps that schedules count with; None: `stop`. A stage that only leads up to a rewind
            point ends long before its schedules do.

    Raises:
        Stopped: the run was asked to stop.
    """
    stop = run.steps if stop is None else stop
    length = stop if length is None else length
    if run.load_finished(stage, objective):
        return
    optimizer = make_optimizer(run.recipe.optimizer, objective.parameters())
    first = run.load_under_way(stage, objective, optimizer, start)
    net, optimizer = run.prepare(objective, optimizer)
    if first == start:
        run.evaluate(Tick(stage, start - 1, run.steps_per_epoch, length))
    net.train()
    running = RunningMean()
    for batch, t in run.clock(stage, first, stop, length):
        set_lr(optimizer, lr_at(run.recipe.schedule, run.recipe.optimizer.lr, t))
        optimizer.zero_grad()
        run.prepare_probes(objective, batch, t)
        with ExitStack() as around:
            for method in objective.filling["around_step"]:
                batch = around.enter_context(method.around_step(batch, t)) or batch
            with run.autocast():
                loss, logs = net(batch, t)
            run.backward(loss)
            optimizer.step()
        running.add(logs)
        run.measure(objective, batch, logs, t)
        if run.evaluation_due(t):
            run.evaluate(t, running.take())
        elif run.log_due():
            run.write(t, running.take())
        if run.checkpoint_due(t):
            run.save(t, objective, optimizer)
        if run.stop_requested(t):
            run.save(t, objective, optimizer)
            raise Stopped(stage)
        if run.target_reached():
            break
    end = t if first < stop else Tick(stage, stop - 1, run.steps_per_epoch, length)
    run.conclude(end)
    run.finish_stage(stage, end, objective)


class RunningMean:
    """Averages what the steps log, on the device: nothing waits for the device until `take`."""

    def __init__(self) -> None:
        self._sums: dict[str, torch.Tensor] = {}
        self._steps = 0

    def add(self, logs: dict[str, torch.Tensor]) -> None:
        for name, value in logs.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._steps += 1

    def take(self) -> dict[str, torch.Tensor]:
        """Return the means since the last call as `running/<name>` and begin anew."""
        means = {f"running/{name}": total / self._steps for name, total in self._sums.items()}
        self._sums, self._steps = {}, 0
        return means
