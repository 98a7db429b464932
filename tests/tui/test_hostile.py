"""Text that would paint the terminal, odd folders, huge logs, values of the wrong kind: shown or left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.widgets import OptionList

from imbtui import files, folders, queue
from imbtui.paths import RunPaths, RunsPaths
from imbtui.report.papers import each_paper
from imbtui.tui.screens import compare, paper
from imbtui.tui.screens.queue import Queue
from imbtui.tui.screens.run import Run
from imbtui.tui.widgets.table import Table

HOSTILE = "\x1b[31mred\x1b]0;title\x07[bold]x[/bold]\x9b2J\r\n[/]🙂"
RUN = "aaaaaa-hostile-s0"


def harmless(text: str) -> bool:
    """Whether what stands on a screen is text and nothing that a terminal obeys."""
    return not [c for c in text if c < " " and c != "\n"] and "\x9b" not in text


def change(path: Path, **values: Any) -> None:
    files.write_json(path, {**json.loads(path.read_text()), **values}, durable=False)


@pytest.fixture
def hostile(runs: RunsPaths, make_run: Any) -> RunPaths:
    """A failed run whose every text is hostile, with a log of 100 MB and a torn row, among odd folders."""
    run: RunPaths = make_run(RUN, "failed", study=HOSTILE, arm=HOSTILE, reason=HOSTILE, minutes_ago=-1)
    change(run.submit, title=HOSTILE, overrides=[HOSTILE], point={HOSTILE: HOSTILE})
    change(run.env, device=HOSTILE, stages=[HOSTILE])
    folders.write_notes(run, tags=["[red]tag"], note=HOSTILE)
    with open(run.metrics, "ab") as rows:
        row = {"stage": HOSTILE, "step": 900, "epoch": 100, "time": 9, f"test/{HOSTILE}": 0.5, "test/loss": 1}
        rows.write(json.dumps(row).encode() + b'\n{"stage": "train", "st')
    with open(run.log, "wb") as log:
        log.truncate(100 << 20)  # a hole: 100 MB of zeros
        log.seek(0, 2)
        log.write(b"\n" + HOSTILE.encode() + b"\xff\xfe\nthe end\n")
    for name in (b"odd\n\x1b[2Jname", b"bytes\xff\xfe", b"[red]"):
        (runs.root / name.decode("utf-8", "surrogateescape")).mkdir()
    return run


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_a_hostile_run_is_shown_and_never_obeyed(
    hostile: RunPaths, runs: RunsPaths, opened: Any, wait: Any, shown: Any, size: tuple[int, int]
) -> None:
    async with opened(runs, size) as (app, pilot):
        await wait(pilot, lambda: RUN[:6] in shown(pilot) and "damaged" in shown(pilot))
        for key in ("down", "down", "down", "down", "up", "home"):
            await pilot.press(key)
            assert harmless(shown(pilot)), shown(pilot)
        await pilot.press("enter")
        await wait(pilot, lambda: isinstance(app.screen, Run) and "failed" in shown(pilot))
        for key, seen in (
            ("1", "accuracy"),
            ("M", "bold"),
            ("2", "class"),
            ("3", "[dataset]"),
            ("4", "the end"),
        ):
            await pilot.press(key)
            await wait(pilot, lambda seen=seen: seen in shown(pilot))
            assert harmless(shown(pilot))
        assert "[bold]x[/bold]" in shown(pilot), "markup is text"


ODD = (None, -1, "\x1b[2Jx", [], {"a": [1]}, "9" * 5000)
LOOKED_AT = {
    "submit": ("title", "overrides", "point", "seed", "created", "order"),
    "state": ("at", "gpus", "state"),
    "env": ("steps", "steps_per_epoch", "class_counts", "device"),
    "metrics": ("stage", "step", "epoch", "time", "test/accuracy", "test/class_accuracy"),
}


@pytest.mark.parametrize(
    ("state", "every"),
    [
        ("running", 5),
        pytest.param("running", 1, marks=pytest.mark.slow),
        pytest.param("crashed", 1, marks=pytest.mark.slow),
    ],
)
async def test_values_of_the_wrong_kind_take_no_screen_down(
    runs: RunsPaths, make_run: Any, opened: Any, wait: Any, shown: Any, state: str, every: int
) -> None:
    made = []
    for name, keys in LOOKED_AT.items():
        for number, odd in enumerate(ODD):
            run: RunPaths = make_run(f"{name}{number}-odd-s0", state, minutes_ago=len(made), epochs=10)
            path = getattr(run, name)
            if name == "metrics":
                rows = [json.loads(line) for line in path.read_text().splitlines()]
                path.write_text("".join(json.dumps({**rows[0], key: odd}) + "\n" for key in keys))
            else:
                change(path, **dict.fromkeys(keys, odd))
            made.append(run.id)
    async with opened(runs) as (app, pilot):
        for _ in made:
            assert harmless(shown(pilot))
            await pilot.press("down")
        for run_id in made[::every]:
            app.open_run(run_id)
            await wait(pilot, lambda: isinstance(app.screen, Run))
            for key in "1234":
                await pilot.press(key)
                assert harmless(shown(pilot)), shown(pilot)
            await pilot.press("escape")


def damages(path: Path) -> dict[str, Callable[[], object]]:
    """Return what may have become of a file, by name."""
    whole = path.read_bytes()
    return {
        "absent": path.unlink,
        "a folder": lambda: (path.unlink(), path.mkdir()),
        "a link to itself": lambda: (path.unlink(), path.symlink_to(path)),
        "empty": lambda: path.write_bytes(b""),
        "truncated": lambda: path.write_bytes(whole[: len(whole) // 2]),
        "no text": lambda: path.write_bytes(b"\xff\xfe" + whole),
        "a list": lambda: path.write_bytes(b"[1, null]"),
        "nested": lambda: path.write_bytes(b"[" * 100_000),
    }


def mend(path: Path, whole: bytes) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    path.unlink(missing_ok=True)
    path.write_bytes(whole)


def places(document: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where values stand in a document, of each list in its first item only."""
    parts = document.items() if isinstance(document, dict) else enumerate(document[:1])
    found = []
    for key, value in parts:
        found.append((*before, key))
        if isinstance(value, dict | list):
            found += places(value, (*before, key))
    return found


