"""Who a process is, whether it still lives, and how to end it without hitting a stranger.

A process id alone says little: ids are reused, a zombie still has one, and after a reboot the same
number belongs to somebody else. An identity is (host, boot id, pid, start ticks): the kernel counts
start ticks from boot, so they move neither with the wall clock nor with the observer.
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from signal import SIGKILL, Signals, pidfd_send_signal
from typing import Any

from imbtui.paths import host

PROC = Path("/proc")


@dataclass(frozen=True)
class Identity:
    """One process, told apart from every other one that ever had its number.

    Attributes:
        host: name of the machine it runs on.
        boot_id: the kernel's id of the machine's present boot.
        pid: process id.
        start_ticks: clock ticks between boot and the start of the process.
    """

    host: str
    boot_id: str
    pid: int
    start_ticks: int

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """Return who has the process id `pid` now, or None when nobody has (a zombie counts as nobody)."""
        stat = _stat(pid)
        if stat is None or stat.state in "ZX":
            return None
        return cls(host(), boot_id(), pid, stat.start_ticks)

    @classmethod
    def of_child(cls, pid: int) -> Identity:
        """Return the identity of a child of the caller that nobody has waited for yet, zombie or not."""
        stat = _stat(pid)
        if stat is None:
            raise ProcessLookupError(f"process {pid} is no child of this one")
        return cls(host(), boot_id(), pid, stat.start_ticks)

    @classmethod
    def mine(cls) -> Identity:
        """Return the identity of the calling process."""
        return cls.of_child(os.getpid())

    @classmethod
    def from_json(cls, document: Any) -> Identity | None:
        """Return the identity that `document` holds (other keys are ignored), or None when it holds none."""
        try:
            return cls(
                str(document["host"]),
                str(document["boot_id"]),
                int(document["pid"]),
                int(document["start_ticks"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError):
            return None

    def to_json(self) -> dict[str, Any]:
        """Return the four fields as a JSON object."""
        return asdict(self)

    @property
    def local(self) -> bool:
        """Whether it belongs to this machine, so that this machine can tell whether it lives."""
        return self.host == host()

    def alive(self) -> bool:
        """Whether the process runs on this machine now.

        False for a zombie, for a process of an earlier boot, and for every process of another
        machine (nothing can be known of those: ask `local` first).
        """
        return self.local and self.boot_id == boot_id() and Identity.of(self.pid) == self

    def signal(self, number: Signals) -> bool:
        """Send a signal to this process and to no other.

        Returns:
            Whether it was delivered; False when the process is gone or belongs to another user.
        """
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        except (AttributeError, OSError):  # kernels before 5.3 and some sandboxes have no pidfd
            return self._signal_by_number(number)
        try:
            # The descriptor pins the process: if it is ours now, the signal cannot reach a successor.
            if not self.alive():
                return False
            pidfd_send_signal(descriptor, number)
            return True
        except (ProcessLookupError, PermissionError):
            return False
        finally:
            os.close(descriptor)

    def _signal_by_number(self, number: Signals) -> bool:
        if not self.alive():
            return False
        try:
            os.kill(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True


@functools.cache
def boot_id() -> str:
    """Return the kernel's id of the present boot, or "" where there is none."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


@dataclass(frozen=True)
class _Stat:
    state: str
    parent: int
    session: int
    start_ticks: int


