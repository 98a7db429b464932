"""The worker: one process a host and runs folder that starts queued runs and sees to their end.

It is found through its lock, started on demand and gone when idle. Killing it harms no run: trainers are
not its terminal's or its session's, and the next worker adopts them. `tick.py` is its whole day.
"""

from __future__ import annotations

from imbtui.worker.lock import ensure, held, status, stop_worker
from imbtui.worker.requests import give_up, request_stop, resume

__all__ = ["ensure", "give_up", "held", "request_stop", "resume", "status", "stop_worker"]