def with_value(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    changed = json.loads(json.dumps(document))
    table = changed
    for key in place[:-1]:
        table = table[key]
    table[place[-1]] = value
    return changed


@pytest.mark.parametrize("every", [23, pytest.param(1, marks=pytest.mark.slow)])
def test_nothing_in_a_file_stops_what_screens_put_together(
    runs: RunsPaths, study: list[RunPaths], library: Path, study_text: str, every: int
) -> None:
    (library / "cao2019" / "quick.toml").write_text(study_text)
    ids = tuple(run.id for run in study)
    (recorded,) = runs.studies.glob("*.json")
    record = json.loads(recorded.read_bytes())
    said: list[str] = []
    app: Any = SimpleNamespace(runs=runs, warn=said.append)

    def look() -> None:
        compare.make(app, compare.Wanted(ids))
        compare.make(app, compare.Wanted(ids, (record["study"], record["variant"])))
        assert len(list(each_paper(runs))) == 16
        paper.read_paper(app, "cao2019")
        queue.view(runs)

    first, last = study[0], study[-1]
    changes: list[tuple[Path, Callable[[], object]]] = []
    for path in (recorded, first.submit, first.result, first.env, first.metrics, first.recipe, last.submit):
        changes += [(path, change) for change in damages(path).values()]
        if path.suffix == ".json":
            document = json.loads(path.read_bytes())
            for place in places(document):
                for value in (*ODD, 10**400, float("nan"), float("inf"), True, [[1]]):
                    text = json.dumps(with_value(document, place, value))
                    changes.append((path, partial(path.write_text, text)))
    for path, change in changes[::every]:
        whole = path.read_bytes()
        change()
        look()
        mend(path, whole)
    for values in (None, "x", [None], [{"seed": 0}], {"digest": 1}):
        recorded.write_text(json.dumps({**record, "members": values}))
        said.clear()
        look()
        assert any("holds no usable members" in sentence for sentence in said)
        make_nothing = compare.make(app, compare.Wanted((), (record["study"], record["variant"])))
        assert make_nothing.comparison is None, "no verdict over a part of a study"


async def test_damaged_files_take_no_screen_down_and_are_told_of(
    runs: RunsPaths, study: list[RunPaths], library: Path, study_text: str, opened: Any, wait: Any, shown: Any
) -> None:
    (library / "cao2019" / "quick.toml").write_text(study_text)
    (library / "cao2019" / "torn.toml").write_text("title = ")
    whole = study[1]
    whole.artifacts.mkdir()
    (whole.artifacts / "confusion.json").write_text('{"matrices": {"test": [[1, "x"], null]}}')
    (whole.artifacts / "masks-level-1.safetensors").write_bytes(b"\xff" * 20)
    (whole.artifacts / "bare.json").write_text('[["x", null], [{}, 1e999]]')
    (whole.artifacts / "nested.json").write_text("[" * 100_000)
    (whole.artifacts / "folder.json").mkdir()
    for number, odd in enumerate(ODD):
        row = {
            "stage": "train",
            "step": 800 + number,
            "epoch": 90,
            "time": 9.0,
            "norms/scale": odd,
            "cka/matrix": odd,
        }
        with open(whole.metrics, "a") as rows:
            rows.write(json.dumps(row) + "\n")
        with open(whole.system, "a") as rows:
            rows.write(json.dumps({"step": odd, "time": odd, "process/cpu": odd}) + "\n")
    with open(whole.system, "ab") as rows:
        rows.write(b'{"step": 1, "time": NaN, "process/cpu": 1e999}\n\xff\n')
        rows.write(b'{"step": 2, "time": 4.0, "process/cpu": 0.5}\n')
    study[2].metrics.write_bytes(b"\xff\xfe\x00" * 99)
    damages(study[3].result)["a folder"]()
    damages(study[4].recipe)["truncated"]()
    runs.queue.write_text('{"paused": "x", "slots": [], "gpu_slots": 1e999, "why": {"a": 1}}')
    (runs.studies / "torn-0123abcd.json").write_text("{")
    async with opened(runs) as (app, pilot):
        await pilot.press("c")
        table = app.screen.query_one(Table)
        await wait(pilot, lambda: [row["runs"] for row in table.rows] == ["3", "1 of 3"])
        told = lambda: [note.message for note in app._notifications]  # noqa: E731
        await wait(pilot, lambda: any("torn-0123abcd.json cannot be read" in one for one in told()))
        for key in "123":
            await pilot.press(key)
            assert harmless(shown(pilot))
        await pilot.press("escape", "Q")
        await wait(pilot, lambda: isinstance(app.screen, Queue) and "slots:" in shown(pilot))
        await pilot.press("escape", "P")
        papers = app.screen.query_one(Table)
        await wait(pilot, lambda: all(row["runs"] != "reading …" for row in papers.rows))
        papers.select("cao2019")
        await pilot.press("enter")
        await wait(pilot, lambda: "broken" in shown(pilot) and "4 of 6 runs" in shown(pilot))
        app.go_home()
        app.open_run(whole.id)
        await wait(pilot, lambda: isinstance(app.screen, Run))
        await pilot.press("5")
        await wait(pilot, lambda: "CPU of the process" in shown(pilot))
        await pilot.press("6")
        await wait(pilot, lambda: "norms/scale" in shown(pilot))
        listed = app.screen.query_one(OptionList)
        await wait(pilot, lambda: listed.option_count >= 8)
        for place in range(listed.option_count):
            listed.highlighted = place
            await pilot.pause(0.05)
            assert harmless(shown(pilot))
        await wait(pilot, lambda: "not what its name says" in shown(pilot))


async def test_broken_recipes_are_listed_with_what_is_wrong(
    runs: RunsPaths,
    recipes: Path,
    library: Path,
    monkeypatch: pytest.MonkeyPatch,
    opened: Any,
    wait: Any,
    shown: Any,
) -> None:
    monkeypatch.chdir(recipes)
    own = recipes / "recipes"
    (own / "odd-bytes.toml").write_bytes(b"title = '\xff'")
    (own / "odd-nested.toml").write_text("a = " + "[" * 5000)
    (own / "odd-folder.toml").mkdir()
    (own / "odd-link.toml").symlink_to(own / "odd-link.toml")
    (own / "odd-kinds.toml").write_text(
        'title = 1\nseeds = "x"\narms = {}\ngrid = 3\nclaims = "x"\npaper = []\n'
    )
    (own / "odd-numbers.toml").write_text(
        "seeds = [99999999999999999999]\n[train]\nepochs = inf\n[optimizer]\nlr = nan\n"
    )
    async with opened(runs) as (app, pilot):
        for name, says in (
            ("bytes", "not UTF-8"),
            ("nested", "brackets within brackets"),
            ("folder", "a folder"),
            ("link", "a link that leads nowhere"),
            ("kinds", "title"),
            ("numbers", "99999999999999999999"),
        ):
            await pilot.press("n", *f"odd-{name}")
            await wait(pilot, lambda name=name: f"odd-{name} " in shown(pilot))
            await pilot.press("enter")
            await wait(pilot, lambda says=says: "cannot be launched" in shown(pilot) and says in shown(pilot))
            assert harmless(shown(pilot))
            app.go_home()


@pytest.mark.slow
async def test_a_metrics_file_of_200_mb_is_read_while_keys_work(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    metrics = gallery.run("fceaaa-ce-s0").metrics
    row = {"stage": "train", "epoch": 1, "time": 1.0, "test/class_accuracy": [0.5] * 150, "test/loss": 1.0}
    with metrics.open("a") as file:
        step = 1000
        while file.tell() < 200e6:
            step += 1
            file.write(json.dumps({**row, "step": step}) + "\n")
    async with opened(gallery) as (app, pilot):
        app.open_run("fceaaa-ce-s0")
        await wait(pilot, lambda: "reading a long metrics file" in shown(pilot))
        await pilot.press("3")
        await wait(pilot, lambda: "▌3 Recipe" in shown(pilot))
        assert "fceaaa-ce-s0" not in app.live.complete, "keys work while it is read"
        await wait(pilot, lambda: "reading a long metrics file" not in shown(pilot), patience=200)
        assert "fceaaa-ce-s0" in app.live.complete
