"""The process of a job on its node with the stand-in launcher: `python -m standin_job ORDER_FILE`."""

from __future__ import annotations

import os
import sys

from standin_worker import line

from imbtui.launch import job

if __name__ == "__main__":
    job.EVERY, job.LOOK_FOR_OTHERS, job.LAST_WORD = 0.05, 0.2, 1.0
    if "STANDIN_ACCELERATE" not in os.environ:
        job.command = lambda order, port=None: line(order)  # type: ignore[assignment]
    sys.exit(job.main(sys.argv[1:]))
