"""One run inside its process: what the loop asks of data, clock, log, checkpoints and signals."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from imbtui import files
from imbtui.engine.batch import Batch
from imbtui.engine.batches import Batches
from imbtui.engine.checkpoint import Checkpoints, Stateful
from imbtui.engine.confusion import FILE as CONFUSION_FILE
from imbtui.engine.confusion import ConfusionLog
from imbtui.engine.context import MethodContext, ProbeContext
from imbtui.engine.evaluate import evaluate
from imbtui.engine.fit import fit
from imbtui.engine.log import MetricsLog, row_position
from imbtui.engine.method import Method, Probe
from imbtui.engine.objective import Objective
from imbtui.engine.ranks import sum_over_ranks
from imbtui.engine.seeding import reseed, seed_of
from imbtui.engine.tick import Tick
from imbtui.metrics import lower_is_better, read_rows
from imbtui.option_types import Every
from imbtui.paths import RunPaths
from imbtui.recipe import Recipe

STOP_CHECK_STEPS = 16


@dataclass(frozen=True)
class Assembly:
    """What a recipe describes, built: a run has one, and one more for each replicate.

    Attributes:
        objective: what is minimised.
        context: what its methods were set up with.
        for_probes: what probes are set up with.
        data: batches by split name.
    """

    objective: Objective
    context: MethodContext
    for_probes: ProbeContext
    data: dict[str, Batches]


class Run:
    """A run under way.

    Args:
        recipe: what to do.
        paths: the run's folder.
        accelerator: processes, devices and precision.
        assembly: objective, context and data.
        assemble: builds another recipe that differs in its seeds alone.
        probes: by recipe name, with their interval.
        log: rank 0's metrics log; None on other ranks.
        checkpoints: the run's checkpoints.
        stop_flag: a list that a signal handler fills.
    """

    def __init__(
        self,
        *,
        recipe: Recipe,
        paths: RunPaths,
        accelerator: Accelerator,
        assembly: Assembly,
        assemble: Callable[[Recipe], Assembly],
        probes: list[tuple[str, Every, Probe]],
        log: MetricsLog | None,
        checkpoints: Checkpoints,
        stop_flag: list[int],
    ) -> None:
        self.recipe = recipe
        self.paths = paths
        self.accelerator = accelerator
        self.assembly = assembly
        self.objective = assembly.objective
        self.context = assembly.context
        self.data = assembly.data
        self._assemble = assemble
        self.probes = probes
        self._preparing = [(every, p) for _, every, p in probes if type(p).prepare is not Probe.prepare]
        self._following = [p for _, _, p in probes if type(p).follow is not Probe.follow]
        self.log = log
        self.checkpoints = checkpoints
        self._confusion = ConfusionLog()
        self._stop_flag = stop_flag
        self._reached = False
        self._fresh_scaler = {} if accelerator.scaler is None else accelerator.scaler.state_dict()
        self.steps_per_epoch = self.data["train"].steps_per_epoch
        self.steps = recipe.train.length(self.steps_per_epoch)
        """Steps of a stage of the recipe's length."""

    @property
    def planner(self) -> Method | None:
        """The method that plans the stages, if one does."""
        for method in self.objective.methods:
            assert isinstance(method, Method)
            if method.plan is not None:
                return method
        return None

    # What a plan calls

    def fit(self, stage: str, *, start: int = 0, stop: int | None = None, length: int | None = None) -> None:
        """Train the objective through one stage; returns at once, end state loaded, if it had finished.

        See `engine.fit.fit` for the points in time.
        """
        self._reached = False
        fit(self, self.objective, stage, start=start, stop=stop, length=length)

    def replicate(self, number: int) -> Assembly:
        """Build inner repetition `number` of `train.replicates`: the recipe with seeds of its own.

        Its seed is that of the run times the number of replicates, plus `number`; an integer `split_seed`
        changes likewise. So the replicates of runs with seeds 0, 1, ... have the seeds 0, 1, 2, ...
        """
        count = self.recipe.train.replicates
        seed, split = self.recipe.seed, self.recipe.split_seed
        update = {
            "seeds": [seed * count + number],
            "split_seed": split if split == "seed" else split * count + number,
        }
        return self._assemble(self.recipe.model_copy(update=update))

    def finished(self, stage: str) -> bool:
        """Whether an earlier attempt finished the stage."""
        return self.checkpoints.finished(stage) is not None

    def note(self, stage: str, step: int, values: Mapping[str, Any]) -> None:
        """Log values that belong to a stage as a whole, by full name such as `lottery/density`."""
        if self.log is not None:
            epoch = step / self.steps_per_epoch
            self.log.write(stage, step, int(epoch) if epoch.is_integer() else round(epoch, 4), values)

    def rows(self, stage: str) -> list[dict[str, Any]]:
        """Return the rows of a stage so far, as rank 0 logged them; none on other ranks."""
        if not self.is_main:
            return []
        return [row for row in read_rows(self.paths.metrics)[0] if row.get("stage") == stage]

    def keep(self, name: str, content: bytes) -> None:
        """Store an artefact of the run; rank 0 does, the others only call it."""
        if self.is_main:
            store_artifact(self.paths, name, content)

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0, the one writer."""
        return self.log is not None

    # What the loop calls

    def clock(self, stage: str, first: int, stop: int, length: int) -> Iterator[tuple[Batch, Tick]]:
        """Yield batches with their ticks from step `first` until before `stop`, of `length` in all."""
        step = first
        while step < stop:
            t = Tick(stage, step, self.steps_per_epoch, length)
            epoch = self.data["train"].epoch(
                t.epoch, skip=step % self.steps_per_epoch, weights=self._sampling_weights(t)
            )
            for batch in epoch:
                t = Tick(stage, step, self.steps_per_epoch, length)
                self.reseed(t)
                yield batch, t
                step += 1
                if step >= stop:
                    break

    def reseed(self, t: Tick) -> None:
        """Let what draws without a generator of its own draw what belongs to this step."""
        seed = seed_of(self.recipe.seed, "step", t.step, self.accelerator.process_index)
        reseed(seed, self.context.device)

    def _sampling_weights(self, t: Tick) -> torch.Tensor | None:
        product: torch.Tensor | None = None
        for method in self.objective.filling["sampling_weights"]:
            weights = method.sampling_weights(self.context.examples["train"], t)
            if weights is not None:
                product = weights if product is None else product * weights
        return product

    def prepare(
        self, objective: Objective, optimizer: torch.optim.Optimizer
    ) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Wrap for several processes or gradient scaling; one plain process trains unwrapped (and faster)."""
        if self.accelerator.num_processes == 1 and self.accelerator.scaler is None:
            return objective, optimizer
        # It keeps what it prepared; of a plan with many stages that would be every stage's optimizer.
        self.accelerator.free_memory()
        net, optimizer = self.accelerator.prepare(objective, optimizer)
        return net, optimizer

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Return the recipe's precision as a context."""
        if self.accelerator.native_amp:
            return self.accelerator.autocast()
        return contextlib.nullcontext()

    def backward(self, loss: torch.Tensor) -> None:
        """Compute gradients, scaled where the precision needs it."""
        if self.accelerator.scaler is None:
            loss.backward()
        else:
            self.accelerator.backward(loss)

    def prepare_probes(self, objective: Objective, batch: Batch, t: Tick) -> None:
        """Let the probes that compare before and after look at the model before their step."""
        for every, probe in self._preparing:
            if t.due(every):
                probe.prepare(objective, batch, t)

    def measure(self, objective: Objective, batch: Batch, logs: Mapping[str, torch.Tensor], t: Tick) -> None:
        """Show the step to the probes and log those that are due, while its gradients are there."""
        for probe in self._following:
            probe.follow(objective, logs, t)
        due = [(name, probe) for name, every, probe in self.probes if t.due(every)]
        if due:
            make_ready(objective)
        for name, probe in due:
            values = probe.measure(objective, batch, t)
            if values:
                self.write(t, {f"{name}/{key}": value for key, value in values.items()})

    def conclude(self, t: Tick) -> None:
        """Log what probes conclude from the rows of the stage that ends with the step `t`."""
        concluding = [(n, p) for n, _, p in self.probes if type(p).conclude is not Probe.conclude]
        if not concluding or not self.is_main:
            return
        rows = self.rows(t.stage)
        for name, probe in concluding:
            values = probe.conclude(rows)
            if values:
                self.write(t, {f"{name}/{key}": value for key, value in values.items()})

    def evaluation_due(self, t: Tick) -> bool:
        """Whether all splits are evaluated after this step."""
        return t.due(self.recipe.train.evaluate_every)

    def evaluate(self, t: Tick, running: Mapping[str, Any] | None = None) -> None:
        """Evaluate all splits and log one row."""
        row: dict[str, Any] = dict(running or {})
        values, matrices = self.scores(self.assembly, t)
        row |= values
        self.write(t, row)
        if self.is_main:
            self._keep_confusion(self._confusion.take(t, matrices))
        until = self.recipe.train.until
        if until is not None and until.metric in row:
            falls = lower_is_better(until.metric)
            self._reached = (
                row[until.metric] <= until.reaches if falls else row[until.metric] >= until.reaches
            )
        if (
            self.log is not None
            and self.log.best.get("step") == t.step + 1
            and self.log.best["stage"] == t.stage
        ):
            self.checkpoints.save_best(self.objective, self.log.best)

    def _keep_confusion(self, content: bytes | None) -> None:
        if content is not None:
            self.keep(CONFUSION_FILE, content)

    def scores(self, assembly: Assembly, t: Tick) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Evaluate all splits of the run or of a replicate.

        Returns their metrics as `<split>/<metric>`, and the confusion matrix of each split.
        """
        row: dict[str, Any] = {}
        matrices: dict[str, torch.Tensor] = {}
        make_ready(assembly.objective)
        for split, batches in assembly.data.items():
            values, matrices[split] = evaluate(
                assembly.objective,
                batches,
                t,
                class_counts=assembly.context.class_counts,
                shots=self.recipe.train.shots,
            )
            row |= {f"{split}/{name}": value for name, value in values.items()}
        return row, matrices

    def target_reached(self) -> bool:
        """Whether `train.until` has been reached."""
        return self._reached

    def log_due(self) -> bool:
        """Whether a row of running values should be written now, beside those of evaluations."""
        return self.log is not None and self.log.is_due()

    def write(self, t: Tick, values: Mapping[str, Any]) -> None:
        """Log one row after the step `t`."""
        if self.log is not None:
            self.log.write(t.stage, *row_position(t), values)

    def checkpoint_due(self, t: Tick) -> bool:
        """Whether a checkpoint is written after this step; the end of a stage writes its own."""
        return not t.last and self.checkpoints.due(t)

    def save(self, t: Tick, objective: Objective, optimizer: Stateful) -> None:
        """Write the checkpoint of the stage under way."""
        scaler = self.accelerator.scaler
        self.checkpoints.save(
            t,
            objective,
            optimizer,
            self.log,
            scaler={} if scaler is None else scaler.state_dict(),
            probes={name: probe.state() for name, _, probe in self.probes},
        )

    def stop_requested(self, t: Tick) -> bool:
        """Whether to stop after this step, before the stage's end; all processes answer alike."""
        if t.last:
            return False
        if self.accelerator.num_processes == 1:
            return bool(self._stop_flag)
        if t.step % STOP_CHECK_STEPS:
            return False
        asked = torch.tensor(len(self._stop_flag), device=self.context.device)
        sum_over_ranks(asked)
        return bool(asked.item())

    def load_finished(self, stage: str, objective: Objective) -> bool:
        """Load the end of a stage if it had finished."""
        state = self.checkpoints.finished(stage)
        if state is None:
            return False
        objective.load_state_dict(state["objective"])
        if self.log is not None:
            self.log.replay(state["log"])
        return True

    def load_under_way(self, stage: str, objective: Objective, optimizer: Stateful, start: int) -> int:
        """Load the checkpoint of the stage under way and return the step to go on with."""
        state = self.checkpoints.under_way(stage)
        if self.log is not None:
            self.log.go_on(None if state is None else state["log"])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(self._fresh_scaler if state is None else state["scaler"])
        followed = {} if state is None else state.get("probes", {})
        for name, _, probe in self.probes:
            probe.restore(followed.get(name, {}))
        if state is None:
            return start
        objective.load_state_dict(state["objective"])
        optimizer.load_state_dict(state["optimizer"])
        return state["step"]

    def close(self) -> None:
        """End the log after the last stage."""
        if self.log is not None:
            self.log.go_on()
            self.log.writer.sync()

    def finish_stage(self, stage: str, t: Tick, objective: Objective) -> None:
        """Write the end state of a stage."""
        self._keep_confusion(self._confusion.rest())
        self.checkpoints.finish(stage, t.step + 1, objective, self.log)
        self.accelerator.wait_for_everyone()


def store_artifact(run_paths: RunPaths, name: str, content: bytes) -> None:
    """Store an artefact of a run by its file name."""
    run_paths.artifacts.mkdir(mode=files.PRIVATE_FOLDER, exist_ok=True)
    files.write_atomic(run_paths.artifacts / name, content, durable=False)


@torch.no_grad()
def make_ready(objective: Objective) -> None:
    """Let methods bring up to the present weights what evaluation needs; all processes call it."""
    for method in objective.methods:
        assert isinstance(method, Method)
        method.before_evaluation()
