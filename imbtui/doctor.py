"""What about this machine and this runs folder may keep runs from working, and what to do about it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from imbtui import (
    config,
    files,
    folders,
    gpus,
    index,
    paths,
    plugins,
    processes,
    queue,
    store,
    submit,
    text,
    worker,
)
from imbtui.errors import UserError
from imbtui.launch import slurm
from imbtui.paths import RunsPaths

LITTLE_SPACE = 2 << 30  # bytes
HELD_TOO_LONG = 3.0  # seconds
_GIB = 1 << 30
_NETWORK = ("nfs", "cifs", "smb", "fuse.sshfs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "9p", "afs")
_ASK_TORCH = (
    "import json, torch; print(json.dumps({'version': torch.__version__, 'cuda': torch.version.cuda, "
    "'gpus': torch.cuda.device_count()}))"
)
_TRY_LOCK = (
    "import sys, filelock\n"
    "try:\n filelock.FileLock(sys.argv[1], timeout=0).acquire()\n"
    "except filelock.Timeout:\n sys.exit(9)"
)


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes:
        check: its short name.
        ok: whether nothing needs doing.
        says: what was found.
        do: what to do; empty when it is ok.
    """

    check: str
    ok: bool
    says: str
    do: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def examine(runs: RunsPaths) -> list[Check]:
    """Look at everything; nothing is changed but a damaged index, which is rebuilt."""
    checks: list[Callable[[], Check]] = [
        _versions,
        _gpus,
        _torch,
        _logout,
        _configuration,
        lambda: _folder(runs),
        lambda: _locks(runs),
        lambda: _held_locks(runs),
        lambda: _disk(runs),
        lambda: _index(runs),
        lambda: _half_written(runs),
        lambda: _damaged(runs),
        lambda: _worker(runs),
        lambda: _other_machines(runs),
        lambda: _slurm(runs),
        _data,
        _terminal,
    ]
    return [check() for check in checks]


def _versions() -> Check:
    found = []
    for package in ("imbtui", "torch", "accelerate", "textual"):
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    return Check("versions", True, ", ".join([python, *found]))


def _gpus() -> Check:
    found = gpus.list_gpus()
    if found:
        named = ", ".join(f"{g.index}: {g.name}, {g.memory_total / _GIB:.0f} GiB" for g in found)
        return Check("gpus", True, named)
    why = gpus.trouble()
    if Path("/dev/nvidiactl").exists():
        do = "Load the driver anew (`nvidia-smi` shows the same error), or reboot after a driver update."
        return Check("gpus", False, f"there is an NVIDIA driver, but it does not answer: {why}", do)
    return Check("gpus", True, "none: runs use the CPU" + (f" ({why})" if why else ""))


def _torch() -> Check:
    """Ask torch in a process of its own: importing it here would cost seconds and memory."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ASK_TORCH], capture_output=True, timeout=120, check=False, text=True
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check(
            "torch", False, f"torch cannot be asked: {error}", "Install it anew: pip install -U torch"
        )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return Check(
            "torch", False, f"torch cannot be imported: {last}", "Install it anew: pip install -U torch"
        )
    said = json.loads(done.stdout.strip().splitlines()[-1])
    built = f"for CUDA {said['cuda']}" if said["cuda"] else "for the CPU only"
    says = f"{said['version']}, built {built}, sees {said['gpus']} GPUs"
    present = len(gpus.list_gpus())
    if present and not said["gpus"]:
        if not said["cuda"]:
            return Check("torch", False, says, "Install a build with CUDA from https://pytorch.org.")
        do = f"The driver is too old for CUDA {said['cuda']}: update it, or install torch for an older CUDA."
        return Check("torch", False, says, do)
    return Check("torch", True, says)


def _logout() -> Check:
    """Whether the system ends a user's processes at logout, which would end runs."""
    kills = _command_output(
        "busctl", "get-property", "org.freedesktop.login1", "/org/freedesktop/login1",
        "org.freedesktop.login1.Manager", "KillUserProcesses",
    )  # fmt: skip
    if kills is None:
        return Check("logout", True, "no systemd-logind here: runs outlive your session")
    if kills.strip() != "b true":
        return Check("logout", True, "runs outlive your session (KillUserProcesses=no)")
    linger = _command_output("loginctl", "show-user", str(os.getuid()), "--property=Linger", "--value")
    if (linger or "").strip() == "yes":
        return Check("logout", True, "runs outlive your session (lingering is on)")
    return Check(
        "logout",
        False,
        "this system ends your processes when you log out, runs included (KillUserProcesses=yes)",
        "loginctl enable-linger",
    )


def _configuration() -> Check:
    shown = files.printable(str(config.path()))
    try:
        found = config.load()
    except UserError as error:
        return Check("configuration", False, str(error), f"Mend {shown}, or remove it.")
    said = [f"ended runs are told to {found.notify[0]}"] if found.notify else []
    said += [f"{', '.join(found.plugins)} may be run"] if found.plugins else []
    return Check("configuration", True, f"{shown}: {'; '.join(said)}" if said else f"none ({shown})")


