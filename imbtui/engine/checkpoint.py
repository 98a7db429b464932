"""Checkpoints: where a stage stands, how finished stages ended, and the best epoch by validation.

| file | holds |
| --- | --- |
| last.pt | the stage under way: step, weights, optimizer, log, probes |
| stage-<name>.pt | the end of a finished stage; its presence makes `fit` skip the stage |
| best.pt | weights of the best epoch by validation |

All are replaced atomically and load with `weights_only=True`.
"""

from __future__ import annotations

import io
import time
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import torch
from torch import nn

from imbtui import files
from imbtui.engine.log import MetricsLog
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.option_types import Every

SECONDS_BETWEEN = 30.0


class Stateful(Protocol):
    """An optimizer, or one run's part of an optimizer over several runs."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any], /) -> None: ...


class Checkpoints:
    """Reads and writes the checkpoints of a run.

    Args:
        folder: the run's ckpt/ folder; made if absent.
        writes: whether this process is the one that writes (rank 0).
        device: where tensors are loaded to.
        every: interval of the recipe; None: at most every 30 seconds.
    """

    def __init__(self, folder: Path, *, writes: bool, device: torch.device, every: Every | None) -> None:
        self.folder = folder
        self.writes = writes
        # Several processes on CPUs call theirs cpu:0, which torch.load does not know.
        self.device = torch.device("cpu") if device.type == "cpu" else device
        self.every = every
        self._saved = time.monotonic()
        if writes:
            folder.mkdir(mode=files.PRIVATE_FOLDER, exist_ok=True)
            files.sweep_temporaries(folder)

    @property
    def none(self) -> bool:
        """Whether no attempt has left anything to go on from."""
        return not any(self.folder.glob("[ls]*.pt"))

    def due(self, t: Tick) -> bool:
        """Whether a checkpoint should follow this step."""
        if self.every is not None:
            return t.due(self.every)
        return time.monotonic() - self._saved >= SECONDS_BETWEEN

    def save(
        self,
        t: Tick,
        objective: nn.Module,
        optimizer: Stateful,
        log: MetricsLog | None,
        *,
        scaler: dict[str, Any],
        probes: dict[str, Any],
    ) -> None:
        """Write last.pt: `t.step + 1` steps of the stage are done.

        Args:
            t: the step.
            objective: weights and methods' state.
            optimizer: its state.
            log: where the log stands; None on processes that write nothing.
            scaler: fp16's loss scaling.
            probes: what each probe has gathered since its last measurement, by its name.
        """
        if self.writes and log is not None:
            log.writer.sync()
            self._write(
                "last.pt",
                {
                    "stage": t.stage,
                    "step": t.step + 1,
                    "objective": _state_of(objective),
                    "optimizer": optimizer.state_dict(),
                    "scaler": scaler,
                    "probes": probes,
                    "log": log.state(),
                },
            )
        self._saved = time.monotonic()

    def under_way(self, stage: str) -> dict[str, Any] | None:
        """Return last.pt if it belongs to this stage."""
        state = self._read("last.pt")
        return state if state is not None and state["stage"] == stage else None

    def finish(self, stage: str, step: int, objective: nn.Module, log: MetricsLog | None) -> None:
        """Write the end state of a stage."""
        if self.writes and log is not None:
            log.writer.sync()
            self._write(
                f"stage-{stage}.pt", {"step": step, "objective": _state_of(objective), "log": log.state()}
            )

    def finished(self, stage: str) -> dict[str, Any] | None:
        """Return the end state of a stage, or None when it has not finished."""
        return self._read(f"stage-{stage}.pt")

    def save_best(self, objective: nn.Module, best: dict[str, Any]) -> None:
        """Write best.pt."""
        if self.writes:
            self._write("best.pt", {"objective": _state_of(objective), "best": best}, durable=False)

    def best(self, stage: str) -> dict[str, Any] | None:
        """Return best.pt if it belongs to this stage: the objective at its best evaluation."""
        state = self._read("best.pt")
        return state if state is not None and state["best"]["stage"] == stage else None

    def _write(self, name: str, state: dict[str, Any], *, durable: bool = True) -> None:
        buffer = io.BytesIO()
        torch.save(state, buffer)
        files.write_atomic(self.folder / name, buffer.getvalue(), durable=durable)

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self.folder / name
        if not path.exists():
            return None
        try:
            return torch.load(path, map_location=self.device, weights_only=True)
        except (RuntimeError, EOFError, UnpicklingError) as error:
            # Damaged, or no checkpoint of ours: `weights_only` refuses what would run code.
            raise UserError(
                "this cannot be read as a checkpoint", where=str(path), hint="Without it the run begins anew."
            ) from error


def _state_of(objective: nn.Module) -> dict[str, Any]:
    """Return an objective's state; what is a slice of a tensor of several runs is saved without the rest."""
    state = objective.state_dict()
    return {name: value.clone() if _is_slice(value) else value for name, value in state.items()}


def _is_slice(value: Any) -> bool:
    """Whether it is part of a larger tensor; a method's extra state, such as an optimizer's, is no tensor."""
    if not isinstance(value, torch.Tensor):
        return False
    return value.untyped_storage().nbytes() > value.numel() * value.element_size()
