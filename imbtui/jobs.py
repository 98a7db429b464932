"""What is known of a scheduler's job: which it is, where it stands, and what that means for its runs.

The number of a job alone says little: a scheduler that crashed issues the same numbers again. A job is
therefore told by its number and its name, which ends with the id of the launch that it carries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imbtui import shapes
from imbtui.files import printable

GONE = "GONE"  # not one of SLURM's states: it no longer knows the job
WAITING = frozenset(
    {"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
)  # fmt: skip
OVER = frozenset(
    {
        "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY",
        "PREEMPTED", "REVOKED", "TIMEOUT", GONE,
    }
)  # fmt: skip
# What the end of a job says of the runs in it, where it says more than their logs do.
_ENDS = {
    "BOOT_FAIL": "its node failed to boot",
    "CANCELLED": "its SLURM job {id} was cancelled",
    "DEADLINE": "the deadline of its SLURM job {id} passed",
    "NODE_FAIL": "its node {nodes} failed",
    "OUT_OF_MEMORY": "out of memory (killed by SLURM, job {id})",
    "PREEMPTED": "its SLURM job {id} was preempted and not queued again",
    "REVOKED": "its SLURM job {id} was revoked",
    "TIMEOUT": "the time limit of its SLURM job {id} was reached",
    GONE: "SLURM knows nothing of its job {id} any more",
}


@dataclass(frozen=True)
class Job:
    """A job of SLURM as it was last heard of.

    Attributes:
        id: its number.
        name: its name; both together tell it apart.
        state: SLURM's word for where it stands, such as PENDING.
        reason: SLURM's word for why it stands there, such as Priority.
        nodes: where it runs or ran.
        restarts: how often SLURM has put it back into its queue.
    """

    id: str
    name: str
    state: str = "PENDING"
    reason: str = ""
    nodes: str = ""
    restarts: int = 0

    @classmethod
    def from_json(cls, document: Any) -> Job | None:
        """Return the job that the key `job` of a document holds, or None when it holds none."""
        known = document.get("job") if isinstance(document, Mapping) else None
        job = shapes.cleaned(known, shapes.JOB)
        if "id" not in job or "name" not in job:
            return None
        return cls(**{key: job[key] for key in shapes.JOB if key in job})

    def to_json(self) -> dict[str, Any]:
        """Return the job under the key `job`."""
        return {"job": {key: getattr(self, key) for key in shapes.JOB}}

    @property
    def waiting(self) -> bool:
        """Whether it has no node yet, or none any more and will get one again."""
        return self.state in WAITING

    @property
    def over(self) -> bool:
        """Whether it has ended for good."""
        return self.state in OVER

    @property
    def cancelled(self) -> bool:
        """Whether somebody ended it who meant to."""
        return self.state == "CANCELLED"

    @property
    def says(self) -> str:
        """Where it stands, in a phrase."""
        reason = "" if self.reason in ("", "None") else f": {printable(self.reason)}"
        if self.waiting:
            again = ", to go on from the checkpoint" if self.restarts else ""
            return f"waiting in SLURM{again}{reason}"
        if self.state == "SUSPENDED":
            return f"suspended by SLURM{reason}"
        return " ".join(part for part in (self._on(), f"(SLURM job {self.id})") if part)

    def _on(self) -> str:
        return f"on {printable(self.nodes)}" if self.nodes else ""

    @property
    def end(self) -> str:
        """Why its runs ended with it; empty where their logs know better."""
        nodes = printable(self.nodes) or "of SLURM"
        return _ENDS.get(self.state, "").format(id=self.id, nodes=nodes)
