"""What the training loop asks of the run, or of the runs, that it trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import nn

from imbtui.engine.batch import Batch
from imbtui.engine.tick import Tick
from imbtui.recipe import Recipe


class UnderWay(Protocol):
    """One run (`engine.run.Run`), or several that train together (`engine.fused_run.FusedRun`).

    `objective` is everywhere what the loop was given to minimise, `t` the step just done or about to be.
    """

    steps: int
    steps_per_epoch: int

    @property
    def recipe(self) -> Recipe: ...

    def load_finished(self, stage: str, objective: Any) -> bool: ...

    def load_under_way(
        self, stage: str, objective: Any, optimizer: torch.optim.Optimizer, start: int
    ) -> int: ...

    def prepare(
        self, objective: Any, optimizer: torch.optim.Optimizer
    ) -> tuple[nn.Module, torch.optim.Optimizer]: ...

    def clock(self, stage: str, first: int, stop: int, length: int) -> Iterator[tuple[Batch, Tick]]: ...

    def autocast(self) -> AbstractContextManager[Any]: ...

    def backward(self, loss: torch.Tensor) -> None: ...

    def prepare_probes(self, objective: Any, batch: Batch, t: Tick) -> None: ...

    def measure(self, objective: Any, batch: Batch, logs: Mapping[str, torch.Tensor], t: Tick) -> None: ...

    def evaluation_due(self, t: Tick) -> bool: ...

    def evaluate(self, t: Tick, running: Mapping[str, torch.Tensor] | None = None) -> None: ...

    def log_due(self) -> bool: ...

    def write(self, t: Tick, values: Mapping[str, torch.Tensor]) -> None: ...

    def checkpoint_due(self, t: Tick) -> bool: ...

    def save(self, t: Tick, objective: Any, optimizer: torch.optim.Optimizer) -> None: ...

    def stop_requested(self, t: Tick) -> bool: ...

    def target_reached(self) -> bool: ...

    def conclude(self, t: Tick) -> None: ...

    def finish_stage(self, stage: str, t: Tick, objective: Any) -> None: ...