def _stat(pid: int) -> _Stat | None:
    try:
        text = (PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # The name stands in parentheses and may hold spaces and parentheses itself; fields count from behind it.
    fields = text.rpartition(b")")[2].split()
    try:
        return _Stat(fields[0].decode(), int(fields[1]), int(fields[3]), int(fields[19]))
    except (IndexError, ValueError):
        return None


def suspended(pid: int) -> bool:
    """Whether a process was stopped by a signal (Ctrl-Z, a debugger) and waits to be continued."""
    stat = _stat(pid)
    return stat is not None and stat.state in "Tt"


def all_pids() -> list[int]:
    """Return the ids of all processes that this one can see."""
    try:
        return [int(entry.name) for entry in os.scandir(PROC) if entry.name.isdecimal()]
    except OSError:
        return []


def environment_value(pid: int, name: str) -> str | None:
    """Return what the environment variable `name` was when process `pid` was started.

    None when it was not set, or the process is gone or belongs to another user.
    """
    try:
        entries = (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return None
    start = os.fsencode(name) + b"="
    return next((os.fsdecode(entry[len(start) :]) for entry in entries if entry.startswith(start)), None)


def marked(name: str, value: str) -> list[Identity]:
    """Return the processes that were started with `name=value` in their environment.

    Children inherit the mark, whatever their parent, session or state of adoption: this finds what is
    left of a job when every process id in between is gone.
    """
    wanted = os.fsencode(f"{name}={value}")
    found = []
    for pid in all_pids():
        who = Identity.of(pid)
        if who is None:
            continue
        try:
            environment = (PROC / str(pid) / "environ").read_bytes()
        except OSError:
            continue
        if wanted in environment and wanted in environment.split(b"\0"):
            found.append(who)
    return found


def session_of(pid: int) -> int | None:
    """Return the session id of process `pid`, or None when it is gone."""
    stat = _stat(pid)
    return stat.session if stat else None


def session_members(leader: Identity) -> list[Identity]:
    """Return the processes in the session that `leader` founded, itself included while it lives.

    Empty when `leader` is of another machine or boot, or when its number founded a newer session.
    """
    if not leader.local or leader.boot_id != boot_id():
        return []
    successor = _stat(leader.pid)
    if successor is not None and successor.start_ticks != leader.start_ticks:
        return []  # the kernel gives a number away again only when its old session is empty
    members = []
    for pid in all_pids():
        stat = _stat(pid)
        if stat is not None and stat.session == leader.pid and stat.state not in "ZX":
            members.append(Identity(leader.host, leader.boot_id, pid, stat.start_ticks))
    return members


def descendants(ancestor: Identity) -> list[Identity]:
    """Return the living processes below `ancestor` in the process tree, itself excluded."""
    children: dict[int, list[int]] = {}
    stats = {pid: stat for pid in all_pids() if (stat := _stat(pid)) is not None}
    for pid, stat in stats.items():
        children.setdefault(stat.parent, []).append(pid)
    found: list[Identity] = []
    pending = [ancestor.pid] if ancestor.alive() else []
    while pending:
        for pid in children.get(pending.pop(), []):
            pending.append(pid)
            if stats[pid].state not in "ZX":
                found.append(Identity(ancestor.host, ancestor.boot_id, pid, stats[pid].start_ticks))
    return found


def kill_group(leader: Identity) -> None:
    """SIGKILL the process group that `leader` founded, whether or not it lives itself.

    No fork escapes this: a process that does nothing but fork and exit is gone before its own number can
    be signalled. Nothing happens when `leader` founded no group, is of another machine or boot, or when
    its number belongs to another process by now; the caller's own group is never signalled.
    """
    if not leader.local or leader.boot_id != boot_id() or leader.pid == os.getpgrp():
        return
    now = _stat(leader.pid)
    if now is not None and now.start_ticks != leader.start_ticks:
        return  # the kernel gives a number away again only when its old group is empty
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader.pid, SIGKILL)


def kill_until_none(
    find: Callable[[], Iterable[Identity]], *, leaders: Iterable[Identity] = (), patience: float = 5.0
) -> list[Identity]:
    """SIGKILL what `find` returns, look again, and go on until it returns nothing.

    One pass is not enough: a process may fork between being found and being killed. Process groups die
    as a whole where their founder is known or found.

    Args:
        find: returns the processes to end; called until it returns none.
        leaders: processes, perhaps dead, that founded groups of which nothing must stay.
        patience: seconds after which to give up (a process in an uninterruptible call cannot die).

    Returns:
        Those still there when patience ended; empty otherwise.
    """
    deadline = time.monotonic() + patience
    me = os.getpid()
    pause = 0.002
    for leader in leaders:
        kill_group(leader)
    while True:
        left = [who for who in find() if who.pid != me]
        if not left or time.monotonic() > deadline:
            return left
        for who in left:
            kill_group(who)
            who.signal(SIGKILL)
        time.sleep(pause)
        pause = min(0.1, 2 * pause)


def lock_holder(path: Path) -> int | None:
    """Return the process of this machine that holds a lock on a file, or None when the kernel names none."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        inode = path.stat().st_ino
        for line in (PROC / "locks").read_text().splitlines():
            # `1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF`; those who wait for it have `->` in front.
            fields = line.split()
            if fields[1] != "->" and int(fields[5].rpartition(":")[2]) == inode and int(fields[4]) > 0:
                return int(fields[4])
    return None


def out_of_memory_kills() -> int:
    """Return how many processes the kernel ended for lack of memory since boot (0 where it does not say)."""
    with contextlib.suppress(OSError, ValueError):
        for line in (PROC / "vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
