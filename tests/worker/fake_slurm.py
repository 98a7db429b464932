"""A SLURM of shell scripts: `sbatch`, `squeue`, `scancel` and `sinfo` over a folder of jobs, no daemon.

Each job is a folder named by its number with its name, script, state, reason, restarts and process. A job
runs at once unless the file `hold` is there; the commands fail as with a dead controller while `down` is
there, and `sbatch` refuses with the text of `refusal` while that is there; with `lost` it takes the job and
fails to say so.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from signal import SIGTERM, Signals

_HEAD = """#!/bin/sh
cd {root} || exit 1
echo "$(basename "$0") $*" >> calls
if [ -e down ]; then
    echo "slurm_load_jobs error: Unable to contact slurm controller (connect failure)" >&2
    exit 1
fi
"""
_SBATCH = """
name= output= test=
for word; do
    case $word in
        --job-name=*) name=${word#*=} ;;
        --output=*) output=${word#*=} ;;
        --test-only) test=1 ;;
        --partition=nowhere) echo "allocation failure: Invalid partition name specified" >&2; exit 1 ;;
    esac
done
if [ -e refusal ]; then cat refusal >&2; exit 1; fi
if [ -n "$test" ]; then cat > /dev/null; echo "sbatch: Job 1 to start at once" >&2; exit 0; fi
number=$(cat next)
echo $((number + 1)) > next
mkdir "$number"
cat > "$number/script"
printf %s "$name" > "$number/name"
printf %s "$output" > "$number/output"
echo 0 > "$number/restarts"
echo Priority > "$number/reason"
echo PENDING > "$number/state"
[ -e hold ] || ./start "$number"
[ -e lost ] && { echo "sbatch: error: Socket timed out on send/recv operation" >&2; exit 1; }
echo "$number"
"""
_START = """#!/bin/sh
cd {root}/"$1" || exit 1
echo RUNNING > state
echo None > reason
export SLURM_JOB_ID="$1" SLURM_RESTART_COUNT=$(cat restarts) SLURM_CPUS_ON_NODE=2
setsid sh -c 'echo $$ > pid; sh ./script >> "$(cat output)" 2>&1
    code=$?; grep -q RUNNING state || exit 0
    if [ $code = 0 ]; then echo COMPLETED; else echo FAILED; fi > state.new; mv state.new state
' < /dev/null > /dev/null 2>&1 &
"""
_SQUEUE = """
for job in [0-9]*; do
    [ -e "$job/state" ] || continue
    printf '%-32s%-24s%-8s%-64s%-128s%s\\n' "$job" "$(cat "$job/state")" "$(cat "$job/restarts")" \\
        "$(cat "$job/reason")" node1 "$(cat "$job/name")"
done
"""
_SCANCEL = """
for word; do
    case $word in --jobname=*) name=${word#*=} ;; --*) ;; *) number=$word ;; esac
done
[ "$(cat "$number/name")" = "$name" ] || exit 0
echo CANCELLED > "$number/state"
[ -e "$number/pid" ] && kill -TERM -"$(cat "$number/pid")"
exit 0
"""
_SINFO = """
case $* in
    *%R*) sed 's/[*|].*//' nodes ;;
    *) cat nodes ;;
esac
"""


class FakeSlurm:
    """The folder behind the commands, and what a cluster does of itself."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / "bin"
        self.bin.mkdir(parents=True)
        (root / "next").write_text("1\n")
        (root / "nodes").write_text("low*|(null)\ngpu|gpu:a100:4\n")
        for name, body in (
            ("sbatch", _SBATCH), ("squeue", _SQUEUE), ("scancel", _SCANCEL), ("sinfo", _SINFO),
        ):  # fmt: skip
            self._script(self.bin / name, _HEAD.format(root=root) + body)
        self._script(root / "start", _START.replace("{root}", str(root)))

    def _script(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o700)

    def jobs(self) -> list[str]:
        """The numbers of all jobs, in order."""
        return sorted((p.name for p in self.root.iterdir() if p.name.isdecimal()), key=int)

    def calls(self, command: str) -> list[str]:
        """How a command was called, a line each."""
        calls = self.root / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        return [line for line in lines if line.startswith(f"{command} ")]

    def state(self, job: str) -> str:
        return (self.root / job / "state").read_text().strip()

    def set(self, job: str, **facts: str | int) -> None:
        for name, value in facts.items():
            file = self.root / job / name
            new = file.with_suffix(".new")
            new.write_text(f"{value}\n")
            new.rename(file)

    def start(self, job: str) -> None:
        """Give a waiting job its node."""
        subprocess.run([self.root / "start", job], check=True)

    def kill(self, job: str, number: Signals) -> None:
        """Send a signal to the job's own processes; those that lead sessions do not get it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int((self.root / job / "pid").read_text()), number)

    def end(self, job: str, state: str, number: Signals = SIGTERM, reason: str = "None") -> None:
        """End a job as SLURM would."""
        self.set(job, state=state, reason=reason)
        self.kill(job, number)

    def forget(self, job: str) -> None:
        """Lose a job, as a controller does that forgets ended ones or crashed before it saved."""
        (self.root / job).rename(self.root / f"forgotten-{job}-{os.urandom(3).hex()}")
