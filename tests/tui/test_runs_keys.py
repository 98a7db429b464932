"""Home: grouping, order, columns, tags, notes, undo, copies, GPUs and what is remembered."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from imbtui import store
from imbtui.gpus import Gpu, GpuProcess
from imbtui.paths import RunsPaths
from imbtui.processes import Identity
from imbtui.tui.dialogs.ask_text import AskText
from imbtui.tui.dialogs.choose import Choose
from imbtui.tui.widgets.preview import Preview
from imbtui.tui.widgets.runs_table import RunsTable


def line_with(text: str, words: str) -> str:
    return next(line for line in text.splitlines() if words in line)


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_v_groups_by_study_with_mean_and_sd_over_seeds(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any, size: tuple[int, int]
) -> None:
    async with opened(gallery, size) as (app, pilot):
        table = app.screen.query_one(RunsTable)
        await pilot.press("v")
        await wait(pilot, lambda: "n=6" in shown(pilot))
        arm = line_with(shown(pilot), "▸ RW ")
        values = [0.7, 0.72, 0.74, 0.76, 0.78, 0.8]  # what the six seeds reach, before the learning curve
        assert re.search(r"0\.\d{4} ±0\.\d{4}", arm)
        mean, sd = (float(x) for x in re.search(r"(0\.\d{4}) ±(0\.\d{4})", arm).groups())  # type: ignore[union-attr]
        assert mean == pytest.approx(sum(values) / 6, abs=0.02) and sd == pytest.approx(0.037, abs=0.004)
        assert "n=1" in line_with(shown(pilot), "▸ CE")  # only one of its seeds finished
        heading = line_with(shown(pilot), "▾ quickstart")
        for words in ("1 queued", "1 running", "3 finished"):
            assert words in heading
        await pilot.press("down")
        assert table.group.label == "DRW" and len(table.chosen) == 2
        await pilot.press("enter")
        assert [row["id"][:6] for row in table.rows[3:5]] == ["fdrwaa", "fdrwab"]
        await pilot.press("down", "left")
        assert table.group.label == "DRW"  # from a run to its group
        await pilot.press("left")
        assert not table.group.opened
        await pilot.press("space")
        assert table.marks == {"fdrwaa-drw-s0", "fdrwab-drw-s1"}
        await pilot.press("v")
        assert len(table.rows) == 14


async def test_grouping_leaves_the_cursor_where_the_run_went(gallery: RunsPaths, opened: Any) -> None:
    async with opened(gallery) as (app, pilot):
        table = app.screen.query_one(RunsTable)
        table.select("fdrwab-drw-s1")
        await pilot.press("v")
        assert table.group is not None and table.group.label == "DRW"
        await pilot.press("enter", "down", "down")
        assert table.run is not None and table.run["id"].startswith("fdrwa")


async def test_groups_are_sorted_by_their_means(gallery: RunsPaths, opened: Any) -> None:
    async with opened(gallery) as (app, pilot):
        table = app.screen.query_one(RunsTable)
        await pilot.press("v")
        table.sort_by("last", descending=True)
        labels = [row["group"].label for row in table.rows]
        assert labels[:4] == ["quickstart", "DRW", "CE", "LDAM-DRW"]  # nothing of the last one finished


async def test_a_group_s_preview_draws_its_seeds(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(gallery, (200, 50)) as (_, pilot):
        await pilot.press("v", "down", "down")
        await wait(pilot, lambda: "⠤⠤⠤⠤ seed 0" in shown(pilot) and "⠤⠄⠠⠤ seed 1" in shown(pilot))


async def test_o_asks_for_the_order_and_capital_c_for_columns(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(gallery, (110, 24)) as (app, pilot):
        table = app.screen.query_one(RunsTable)
        await pilot.press("o")
        assert isinstance(app.screen, Choose)
        await pilot.press(*"bal", "enter")
        await wait(pilot, lambda: "bal.acc▾" in shown(pilot))
        assert table.sort_key == "last" and table.descending
        await pilot.press("C", *"study", "enter")
        await wait(pilot, lambda: " study " not in shown(pilot).splitlines()[1])
        await pilot.press("C", *"study", "enter")
        await wait(pilot, lambda: " study " in shown(pilot).splitlines()[1])


async def test_the_table_tells_main_knobs_and_device_where_there_is_room(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(gallery, (200, 50)) as (_, pilot):
        await pilot.pause()
        assert "main knobs" in shown(pilot) and "device" in shown(pilot)
        line = line_with(shown(pilot), "62 %")
        assert "ldam · digits · ratio 100" in line and " CPU " in line


async def test_knobs_are_filtered_by_without_reading_recipes(
    gallery: RunsPaths, opened: Any, wait: Any
) -> None:
    for run_id in store.list_ids(gallery):
        gallery.run(run_id).recipe.unlink()
    async with opened(gallery) as (app, pilot):
        table = app.screen.query_one(RunsTable)
        await pilot.press("slash", *"loss", "space", *"==", "space", *"cross_entropy", "enter")
        assert {row["id"][:6] for row in table.rows} == {"fdrwaa", "fceaaa"}


async def test_t_tags_what_is_marked(gallery: RunsPaths, opened: Any, wait: Any, shown: Any) -> None:
    async with opened(gallery) as (app, pilot):
        await pilot.press("down", "down", "space", "space", "t")
        assert isinstance(app.screen, AskText)
        await pilot.press(*"bad,tag", "enter")
        await wait(pilot, lambda: '"bad,tag" is not a tag' in shown(pilot))
        await pilot.press(*["backspace"] * 7, *"+paper", "space", *"-baseline", "enter")
        runs = [gallery.run(i) for i in ("fdrwaa-drw-s0", "fdrwab-drw-s1")]
        await wait(pilot, lambda: [store.read_notes(run)[0] for run in runs] == [("paper",)] * 2)
        table = app.screen.query_one(RunsTable)
        await pilot.press("slash", *"tag", "space", *"=", "space", *"paper")
        await wait(pilot, lambda: len(table.rows) == 2)


async def test_e_writes_a_note(gallery: RunsPaths, opened: Any, wait: Any, shown: Any) -> None:
    async with opened(gallery, (200, 50)) as (_, pilot):
        await pilot.press("down", "down", "e", *"margin", "space", *"low", "enter")
        await wait(pilot, lambda: store.read_notes(gallery.run("fdrwaa-drw-s0"))[1] == "margin low")
        await wait(pilot, lambda: "margin low" in shown(pilot))


async def test_u_brings_back_what_was_deleted(gallery: RunsPaths, opened: Any, wait: Any) -> None:
    async with opened(gallery) as (app, pilot):
        table = app.screen.query_one(RunsTable)
        await pilot.press("down", "down", "space", "space", "delete", "y")
        await wait(pilot, lambda: len(table.rows) == 12)
        assert len(list(gallery.trash.iterdir())) == 2
        await pilot.press("u")
        await wait(pilot, lambda: len(table.rows) == 14)
        assert not list(gallery.trash.iterdir())
        await pilot.press("u")
        await wait(pilot, lambda: any("Nothing was deleted" in n.message for n in app._notifications))


async def test_w_copies_the_id_and_leaves_it_in_a_file(
    gallery: RunsPaths, opened: Any, wait: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    async with opened(gallery) as (app, pilot):
        await pilot.press("down", "w")
        file = tmp_path / "cache" / "imbtui" / "clipboard.txt"
        await wait(pilot, lambda: file.is_file() and file.read_text() == "rldama-ldam-drw-s0")
        assert app.clipboard == "rldama-ldam-drw-s0"


async def test_i_shows_the_preview_in_a_small_terminal(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(gallery) as (app, pilot):
        assert not app.screen.query_one(Preview).display
        await pilot.press("down", "down", "i")
        await wait(pilot, lambda: any("⠉" < c <= "⣿" for c in shown(pilot)))


async def test_the_view_is_as_it_was_left(gallery: RunsPaths, opened: Any, wait: Any, shown: Any) -> None:
    async with opened(gallery) as (app, pilot):
        await pilot.press("slash", *"quickstart", "enter", "o", *"bal", "enter", "v")
        await wait(pilot, lambda: app.screen.query_one(RunsTable).grouped)
        app.choose_theme("imbtui-light")
    async with opened(gallery) as (app, pilot):
        table = app.screen.query_one(RunsTable)
        assert (table.grouped, table.sort_key, app.theme) == (True, "last", "imbtui-light")
        await wait(pilot, lambda: "7 of 14 runs" in shown(pilot) and "Esc clears" in shown(pilot))
        await pilot.press("escape")
        await wait(pilot, lambda: "fashion-mnist" in shown(pilot))
    gallery.view.write_text('{"theme": 3, "sort": "nonsense", "filter": "a and", "toggled": [1]}')
    async with opened(gallery) as (app, _):
        assert len(app.screen.query_one(RunsTable).rows) == 14  # what cannot be meant is left out


async def test_gpus_stand_on_top_with_who_is_on_them(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imbtui import gpus
    from imbtui.tui import machine

    gib = 1 << 30
    me = Identity.mine().to_json()["pid"]
    busy = Gpu(0, "H100", "u0", 80 * gib, 24 * gib, 0.53, (GpuProcess(me, gib), GpuProcess(1, gib)))
    idle = Gpu(1, "H100", "u1", 80 * gib, 0, 0.0)
    monkeypatch.setattr(gpus, "list_gpus", lambda: [busy, idle])
    monkeypatch.setattr(machine, "_owner", lambda pid: "alice")
    async with opened(gallery, (100, 30)) as (_, pilot):
        await wait(pilot, lambda: "GPU 1" in shown(pilot))
        first = line_with(shown(pilot), " GPU 0 ━")
        assert "53 %" in first and "24.0 of 80 GiB" in first
        assert "rldama" in first and "alice (not ours)" in first
        assert "H100" in line_with(shown(pilot), " GPU 1 ┄")
        await pilot.resize_terminal(80, 18)
        await wait(pilot, lambda: "GPU 0 53 %" in shown(pilot).splitlines()[0])
