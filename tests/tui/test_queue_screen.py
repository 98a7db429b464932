"""What runs and what waits: devices, reasons, turns, slots, pause and stop."""

from __future__ import annotations

from typing import Any

import pytest

from imbtui import files, queue, store
from imbtui.jobs import Job
from imbtui.paths import RunsPaths
from imbtui.processes import Identity
from imbtui.tui import actions
from imbtui.tui.dialogs.confirm import Confirm
from imbtui.tui.machine import GpuSeen, Machine, MachineReader
from imbtui.tui.screens.new_run import NewRun
from imbtui.tui.screens.queue import Queue
from imbtui.tui.screens.run import Run
from imbtui.tui.screens.runs import Runs
from imbtui.tui.widgets.queue_table import QueueTable
from imbtui.worker import states

GIB = 1 << 30
SIZES = [(80, 24), (200, 50)]


async def open_queue(app: Any, pilot: Any, wait: Any) -> QueueTable:
    await pilot.press("Q")
    assert isinstance(app.screen, Queue)
    table = app.screen.query_one(QueueTable)
    await wait(pilot, lambda: len(table.rows) == 5 and app.live.machine is not None)
    return table


def turns(table: QueueTable) -> list[str]:
    return [row["id"][0] for row in table.rows if row["position"]]


@pytest.mark.parametrize("size", SIZES)
async def test_runs_under_way_come_first_and_each_waiting_one_says_why(
    waiting: RunsPaths, opened: Any, wait: Any, shown: Any, size: tuple[int, int]
) -> None:
    async with opened(waiting, size) as (app, pilot):
        table = await open_queue(app, pilot, wait)
        assert [row["position"] for row in table.rows] == [None, 1, 2, 3, 4]
        await wait(pilot, lambda: "62 %" in shown(pilot) and "slots:" in shown(pilot))
        text = shown(pilot)
        assert "epoch 50 of 80" in text
        assert text.count("no worker runs: R starts it") == 4
        assert "CPU" in text and "CE" in text


async def test_capital_j_and_k_change_the_turn_and_the_order_is_written(
    waiting: RunsPaths, opened: Any, wait: Any
) -> None:
    async with opened(waiting) as (app, pilot):
        table = await open_queue(app, pilot, wait)
        await pilot.press("down", "J", "J")
        assert turns(table) == ["b", "c", "a", "d"], "on the screen at once"
        assert table.row["id"].startswith("a"), "the cursor stays on the run"
        await wait(pilot, lambda: [r["id"][0] for r in queue.view(waiting)][1:] == ["b", "c", "a", "d"])
        await pilot.press("shift+up", "K", "K", "K")
        assert turns(table) == ["a", "b", "c", "d"], "the first cannot go before the first"
        await wait(pilot, lambda: [r["id"][0] for r in queue.view(waiting)][1:] == ["a", "b", "c", "d"])
        await pilot.press("shift+down")
        await wait(pilot, lambda: [r["id"][0] for r in queue.view(waiting)][1:] == ["b", "a", "c", "d"])


async def test_a_run_under_way_has_no_turn(waiting: RunsPaths, opened: Any, wait: Any) -> None:
    async with opened(waiting) as (app, pilot):
        table = await open_queue(app, pilot, wait)
        await pilot.press("J")
        assert turns(table) == ["a", "b", "c", "d"]
        assert any("Only a run that waits" in n.message for n in app._notifications)