def _command_output(*command: str) -> str | None:
    """Return what a command printed, or None when it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=10, check=False, text=True)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _nearest(path: Path) -> Path:
    """Return the path itself, or the closest folder above it that exists."""
    for folder in (path.absolute(), *path.absolute().parents):
        if folder.exists():
            return folder
    return Path("/")


def _folder(runs: RunsPaths) -> Check:
    folder = _nearest(runs.root)
    shown = files.printable(str(runs.root))
    if not os.access(folder, os.W_OK | os.X_OK):
        return Check(
            "runs folder",
            False,
            f"{shown} cannot be written to",
            "Choose another with --runs or IMBTUI_RUNS.",
        )
    if not runs.root.is_dir():
        return Check("runs folder", True, f"{shown} will be made by the first run")
    count = len(store.list_ids(runs))
    return Check("runs folder", True, f"{shown}, {count} run{'' if count == 1 else 's'}")


def _locks(runs: RunsPaths) -> Check:
    """Whether a lock taken here keeps another process out; some network file systems only pretend."""
    folder = _nearest(runs.root)
    kind = file_system(folder)
    network = kind.startswith(_NETWORK)
    where = f"the runs folder is on a network file system ({kind})" if network else f"file system {kind}"
    probe = folder / f".imbtui-lock-{os.getpid()}"
    try:
        with files.locked(probe, timeout=0):
            other = subprocess.run(
                [sys.executable, "-c", _TRY_LOCK, str(probe)], capture_output=True, timeout=60, check=False
            )
    except (OSError, TimeoutError, subprocess.TimeoutExpired) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return Check(
            "locks",
            False,
            f"no lock can be taken ({where}): {reason}",
            "Keep the runs folder on a local disk.",
        )
    finally:
        probe.unlink(missing_ok=True)
    if other.returncode != 9:
        do = "Keep the runs folder on a local disk: two workers would start the same run."
        return Check("locks", False, f"locks keep nobody out ({where})", do)
    return Check("locks", True, f"locks work ({where})")


def _held_locks(runs: RunsPaths) -> Check:
    """Locks that are held for an instant at most and are held on, by a process that was stopped or hangs."""
    for path in (runs.index_lock, runs.studies_lock, runs.queue.with_suffix(".lock")):
        if not path.exists():
            continue
        try:
            with files.locked(path, timeout=HELD_TOO_LONG):
                continue
        except TimeoutError:
            holder = processes.lock_holder(path)
            who = f"process {holder}" if holder else "a process, perhaps of another machine,"
            return Check(
                "stale locks",
                False,
                f"{who} has held {path.name} for longer than any change takes",
                f"Look what it waits for and end it: kill {holder}." if holder else "Find it and end it.",
            )
        except OSError:  # a read-only folder, which is a finding of its own
            continue
    return Check("stale locks", True, "none; a lock ends with its holder")


def file_system(folder: Path) -> str:
    """Return the type of the file system that a folder is on, such as `ext4`; `unknown` where unsaid."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "unknown"
    target = str(folder.resolve())
    best, kind = "", "unknown"
    for mount in mounts:
        _, point, name, *_ = mount.split(" ")
        point = point.replace("\\040", " ")
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, name
    return kind


def _disk(runs: RunsPaths) -> Check:
    folder = _nearest(runs.root)
    usage = shutil.disk_usage(folder)
    free_files = os.statvfs(folder)
    says = f"{usage.free / _GIB:.1f} of {usage.total / _GIB:.0f} GiB free"
    do = "Empty the trash (`imbtui rm --purge`) or choose another folder with --runs."
    if usage.free < LITTLE_SPACE:
        return Check("disk", False, f"only {says}", do)
    if free_files.f_files and free_files.f_favail < 1000:
        return Check("disk", False, f"{says}, but room for only {free_files.f_favail} more files", do)
    return Check("disk", True, says)


def _index(runs: RunsPaths) -> Check:
    said: list[str] = []
    index.query(runs, warn=said.append)
    aside = sorted(path.name for path in runs.root.glob(".index-damaged-*"))
    if said or aside:
        what = said[0] if said else f"a damaged index was set aside: {', '.join(aside)}"
        return Check(
            "index", False, what, "Nothing is lost; delete the damaged file when you have looked at it."
        )
    return Check("index", True, "readable, and equal to the run folders")


def _half_written(runs: RunsPaths) -> Check:
    # One that is being written at this moment is no finding.
    found = [path for path in folders.half_written(runs) if _age(path) > 60]
    if not found:
        return Check("half-written folders", True, "none")
    named = ", ".join(files.printable(path.name) for path in found[:4]) + (", ..." if len(found) > 4 else "")
    return Check(
        "half-written folders",
        False,
        f"{len(found)} left by a submission that was killed: {named}",
        f"Delete them from {files.printable(str(runs.root))}; no run is in them.",
    )


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _damaged(runs: RunsPaths) -> Check:
    """Runs whose files cannot be read although their folder is whole."""
    half = {path.name for path in folders.half_written(runs)}
    rows = [row for row in index.query(runs) if row["id"] not in half]
    found = [row["id"] for row in rows if row.get("reason", "").startswith("damaged")]
    if not found:
        return Check("damaged runs", True, "none")
    named = ", ".join(files.printable(run_id) for run_id in found[:4])
    return Check("damaged runs", False, f"{len(found)}: {named}", "`imbtui rm RUN` moves one to the trash.")


