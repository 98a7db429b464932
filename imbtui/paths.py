"""Every file name of a runs folder and of a run folder, once."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from imbtui.errors import UserError


@dataclass(frozen=True)
class RunPaths:
    """The files of one run. Who writes which is stated in `folders`."""

    root: Path

    @property
    def id(self) -> str:
        return self.root.name

    @property
    def recipe(self) -> Path:
        return self.root / "recipe.toml"

    @property
    def submit(self) -> Path:
        return self.root / "submit.json"

    @property
    def state(self) -> Path:
        return self.root / "state.json"

    @property
    def stop(self) -> Path:
        return self.root / "stop"

    @property
    def notes(self) -> Path:
        return self.root / "notes.toml"

    @property
    def log(self) -> Path:
        return self.root / "log.txt"

    @property
    def ranks(self) -> Path:
        return self.root / "ranks"

    @property
    def env(self) -> Path:
        return self.root / "env.json"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.jsonl"

    @property
    def system(self) -> Path:
        """How busy process, machine and GPUs were while it trained."""
        return self.root / "system.jsonl"

    @property
    def result(self) -> Path:
        return self.root / "result.json"

    @property
    def checkpoints(self) -> Path:
        return self.root / "ckpt"

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def reserve(self) -> Path:
        """Room for a run's last words while it trains, should the disk fill up."""
        return self.root / ".reserve"

    def rank(self, number: int) -> Path:
        return self.ranks / f"{number}.json"


@dataclass(frozen=True)
class RunsPaths:
    """The files of a runs folder beside its run folders. Their names start with a dot or end in .json."""

    root: Path

    def run(self, run_id: str) -> RunPaths:
        return RunPaths(self.root / run_id)

    @property
    def index(self) -> Path:
        return self.root / "index.json"

    @property
    def index_journal(self) -> Path:
        """Changes to the index that are not folded into it yet."""
        return self.root / ".index.jsonl"

    @property
    def index_lock(self) -> Path:
        return self.root / ".index.lock"

    @property
    def studies(self) -> Path:
        return self.root / ".studies"

    @property
    def studies_lock(self) -> Path:
        return self.root / ".studies.lock"

    @property
    def listing(self) -> Path:
        """The ids of the last listing, so that `imbtui show 3` knows what row 3 was."""
        return self.root / ".listing.json"

    @property
    def view(self) -> Path:
        """How the dashboard was left, written by the dashboard."""
        return self.root / ".view.json"

    @property
    def trash(self) -> Path:
        return self.root / ".trash"

    @property
    def launches(self) -> Path:
        """What launches print outside their runs, and the locks under which runs are claimed."""
        return self.root / ".launches"

    def launch_lock(self, launch: str) -> Path:
        """Held for an instant by a trainer that begins a run and by a worker that takes one back."""
        return self.launches / f"{launch}.lock"

    def launch_order(self, launch: str) -> Path:
        """What a scheduler's job is to train, for the process that it begins on its node."""
        return self.launches / f"{launch}.json"

    @property
    def queue(self) -> Path:
        """Settings of the queue (paused, slots), written by the user's commands."""
        return self.root / f".queue-{host()}.json"

    @property
    def worker_lock(self) -> Path:
        return self.root / f".worker-{host()}.lock"

    @property
    def worker(self) -> Path:
        """What the worker says of itself; only worth reading while its lock is held."""
        return self.root / f".worker-{host()}.json"

    @property
    def worker_log(self) -> Path:
        return self.root / f".worker-{host()}.log"


def host() -> str:
    """This machine's name, fit for a file name."""
    return socket.gethostname().replace("/", "-") or "localhost"


def runs_folder(given: Path | None = None) -> Path:
    """Return the runs folder: the one given, else `IMBTUI_RUNS`, else `./runs`."""
    return Path(given or os.environ.get("IMBTUI_RUNS") or "runs")


def runs_paths(given: Path | None = None) -> RunsPaths:
    """Return the files of the runs folder that the user means; it need not be there yet.

    Raises:
        UserError: there is something else of that name.
    """
    folder = runs_folder(given)
    if folder.exists() and not folder.is_dir():
        raise UserError("this is a file, not a folder for runs", where=str(folder), hint="See --runs.")
    return RunsPaths(folder)


def data_root() -> Path:
    """Return the data root: `IMBTUI_DATA`, else the platform's user cache."""
    named = os.environ.get("IMBTUI_DATA")
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_cache_dir("imbtui")) / "data"
