"""GPU memory as the worker deals it out: declared or learned, never more than there is."""

from __future__ import annotations

from typing import Any

import pytest

from imbtui import queue, worker

Box = Any  # tests/worker/conftest.py
LAUNCH = {"gpus": None, "pack": 1}


def whys(box: Box) -> dict[str, str]:
    return {row["id"]: row["why"] for row in queue.view(box.runs)}


def gpus(box: Box) -> list[int]:
    """The GPUs of the runs under way."""
    return sorted(index for row in queue.view(box.runs) if not row["position"] for index in row["gpus"])


def test_twenty_runs_share_four_gpus_as_they_declare(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three runs of 40 GiB fit on a GPU of 141; the third GPU is somebody else's."""
    monkeypatch.setenv("STANDIN_GPUS", "0,0,20,0")
    queue.set_slots(box.runs, gpu_slots=8)
    runs = [box.submit(steps=100_000, submit={**LAUNCH, "memory": 40}) for _ in range(20)]
    phrase = "waits for 40.0 GiB of GPU memory: a GPU has at most 21.0 GiB free"
    full = [0, 0, 0, 1, 1, 1, 3, 3, 3]
    worker.ensure(box.runs)
    box.wait(lambda: box.states(*runs) == ["running"] * 9 + ["queued"] * 11, 60)
    box.wait(lambda: set(whys(box).values()) == {"", phrase})
    assert gpus(box) == full
    box.kill_worker()  # the next one knows what was promised
    worker.ensure(box.runs)
    worker.request_stop(box.runs, runs[4].id)
    box.wait(lambda: box.states(runs[4], *runs[9:11]) == ["stopped", "running", "queued"], 60)
    box.wait(lambda: set(whys(box).values()) == {"", phrase})
    assert gpus(box) == full
    for run in runs[5:]:
        worker.request_stop(box.runs, run.id)


def test_what_a_run_took_is_learned_for_its_like(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_GPUS", "0")
    queue.set_slots(box.runs, gpu_slots=2)
    first = box.submit(took=90, submit={**LAUNCH, "settings": "a"})
    worker.ensure(box.runs)
    box.wait(lambda: box.state(first) == "finished" and not worker.held(box.runs))
    alike = [box.submit(steps=100_000, submit={**LAUNCH, "settings": "a"}) for _ in range(2)]
    worker.ensure(box.runs)
    box.wait(lambda: box.state(alike[0]) == "running")
    # Beside what torch counts there is what the driver takes.
    phrase = "waits for 91.0 GiB of GPU memory: GPU 0 has 50.0 GiB free"
    box.wait(lambda: whys(box)[alike[1].id] == phrase)
    worker.request_stop(box.runs, alike[0].id)
    box.wait(lambda: box.state(alike[1]) == "running")
    # Of runs of other settings nothing is known: they get their share, and 50 GiB are less than that.
    other = box.submit(steps=100_000, submit={**LAUNCH, "settings": "b"})
    declares = box.submit(steps=100_000, submit={**LAUNCH, "settings": "a", "memory": 50, "priority": 1})
    worker.ensure(box.runs)
    box.wait(lambda: box.states(alike[1], declares) == ["running"] * 2)
    box.wait(lambda: whys(box)[other.id] == "waits for GPU 0: another run uses it")
    worker.request_stop(box.runs, declares.id)
    box.wait(lambda: whys(box)[other.id] == "waits for 70.5 GiB of GPU memory: GPU 0 has 50.0 GiB free")