def _worker(runs: RunsPaths) -> Check:
    said = worker.status(runs)
    if said["running"]:
        if said["pid"] and processes.suspended(said["pid"]):
            what = f"process {said['pid']} is suspended: nothing starts, and ends go unnoticed"
            return Check("worker", False, what, f"Let it go on: kill -CONT {said['pid']}")
        return Check("worker", True, f"process {said['pid']}, since {said['since']}")
    waiting = [row for row in index.query(runs) if row["state"] == "queued" and not row.get("here")]
    chosen = queue.settings(runs)
    if chosen.paused:
        says = f"{queue.paused_phrase(chosen)}, waiting: {text.plural(len(waiting), 'run')}"
        return Check("worker", not waiting, says, "imbtui queue resume" if waiting else "")
    if waiting:
        return Check(
            "worker",
            False,
            f"no worker runs; waiting: {text.plural(len(waiting), 'run')}",
            "imbtui worker start",
        )
    return Check("worker", True, "none is needed: nothing waits")


def _other_machines(runs: RunsPaths) -> Check:
    """Runs that another machine was to train; whether it still exists cannot be known here."""
    others: dict[str, int] = {}
    for row in index.query(runs):
        if row["state"] in store.ACTIVE:
            name = store.read(runs.run(row["id"])).host
            if name and name != paths.host():
                others[name] = others.get(name, 0) + 1
    if not others:
        return Check("other machines", True, "no active run belongs to another machine")
    named = ", ".join(f"{count} of {files.printable(name)}" for name, count in sorted(others.items()))
    do = "Start a worker there. If it is gone: `imbtui stop --gone RUN`, then `imbtui resume RUN` here."
    return Check("other machines", False, f"active runs of other machines: {named}", do)


def _slurm(runs: RunsPaths) -> Check:
    """Whether jobs can be submitted here, are followed, and will see the runs folder on their nodes."""
    views = (store.read(runs.run(row["id"])) for row in index.query(runs) if row["state"] in store.ACTIVE)
    mine = [view for view in views if view.executor == "slurm" and view.host == paths.host()]
    try:
        slurm.require()
    except UserError as error:
        do = "Load it (often: module load slurm), then `imbtui worker stop` and `imbtui worker start`."
        return Check(
            "slurm", not mine, f"none here: {error.sentence}" if mine else "none here", do if mine else ""
        )
    trouble, nodes = slurm.examine()
    if trouble:
        return Check("slurm", not mine, f"it does not answer: {trouble}", "Ask its keepers." if mine else "")
    jobs = [view for view in mine if view.job is not None]
    if jobs and not worker.held(runs):
        said = f"no worker follows the jobs of {text.plural(len(jobs), 'run')}"
        return Check("slurm", False, said, "imbtui worker start")
    kind = file_system(_nearest(runs.root))
    says = f"it answers, {text.plural(len(nodes), 'node')}"
    if kind.startswith(_NETWORK) or nodes <= {paths.host(), paths.host().partition(".")[0]}:
        return Check("slurm", True, says)
    says += f"; the runs folder is on {kind}, which they may not see"
    return Check(
        "slurm", not mine, says, "Choose a shared folder with --runs or IMBTUI_RUNS." if mine else ""
    )


def _data() -> Check:
    root = paths.data_root()
    names = [n for n in plugins.names("dataset") if "folder" not in plugins.options("dataset", n)]
    there = [n for n in names if submit.has_data(n, {}, root)]
    shown = files.printable(str(root))
    if root.exists() and not os.access(root, os.R_OK | os.X_OK):
        return Check("data", False, f"{shown} cannot be read", "Choose another data root with IMBTUI_DATA.")
    named = f"there are {', '.join(there)}" if there else "there is none yet"
    return Check("data", True, f"{shown}: {named}")


def _terminal() -> Check:
    encoding = (getattr(sys.stdout, "encoding", "") or "").lower()
    if encoding.replace("-", "") != "utf8":
        return Check(
            "terminal", False, f"text is written as {encoding}", "Set a UTF-8 locale: export LANG=C.UTF-8"
        )
    if os.environ.get("TMUX"):
        clipboard = _command_output("tmux", "show-options", "-gv", "set-clipboard")
        if clipboard is not None and clipboard.strip() == "off":
            return Check(
                "terminal",
                False,
                "tmux keeps what the dashboard copies",
                "tmux set-option -g set-clipboard on",
            )
        return Check("terminal", True, "tmux, UTF-8")
    return Check("terminal", True, f"{os.environ.get('TERM') or 'none'}, UTF-8")
