"""What a user may get wrong: one complaint on stderr, exit code 2, nothing created."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imbtui import folders, submit
from imbtui.paths import RunPaths, RunsPaths

Call = Callable[..., Any]
GOOD = """
[dataset]
name = "digits"
[model]
name = "mlp"
[train]
epochs = 1
"""

# name: (recipe text or None for a good one, further arguments, words of the complaint)
WRONG: dict[str, tuple[str | None, tuple[str, ...], tuple[str, ...]]] = {
    "unknown table": (GOOD + "[optimiser]\nlr = 1\n", (), ('"optimiser"', 'Did you mean "optimizer"?')),
    "unknown key": (GOOD + "epohcs = 3\n", (), ('"epohcs"', 'Did you mean "epochs"?')),
    "no model": ("[dataset]\nname = 'digits'\n", (), ("recipe.toml, model: this key is required",)),
    "unknown option": (GOOD + "[loss]\nname = 'focal'\ngama = 1.0\n", (), ('"gama"', '"gamma"?')),
    "unknown name": (GOOD + "[loss]\nname = 'ldma'\n", (), ('"ldma"', 'Did you mean "ldam"?')),
    "unknown optimizer": (GOOD + "[optimizer]\nname = 'agd'\n", (), ('"agd"', '"sgd"')),
    "wrong type": (GOOD + "batch_size = 'many'\n", (), ("batch_size", "a whole number")),
    "wrong type in --set": (None, ("--set", "train.epochs=ten"), ("epochs", "a whole number", '"ten"')),
    "ratio below 1": (
        GOOD + "[[corruptions]]\nname = 'long_tail'\nratio = 0.01\n", (), ("ratio", "at least 1"),
    ),
    "rate above 1": (
        GOOD + "[[corruptions]]\nname = 'label_noise'\nkind = 'symmetric'\nrate = 20\n", (),
        ("rate", "at most 1"),
    ),
    "unreadable TOML": ("title = 'x'\n[dataset\n", (), ("not valid TOML", "line 2", "column")),
    "not UTF-8": ("\udcff", (), ("not UTF-8",)),
    "empty seed list": ("seeds = []\n" + GOOD, (), ("list of seeds is empty",)),
    "empty --seeds": (None, ("--seeds", ""), ("list of seeds is empty",)),
    "seeds downwards": (None, ("--seeds", "4-0"), ("0-4",)),
    "seeds that are none": (None, ("--seeds", "one"), ('"one"',)),
    "a seed twice": (None, ("--seeds", "1,1"), ("twice",)),
    "a GPU that is not there": (None, ("--gpus", "63"), ("no GPU 63", "--cpu")),
    "a GPU that is not there, in the recipe": (GOOD + "[launch]\ngpus = [63]\n", (), ("no GPU 63",)),
    "no executor": (GOOD + "[launch]\nexecutor = 'slum'\n", (), ("launch.executor", 'Did you mean "slurm"')),
    "no key of SLURM's": (GOOD + "[launch.slurm]\ntim = 5\n", (), ("launch.slurm", 'Did you mean "time"')),
    "no time limit": (GOOD + "[launch.slurm]\ntime = 'soon'\n", (), ("launch.slurm.time", "minutes:seconds")),
    "an option of sbatch that is ours": (
        GOOD + "[launch.slurm]\noptions = ['--array=0-3']\n",
        (),
        ("launch.slurm.options", "imbtui sets", "--array"),
    ),
    "what is no option of sbatch": (
        GOOD + "[launch.slurm]\noptions = ['-p gpu']\n",
        (),
        ("launch.slurm.options", '"--qos=long"', "-p gpu"),
    ),
    "GPUs that are none": (None, ("--gpus", "all"), ('"all"',)),
    "GPUs and no GPU": (None, ("--gpus", "0", "--cpu"), ("--gpus or --cpu",)),
    "code from outside": (GOOD + "[loss]\nname = 'os.path:join'\n", (), ("outside", "--allow-plugins")),
    "a name that is a path": (GOOD + "[loss]\nname = '../../x'\n", (), ("../../x", "loss.name")),
    "a path for a table's name": (None, ("--set", "model.name=../../x"), ("../../x",)),
    "no assignment": (None, ("--set", "train.epochs"), ("KEY=VALUE",)),
    "an assignment to nothing": (None, ("--set", "trian.epochs=3"), ("trian.epochs", '"train"')),
    "a value for a table": (None, ("--set", "train=3"), ("train",)),
    "a claim about no arm": (
        GOOD + "[[arms]]\nlabel = 'A'\n[[claims]]\nsays = 's'\nkind = 'bound'\nmetric = 'test/accuracy'\n"
        "arm = 'B'\nabove = 0.5\n", (), ('no arm "B"',),
    ),
    "a claim that cannot be read": (
        GOOD + "[[arms]]\nlabel = 'A'\n[[claims]]\nsays = 's'\nkind = 'bound'\narm = 'A'\nabove = 0.5\n"
        "metric = '__import__(\"os\")'\n", (), ("claims (s)",),
    ),
    "a claim about a metric that no run measures": (
        GOOD + "[[claims]]\nsays = 's'\nkind = 'bound'\nmetric = 'test/acuracy'\nabove = 0.5\n", (),
        ("claims (s)", '"test/acuracy"', 'Did you mean "test/accuracy"?'),
    ),
    "an end on a metric that no evaluation holds": (
        None, ("--set", "train.until={metric='test/eror', reaches=0.1}"),
        ("train.until.metric", 'Did you mean "test/error"?'),
    ),
    "two plans": (
        GOOD + "[[methods]]\nname = 'lottery'\n[[methods]]\nname = 'lottery'\n", (), ("twice",),
    ),
    "detached here": (None, ("--detach", "--here"), ("--here",)),
    "missing data": (GOOD.replace("digits", "mnist"), (), ("mnist", "imbtui data get mnist")),
    "missing image folder": (
        GOOD.replace("'digits'", "'image_folder'").replace('"digits"', '"image_folder"\nfolder = "none"'), (),
        ("none", "dataset.folder"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_run_refuses(
    case: str, call: Call, runs: RunsPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, arguments, words = WRONG[case]
    root = tmp_path / "data"
    monkeypatch.setenv("IMBTUI_DATA", str(root))
    path = tmp_path / "recipe.toml"
    path.write_bytes((GOOD if text is None else text).encode("utf-8", "surrogateescape"))
    before = everything(tmp_path)
    answer = call("run", str(path), *arguments)
    assert answer.code == 2
    assert answer.out == ""
    assert_one_complaint(answer.err, words)
    if "data" in case:
        assert str(root) in answer.err
    assert everything(tmp_path) == before, "nothing is created"


def test_jobs_where_there_is_no_scheduler(
    call: Call, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    before = everything(tmp_path)
    answer = call("run", str(recipe), "--set", "launch.executor=slurm")
    assert answer.code == 2
    assert_one_complaint(answer.err, ("launch.executor", "no SLURM here", "sbatch", '"local"'))
    assert everything(tmp_path) == before, "nothing is created"


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def assert_one_complaint(text: str, words: tuple[str, ...]) -> None:
    assert text.startswith("imbtui: ")
    assert len(text.splitlines()) <= 2
    assert "Traceback" not in text
    for word in words:
        assert word in text


def test_one_bad_recipe_among_good_ones_creates_nothing(
    call: Call, runs: RunsPaths, recipe: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("[dataset]\nname = 'digit'\n")
    before = everything(runs.root)
    assert call("run", str(recipe), str(bad), "--detach").code == 2
    assert everything(runs.root) == before


@pytest.mark.parametrize("reference", ["nothing-like-it", "../../x", "/etc/passwd", ".", "recipes", ""])
def test_run_of_what_is_no_recipe(reference: str, call: Call) -> None:
    answer = call("run", reference)
    assert answer.code == 2
    assert_one_complaint(answer.err, ())
    assert len(answer.err) < 12 * 80, "twelve lines of a narrow terminal"


@pytest.mark.parametrize("command", ["show", "logs", "stop", "resume", "tag", "compare", "plot"])
def test_a_run_that_is_not_there(command: str, call: Call, done: list[RunPaths]) -> None:
    for reference in ("zzzzzz", "99", "@~50", "", "..", "../runs", "@first"):
        answer = call(command, reference)
        assert answer.code == 2
        assert_one_complaint(answer.err, ())


def test_a_prefix_of_several_runs(call: Call, done: list[RunPaths]) -> None:
    first = done[0].root
    first.rename(first.with_name("aaa1"))
    done[1].root.rename(done[1].root.with_name("aaa2"))
    answer = call("show", "aaa")
    assert answer.code == 2
    assert_one_complaint(answer.err, ("2 runs", "aaa1", "aaa2", "more letters"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("ls", "--where", "state = "),
        ("ls", "--where", "colour == red"),
        ("ls", "--sort", "colour"),
        ("ls", "--columns", "id,colour"),
        ("ls", "--limit", "many"),
        ("sl",),
        ("ls", "--nonsense"),
        ("show",),
        ("plot", "@last", "-m", "test/acuracy"),
        ("plot", "@last", "-o", "x.gif"),
        ("plot", "@last", "--at", "last"),
        ("plot", "@last", "-m", "test/accuracy", "--stage", "level-9"),
        ("plot", "@last", "-m", "test/accuracy", "-o", "/proc/none/x.svg"),
        ("stop", "@last"),
        ("resume", "@last"),
        ("rm",),
        ("rm", "@last"),
        ("tag", "@last", "+two words"),
        ("queue", "move", "@last", "1"),
        ("queue", "slots", "0"),
        ("queue", "slots", "many"),
        ("recipes", "show", "nothing-like-it"),
        ("recipes", "new", "../../x"),
        ("papers", "cao2091"),
        ("verdict", "nothing-like-it"),
        ("verdict", "two", "--all"),
        ("table", "nothing-like-it"),
        ("table", "two", "--rows", "colour"),
        ("table", "two", "--at", "sometime"),
        ("table", "two", "-m", "test/acuracy"),
        ("table", "two", "--format", "html"),
        ("data", "get", "imagenet"),
        ("data", "get", "../../x"),
        ("data", "get", "image_folder"),
    ],
    ids=" ".join,
)
def test_other_commands_refuse(
    arguments: tuple[str, ...], call: Call, done: list[RunPaths], runs: RunsPaths
) -> None:
    before = everything(runs.root)
    answer = call(*arguments)
    assert answer.code == 2
    assert answer.out == ""
    assert_one_complaint(answer.err, ())
    assert everything(runs.root) - {runs.listing} == before - {runs.listing}


def test_a_bad_filter_is_wrong_even_without_runs(call: Call) -> None:
    assert call("ls", "--where", "colour == red").code == 2
    assert call("ls", "--where", "state == ", "--json").code == 2


def test_every_bad_recipe_that_is_checked_is_named(call: Call, recipe: Path, tmp_path: Path) -> None:
    bad = [tmp_path / f"bad{n}.toml" for n in range(20)]
    for path in bad:
        path.write_text("seeds = []\n" + GOOD)
    answer = call("recipes", "check", str(recipe), str(bad[0]))
    assert (answer.code, answer.out) == (2, f"{recipe}: 4 runs, nothing wrong\n")
    assert str(bad[0]) in answer.err
    many = call("recipes", "check", *map(str, bad))
    assert len(many.err.splitlines()) <= 12


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_runs_folder(call: Call, runs: RunsPaths, recipe: Path) -> None:
    runs.root.chmod(0o500)
    try:
        answer = call("run", str(recipe), "--detach")
        assert answer.code == 2
        assert_one_complaint(answer.err, (str(runs.root), "--runs"))
        assert call("ls").code == 0
    finally:
        runs.root.chmod(0o700)


@pytest.mark.parametrize("command", ["ls", "queue", "verdict"])
def test_a_file_for_a_runs_folder(command: str, call: Call, recipe: Path) -> None:
    answer = call(command, "--runs", str(recipe))
    assert answer.code == 2
    assert_one_complaint(answer.err, (str(recipe), "not a folder"))


@pytest.mark.parametrize("arguments", [("--detach",), ("--here",)])
def test_a_runs_folder_that_cannot_be_made(
    call: Call, recipe: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """As above, for root too: a file stands where the folder should be."""
    (tmp_path / "file").write_text("")
    answer = call("run", str(recipe), *arguments, "--runs", str(tmp_path / "file" / "runs"))
    assert answer.code == 2
    assert_one_complaint(answer.err, (str(tmp_path / "file" / "runs"), "--runs"))


def test_a_corrupt_index_is_moved_aside_and_rebuilt(
    call: Call, done: list[RunPaths], runs: RunsPaths
) -> None:
    runs.index.write_text("{ this is no index")
    answer = call("ls", "--json")
    assert answer.code == 0
    assert len(answer.document) == 4
    assert len(answer.err.splitlines()) == 1
    assert "rebuilt" in answer.err
    assert len(list(runs.root.glob(".index-damaged-*"))) == 1
    assert call("ls", "--json").err == ""
    (finding,) = [c for c in call("doctor", "--json").document if c["check"] == "index"]
    assert not finding["ok"]


def test_a_half_written_folder_is_ignored_and_reported_by_the_doctor(
    call: Call, done: list[RunPaths], runs: RunsPaths
) -> None:
    left = runs.root / ".new-abcdef-tiny-s0"
    left.mkdir()
    os.utime(left, (0, 0))
    assert len(call("ls", "--json").document) == 4
    (finding,) = [c for c in call("doctor", "--json").document if c["check"] == "half-written folders"]
    assert not finding["ok"]
    assert left.name in finding["says"]
    assert finding["do"]


def test_a_run_folder_without_a_submission_is_shown_as_damaged(call: Call, done: list[RunPaths]) -> None:
    done[0].submit.write_text("{")
    answer = call("show", done[0].id)
    assert answer.code == 0
    assert "damaged" in answer.out


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device", "/x/notes.toml"), ("/x/notes.toml", "No space left")),
        (PermissionError(13, "Permission denied", "/x"), ("/x", "Permission denied")),
        (TimeoutError("/x/.lock is held by another process"), ("held by another process",)),
    ],
)
def test_a_disk_that_takes_nothing_is_no_bug(
    call: Call, done: list[RunPaths], monkeypatch: pytest.MonkeyPatch, error: OSError, words: tuple[str, ...]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(folders, "write_notes", refuse)
    answer = call("note", "@last", "text")
    assert answer.code == 2
    assert_one_complaint(answer.err, words)


def test_errors_of_the_program_keep_their_traceback(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(submit, "plan", broken)
    with pytest.raises(ZeroDivisionError):
        call("run", "quickstart", "--dry-run")


def test_the_dashboard_without_a_terminal(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: SIM115
    answer = call()
    assert answer.code == 2
    assert_one_complaint(answer.err, ("terminal",))
