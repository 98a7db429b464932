"""The rest of the commands: trash, tags, queue, worker, recipes, papers, verdict, table, data, doctor."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imbtui import __version__, doctor, index, plugins, queue, store
from imbtui.paths import RunPaths, RunsPaths

Call = Callable[..., Any]
Finish = Callable[..., None]
MakeRuns = Callable[..., list[RunPaths]]
COMMAND = [sys.executable, "-m", "imbtui"]


def test_version(call: Call) -> None:
    assert call("--version").out == call("-V").out == f"imbtui {__version__}\n"


def test_rm_moves_to_the_trash_and_purge_empties_it(
    call: Call, done: list[RunPaths], runs: RunsPaths
) -> None:
    assert call("rm", done[0].id).code == 2, "nobody can be asked"
    answer = call("rm", "-y", done[0].id, done[1].id)
    assert answer.code == 0
    assert {row["id"] for row in call("ls", "--json").document} == {done[2].id, done[3].id}
    assert len(list(runs.trash.iterdir())) == 2
    assert call("rm", "--purge", "--yes").code == 0
    assert list(runs.trash.iterdir()) == []
    assert "empty" in call("rm", "--purge", "--yes").err


def test_rm_keeps_runs_that_are_active(call: Call, make_runs: MakeRuns, done: list[RunPaths]) -> None:
    (queued,) = make_runs()
    answer = call("rm", "-y", done[0].id, queued.id)
    assert answer.code == 2
    assert "queued" in answer.err
    assert done[0].root.is_dir(), "all or none"


@pytest.mark.parametrize(("reply", "left"), [(b"n\n", 4), (b"y\n", 3)])
def test_rm_asks_in_a_terminal(done: list[RunPaths], runs: RunsPaths, reply: bytes, left: int) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, reply)
    answer = subprocess.run(
        [*COMMAND, "rm", done[0].id, "--runs", str(runs.root)], stdin=theirs, capture_output=True, check=False
    )
    assert answer.returncode == 0
    assert b"trash" in answer.stderr
    assert len(store.list_ids(runs)) == left


def test_tags_are_added_and_taken_away(call: Call, done: list[RunPaths]) -> None:
    run = done[0].id
    assert call("tag", run, "+good", "other", "+h").out == f"{run}: good h other\n"
    answer = call("tag", run, "-other", "-both", "+new")
    assert answer.out == f"{run}: good h new\n"
    assert call("tag", "--runs", str(done[0].root.parent), run).out == f"{run}: good h new\n"
    assert [row["id"] for row in call("ls", "--json", "--where", "tag = new").document] == [run]


def test_notes(call: Call, done: list[RunPaths]) -> None:
    run = done[0].id
    call("tag", run, "+kept")
    assert call("note", run, "too", "large").code == 0
    document = call("show", run, "--json").document
    assert (document["note"], document["tags"]) == ("too large", ["kept"])
    assert call("note", run, "").code == 0
    assert call("show", run, "--json").document["note"] == ""


def test_queue_shows_who_waits_and_why(call: Call, make_runs: MakeRuns) -> None:
    made = [make_runs(f"train.epochs={n}")[0] for n in (4, 5, 6)]
    rows = call("queue", "--json").document
    assert [row["id"] for row in rows] == [run.id for run in made]
    assert [row["position"] for row in rows] == [1, 2, 3]
    for row in rows:
        assert row.keys() >= {"id", "state", "why", "gpus", "position"}
        assert row["why"]
    assert call("queue", "move", made[2].id, "1").code == 0
    lines = call("queue").out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert made[2].id in lines[1]
    assert call("queue", "move", "1", "3").code == 0, "a row number of the queue just shown"
    assert made[0].id in call("queue").out.splitlines()[1]


def test_queue_is_paused_and_given_slots(call: Call, make_runs: MakeRuns, runs: RunsPaths) -> None:
    (run,) = make_runs()
    assert call("queue", "pause").code == 0
    assert queue.settings(runs).paused
    (row,) = call("queue", "--json").document
    assert (row["id"], "paused" in row["why"]) == (run.id, True)
    assert call("queue", "slots", "3", "--gpu", "2").out == "3 at once on the CPU, 2 on each GPU\n"
    assert call("queue", "slots", "--json").document == {"slots": 3, "gpu_slots": 2}


def test_worker_status_without_one(call: Call, runs: RunsPaths) -> None:
    assert call("worker", "status", "--json").document == {
        "running": False,
        "pid": None,
        "since": None,
        "runs": [],
    }
    assert call("worker").code == call("worker", "stop").code == 0


def test_a_stopped_queue_of_one_becomes_stopped(call: Call, make_runs: MakeRuns, runs: RunsPaths) -> None:
    (run,) = make_runs()
    assert call("queue", "pause").code == 0
    assert call("stop", "@last").code == 0
    assert run.stop.read_text() == "1"


def test_recipes_lists_what_can_be_run(call: Call) -> None:
    names = {row["name"]: row for row in call("recipes", "--json").document}
    assert names["quickstart"]["runs"] == 9
    assert names["quickstart"]["arms"] == ["CE", "DRW", "LDAM-DRW"]
    assert all(not row["error"] for row in names.values())
    assert all(len(line) <= 80 for line in call("recipes").out.splitlines())


def test_a_new_recipe_is_valid(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("recipes", "new", "mine/first").code == 0
    assert call("recipes", "check", "mine/first").out == "mine/first: 6 runs, nothing wrong\n"
    assert "mine/first" in call("recipes").out
    again = call("recipes", "new", "mine/first")
    assert again.code == 2
    assert "exists" in again.err


def test_recipes_show_prints_the_file(call: Call, recipe: Path) -> None:
    assert call("recipes", "show", str(recipe)).out == recipe.read_text()
    assert call("recipes", "show", str(recipe), "--json").document["source"] == recipe.read_text()


def test_verdict_judges_what_has_run(call: Call, done: list[RunPaths]) -> None:
    (verdict,) = call("verdict", "two", "--json").document
    assert verdict.keys() >= {
        "study", "paper", "says", "kind", "verdict", "effect", "low", "high", "p", "n", "test",
    }  # fmt: skip
    assert verdict["effect"] == pytest.approx(0.1)
    assert verdict["n"] == 2
    assert verdict["verdict"] == "held"
    assert "held         LDAM above CE" in call("verdict").out


def test_strict_verdicts(
    call: Call, done: list[RunPaths], runs: RunsPaths, finish: Finish, tmp_path: Path
) -> None:
    assert call("verdict", "two", "--strict").code == 0
    assert call("verdict", "--all", "--strict").code == 0
    assert call("verdict", "--all", "--strict", "--runs", str(tmp_path / "none")).code == 3
    assert call("verdict", "quickstart", "--strict").code == 3, "never run"
    for run in done[2:]:
        finish(run, metrics={"test/balanced_accuracy": 0.1})
    assert call("verdict", "two", "--strict").code == 3, "does not hold"
    assert call("verdict", "two").code == 0
    done[0].result.unlink()
    index.sync(runs)
    (verdict,) = call("verdict", "two", "--json").document
    assert verdict["verdict"] == "not run"
    assert call("verdict", "--all", "--strict").code == 3


def test_a_study_run_with_changes_is_a_variant_of_its_own(
    call: Call, done: list[RunPaths], make_runs: MakeRuns, recipe: Path
) -> None:
    make_runs("train.epochs=5", toml=recipe.read_text(), name="two")
    assert [v["verdict"] for v in call("verdict", "two", "--json").document] == ["held", "not run"]
    answer = call("table", "two", "--json")
    assert answer.document["cells"][0][0]["measured"]["n"] == 2, "the recipe as it stands"
    other = answer.err.split()[-1]
    assert call("table", other, "--json").document["cells"][0][0]["measured"] is None


def test_a_verdict_is_one_line_where_there_is_room(
    call: Call, done: list[RunPaths], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "n = 2" in call("verdict", "two").out
    monkeypatch.setenv("COLUMNS", "140")
    wide = call("verdict", "two").out.splitlines()
    (held,) = (line for line in wide if line.startswith("held"))
    assert held.endswith("  2") and "[" in held and "n =" not in held
    assert wide[1].split()[:2] == ["verdict", "claim"]


def test_table_puts_the_papers_number_beside_ours(call: Call, done: list[RunPaths]) -> None:
    out = call("table", "two", "--rows", "arm", "-m", "test/balanced_accuracy").out
    assert "| LDAM | 0.605 ± 0.007 (n=2) [0.660†] |" in out
    assert "arm,n,mean" not in out
    assert call("table", "two", "--format", "csv").out.count(",") > 4
    assert "\\toprule" in call("table", "two", "--format", "latex").out
    document = call("table", "two", "--cols", "loss.name", "--json").document
    assert document["rows"] == ["CE", "LDAM"]
    assert document["columns"] == ["cross_entropy", "ldam"]


def test_papers_has_all_sixteen(call: Call) -> None:
    rows = call("papers", "--json").document
    assert len(rows) == 16
    for row in rows:
        assert row.keys() >= {"slug", "title", "recipes", "verdict", "reported", "measured"}
        assert row["verdict"] == "not run"
        assert len(row["reported"]) == len(row["measured"])
        assert set(row["measured"]) <= {None}
    cao = next(row for row in rows if row["slug"] == "cao2019")
    assert "cao2019/quick" in cao["recipes"]
    assert any(reported["confidence"] == "verified" for reported in cao["reported"])
    assert all(len(line) <= 80 for line in call("papers").out.splitlines())
    assert cao["title"] in call("papers", "cao2019").out


def test_papers_shows_measured_beside_reported(
    call: Call, make_runs: MakeRuns, finish: Finish, runs: RunsPaths, recipe: Path
) -> None:
    for run in make_runs(toml='paper = "ye2020"\n' + recipe.read_text(), name="mine"):
        finish(run, metrics={"test/balanced_accuracy": 0.5})
    index.sync(runs)
    (row,) = call("papers", "ye2020", "--json").document
    assert row["verdict"] == "did not hold"
    measured = [m for r, m in zip(row["reported"], row["measured"], strict=True) if r["value"] == 0.66]
    assert measured == [{"mean": 0.5, "sd": 0.0, "n": 2, "values": {"0": 0.5, "1": 0.5}}]
    assert "0.660†" in call("papers", "ye2020").out


def test_data_lists_what_is_there(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMBTUI_DATA", str(tmp_path))
    rows = {row["name"]: row for row in call("data", "ls", "--json").document}
    assert rows["digits"]["there"] is True
    assert rows["mnist"]["there"] is False
    for group in plugins.literal("dataset", "mnist", "FILES")[:1]:
        for name in group:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
    rows = {row["name"]: row for row in call("data", "--json").document}
    assert rows["mnist"]["there"] is True
    assert "is there already" in call("data", "get", "mnist").out


def test_doctor_reports_every_finding_with_what_to_do(call: Call, done: list[RunPaths]) -> None:
    found = call("doctor", "--json").document
    assert found
    for check in found:
        assert check.keys() == {"check", "ok", "says", "do"}
        assert bool(check["do"]) != check["ok"]
    assert {"gpus", "torch", "logout", "locks", "disk", "worker", "data"} <= {c["check"] for c in found}
    text = call("doctor")
    assert text.code == 0
    assert all(check["check"] in text.out for check in found)


def test_doctor_finds_runs_that_nobody_will_start(call: Call, make_runs: MakeRuns) -> None:
    (run,) = make_runs()
    findings = {c["check"]: c for c in call("doctor", "--json").document}
    assert not findings["worker"]["ok"]
    assert findings["worker"]["do"] == "imbtui worker start"
    submit = json.loads(run.submit.read_text())
    run.submit.write_text(json.dumps(submit | {"host": "gone-away"}))
    findings = {c["check"]: c for c in call("doctor", "--json").document}
    assert "gone-away" in findings["other machines"]["says"]


def test_doctor_finds_a_full_disk(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LITTLE_SPACE", 1 << 60)
    findings = {c["check"]: c for c in call("doctor", "--json").document}
    assert not findings["disk"]["ok"]


def test_doctor_finds_locks_that_keep_nobody_out(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_TRY_LOCK", "pass")  # the other process was let in
    findings = {c["check"]: c for c in call("doctor", "--json").document}
    assert not findings["locks"]["ok"]


@pytest.mark.parametrize(
    ("kills", "linger", "ok"),
    [("b true", "no", False), ("b true", "yes", True), ("b false", "no", True), (None, "", True)],
)
def test_doctor_finds_a_system_that_ends_processes_at_logout(
    call: Call, monkeypatch: pytest.MonkeyPatch, kills: str | None, linger: str, ok: bool
) -> None:
    monkeypatch.setattr(doctor, "_command_output", lambda *c: kills if c[0] == "busctl" else linger)
    (finding,) = [c for c in call("doctor", "--json").document if c["check"] == "logout"]
    assert finding["ok"] == ok
    assert ("enable-linger" in finding["do"]) != ok


def test_doctor_makes_no_folder(call: Call, tmp_path: Path) -> None:
    assert call("doctor", "--json", "--runs", str(tmp_path / "a" / "b")).code == 0
    assert not (tmp_path / "a").exists()


@pytest.mark.slow
def test_doctor_asks_torch_in_another_process(runs: RunsPaths) -> None:
    done = subprocess.run([*COMMAND, "doctor", "--json"], capture_output=True, text=True, check=True)
    (torch,) = [c for c in json.loads(done.stdout) if c["check"] == "torch"]
    assert torch["ok"]
    assert "sees" in torch["says"]


def test_file_system_is_that_of_the_innermost_mount() -> None:
    assert doctor.file_system(Path("/proc/self")) == "proc"
    assert doctor.file_system(Path("/")) != "unknown"


def test_reindex_rebuilds(call: Call, done: list[RunPaths], runs: RunsPaths, tmp_path: Path) -> None:
    runs.index.unlink()
    assert call("reindex", "--json").document == {"runs": 4}
    assert runs.index.exists()
    assert call("reindex", "--runs", str(tmp_path / "none")).code == 2


def test_a_closed_pipe_is_silent(done: list[RunPaths], runs: RunsPaths) -> None:
    """More than a pipe holds is written to a reader that leaves after one line."""
    done[0].log.write_text("x" * 100 + "\n" * 200_000)
    for command in (f"logs {done[0].id}", "ls --json", "verdict two --strict --json", "--help"):
        script = f"set -o pipefail; {sys.executable} -m imbtui {command} | head -c 1 > /dev/null"
        answer = subprocess.run(
            ["bash", "-c", script],
            capture_output=True, text=True, env=os.environ | {"IMBTUI_RUNS": str(runs.root)}, check=False,
        )  # fmt: skip
        assert (answer.returncode, answer.stderr) == (0, ""), command


def test_no_colours_where_nobody_sees_them(done: list[RunPaths], runs: RunsPaths) -> None:
    """In a terminal there are colours, unless NO_COLOR is set; in a pipe there are none."""

    def in_terminal(**extra: str) -> bytes:
        ours, theirs = pty.openpty()
        environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
        subprocess.run(
            [*COMMAND, "ls", "--runs", str(runs.root)],
            stdout=theirs, stdin=subprocess.DEVNULL, check=True, env=environment | {"TERM": "xterm"} | extra,
        )  # fmt: skip
        return os.read(ours, 1 << 16)

    assert b"\x1b[32m" in in_terminal()
    assert b"\x1b[3" not in in_terminal(NO_COLOR="1")
    piped = subprocess.run([*COMMAND, "ls", "--runs", str(runs.root)], capture_output=True, check=True)
    assert b"\x1b" not in piped.stdout + piped.stderr


def test_a_terminal_without_unicode_gets_question_marks(done: list[RunPaths], runs: RunsPaths) -> None:
    answer = subprocess.run(
        [*COMMAND, "table", "two", "--runs", str(runs.root)],
        capture_output=True, env=os.environ | {"PYTHONIOENCODING": "ascii"}, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert b"0.605 ? 0.007" in answer.stdout


def test_completion_can_be_shown(call: Call) -> None:
    environment = os.environ | {
        "_IMBTUI_COMPLETE": "complete_bash",
        "COMP_WORDS": "imbtui rec",
        "COMP_CWORD": "1",
    }
    done = subprocess.run([*COMMAND], capture_output=True, text=True, env=environment, check=False)
    assert "recipes" in done.stdout.split()