async def test_a_run_that_waits_in_slurm_has_no_turn_here(
    waiting: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    first = next(row["id"] for row in queue.view(waiting) if row["position"] == 1)
    job = Job("7", f"{first}@ab", reason="Priority")
    states.write_running(waiting.run(first), attempt=1, launch="ab", launcher=job, executor="slurm")
    async with opened(waiting) as (app, pilot):
        table = await open_queue(app, pilot, wait)
        assert turns(table) == ["b", "c", "d"] and table.rows[1]["id"] == first
        await wait(pilot, lambda: shown(pilot).count("no worker runs: R starts it") == 4)
        assert table.rows[1]["why"].endswith("; last heard: waiting in SLURM: Priority")
        await pilot.press("down", "J")
        assert turns(table) == ["b", "c", "d"]
        assert any("SLURM has this run" in n.message for n in app._notifications)


async def test_p_pauses_the_queue_and_lets_it_go_on(
    waiting: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(waiting) as (app, pilot):
        await open_queue(app, pilot, wait)
        await pilot.press("p")
        await wait(pilot, lambda: queue.settings(waiting).paused)
        await wait(pilot, lambda: "the queue is paused; p goes on" in shown(pilot))
        await wait(pilot, lambda: app.live.machine.paused and "queued · paused" in shown(pilot))
        await pilot.press("p")
        await wait(pilot, lambda: not queue.settings(waiting).paused)
        await wait(pilot, lambda: "the queue is paused;" not in shown(pilot))


async def test_plus_and_minus_change_the_cpus_slots_where_there_is_no_gpu(
    waiting: RunsPaths, opened: Any, wait: Any, shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MachineReader, "read", lambda self, running: Machine(2, 0.5))
    queue.set_slots(waiting, 2)
    async with opened(waiting) as (app, pilot):
        await open_queue(app, pilot, wait)
        await pilot.press("plus", "plus", "right_square_bracket")
        assert "slots: 5 on the CPU" in shown(pilot)
        await wait(pilot, lambda: queue.settings(waiting).slots == 5)
        await pilot.press(*["minus"] * 4, "left_square_bracket")
        await wait(pilot, lambda: queue.settings(waiting).slots == 1)
        assert any("At least one" in n.message for n in app._notifications)


@pytest.mark.parametrize("size", SIZES)
async def test_each_gpu_says_how_busy_it_is_and_with_what(
    waiting: RunsPaths, opened: Any, wait: Any, shown: Any, size: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus = (
        GpuSeen(0, "NVIDIA H100", 0.4, 12 * GIB, 80 * GIB, ours=("running",)),
        GpuSeen(1, "NVIDIA H100", 1.0, 3 * GIB, 80 * GIB, others=("maria",)),
        GpuSeen(2, "NVIDIA H100", None, 0, 80 * GIB),
    )
    monkeypatch.setattr(MachineReader, "read", lambda self, running: Machine(8, 0.1, gpus))
    from imbtui import files

    run = waiting.run("running-ce-s0")
    files.write_json(run.state, files.read_json(run.state) | {"gpus": [0]})
    async with opened(waiting, size) as (app, pilot):
        await open_queue(app, pilot, wait)
        await wait(pilot, lambda: "GPU 0" in shown(pilot))
        lines = shown(pilot).splitlines()
        assert "40 %" in lines[1] and "12.0 of 80 GiB" in lines[1] and "running" in lines[1]
        assert "100 %" in lines[2] and "maria (not ours)" in lines[2]
        assert "NVIDIA H100" in lines[3] and "–" in lines[3]
        assert "slots: 1 on each GPU" in lines[4]
        await pilot.press("plus")
        await wait(pilot, lambda: queue.settings(waiting).gpu_slots == 2)
        assert "slots: 2 on each GPU" in shown(pilot)


async def test_stop_asks_and_takes_all_marked(
    waiting: RunsPaths, opened: Any, wait: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imbtui import worker

    asked: list[str] = []
    monkeypatch.setattr(worker, "request_stop", lambda runs, run_id: asked.append(run_id[0]))
    async with opened(waiting) as (app, pilot):
        table = await open_queue(app, pilot, wait)
        await pilot.press("down", "space", "space", "X")
        assert isinstance(app.screen, Confirm)
        await pilot.press("n")
        assert not asked and len(table.marks) == 2
        await pilot.press("X", "y")
        await wait(pilot, lambda: asked == ["a", "b"])
        assert not table.marks


async def test_enter_and_double_click_open_a_run_and_escape_returns(
    waiting: RunsPaths, opened: Any, wait: Any
) -> None:
    async with opened(waiting) as (app, pilot):
        await open_queue(app, pilot, wait)
        await pilot.press("down", "enter")
        assert isinstance(app.screen, Run) and app.screen.run_id == "aaa-ldam-s0"
        await pilot.press("escape")
        await pilot.click(QueueTable, offset=(10, 3), times=2)
        assert isinstance(app.screen, Run) and app.screen.run_id == "bbb-ldam-s1"
        await pilot.press("escape", "escape")
        assert isinstance(app.screen, Runs)


async def test_the_key_that_leads_here_leads_back_here(waiting: RunsPaths, opened: Any, wait: Any) -> None:
    async with opened(waiting) as (app, pilot):
        await open_queue(app, pilot, wait)
        await pilot.press("Q", "P", "Q")
        assert isinstance(app.screen, Queue)
        await pilot.press("escape")
        assert isinstance(app.screen, Runs)


async def test_a_run_that_ends_leaves_and_an_empty_queue_says_what_to_do(
    runs: RunsPaths, make_run: Any, opened: Any, wait: Any, shown: Any
) -> None:
    from imbtui import files

    run = make_run("running-ce-s0", "running", arm="CE")
    async with opened(runs) as (app, pilot):
        await pilot.press("Q")
        table = app.screen.query_one(QueueTable)
        await wait(pilot, lambda: len(table.rows) == 1)
        result = {"attempt": 1, "state": "finished", "reason": "", "metrics": {}, "best": {}}
        files.write_json(run.result, result)
        await wait(pilot, lambda: "Nothing runs and nothing waits" in shown(pilot))
        await pilot.press("n")
        assert isinstance(app.screen, NewRun)


async def test_r_starts_a_worker(
    waiting: RunsPaths, opened: Any, wait: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imbtui import worker

    started: list[RunsPaths] = []
    monkeypatch.setattr(worker, "ensure", started.append)
    async with opened(waiting) as (app, pilot):
        await open_queue(app, pilot, wait)
        await pilot.press("R")
        await wait(pilot, lambda: len(started) == 1)


def test_moving_a_run_that_has_started_meanwhile_says_so(waiting: RunsPaths) -> None:
    ((sentence, severity),) = actions.move(waiting, "running-ce-s0", 1)
    assert "cannot be moved: it is running" in sentence and severity == "warning"


async def test_runs_and_queue_give_a_waiting_run_the_same_reason(
    waiting: RunsPaths, opened: Any, wait: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried = waiting.run("bbb-ldam-s1")
    me = Identity.mine().to_json()
    stamp = {"format": 1, "attempt": 1, "launch": "x", "state": "running", "gpus": []}
    files.write_json(carried.state, {**stamp, **me}, durable=False)
    assert store.read(carried).reason == "starting", "the folder knows only of the launch"
    said = {"waiting": {carried.id: "in one launch after running-ce-s0"}}
    monkeypatch.setattr("imbtui.worker.lock.held", lambda runs: True)
    monkeypatch.setattr("imbtui.worker.lock.report", lambda runs: said)
    async with opened(waiting) as (app, pilot):
        await wait(
            pilot, lambda: [row["why"] for row in app.live.rows if row["state"] == "queued" and "why" in row]
        )
        on_runs = {row["id"]: row["why"] for row in app.live.rows if row["state"] == "queued"}
        table = await open_queue(app, pilot, wait)
        assert on_runs == {row["id"]: row["why"] for row in table.rows if row["position"]}
        assert on_runs.pop(carried.id) == "in one launch after running-ce-s0"
        assert set(on_runs.values()) == {"just submitted"}
