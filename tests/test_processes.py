"""Identities of real processes: alive, zombie, reused, of another boot, of another machine."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imbtui import processes
from imbtui.processes import Identity


def wait_until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    children: list[subprocess.Popen[bytes]] = []
    yield children
    for child in children:
        child.kill()
        child.wait()


def sleeper(started: list[subprocess.Popen[bytes]], **options: object) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(["sleep", "60"], **options)  # type: ignore[call-overload]
    started.append(child)
    return child


def test_own_identity_survives_json() -> None:
    me = Identity.mine()
    assert me.pid == os.getpid() and me.alive() and me.local
    assert Identity.from_json(me.to_json() | {"format": 1}) == me


@pytest.mark.parametrize(
    "document", [None, {}, [], {"host": "a"}, {**Identity.mine().to_json(), "pid": None}]
)
def test_damaged_json_is_no_identity(document: object) -> None:
    assert Identity.from_json(document) is None


def test_a_zombie_is_dead(started: list[subprocess.Popen[bytes]]) -> None:
    child = sleeper(started)
    who = Identity.of(child.pid)
    assert who is not None and who.alive()
    os.kill(child.pid, signal.SIGKILL)
    wait_until(lambda: b") Z " in Path(f"/proc/{child.pid}/stat").read_bytes())
    assert not who.alive()
    assert Identity.of(child.pid) is None
    assert not who.signal(signal.SIGTERM)


@pytest.mark.parametrize(
    "change",
    [{"start_ticks": 1}, {"boot_id": "another"}, {"host": "another-machine"}],
    ids=["reused number", "earlier boot", "another machine"],
)
def test_a_stranger_with_the_same_number_is_neither_alive_nor_signalled(
    started: list[subprocess.Popen[bytes]], change: dict[str, object]
) -> None:
    child = sleeper(started)
    who = Identity.of(child.pid)
    assert who is not None
    stranger = dataclasses.replace(who, **change)  # type: ignore[arg-type]
    assert not stranger.alive()
    assert not stranger.signal(signal.SIGKILL)
    assert who.alive()


@pytest.mark.parametrize("with_pidfd", [True, False])
def test_signal_reaches_the_process(
    started: list[subprocess.Popen[bytes]], with_pidfd: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not with_pidfd:

        def unavailable(pid: int) -> int:
            raise OSError(38, "Function not implemented")

        monkeypatch.setattr(os, "pidfd_open", unavailable)
    child = sleeper(started)
    who = Identity.of(child.pid)
    assert who is not None
    assert who.signal(signal.SIGTERM)
    assert child.wait(10) == -signal.SIGTERM
    assert not who.signal(signal.SIGTERM)


def test_a_name_with_parentheses_does_not_confuse(
    started: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    program = tmp_path / "a) Z 1 (b"
    program.symlink_to("/bin/sleep")
    child = subprocess.Popen([str(program), "60"])
    started.append(child)
    who = Identity.of(child.pid)
    assert who is not None and who.alive() and who.start_ticks > 1


def test_marked_finds_a_process_whatever_its_session_or_parent(
    started: list[subprocess.Popen[bytes]],
) -> None:
    value = f"test-{os.getpid()}"
    environment = {**os.environ, "IMBTUI_TEST_MARK": value}
    script = (
        "import os, subprocess, time; "
        "subprocess.Popen(['sleep', '60'], start_new_session=True); "
        "print('ready', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, start_new_session=True
    )
    started.append(child)
    assert child.stdout is not None and child.stdout.readline() == b"ready\n"
    wait_until(lambda: len(processes.marked("IMBTUI_TEST_MARK", value)) == 2)
    assert processes.marked("IMBTUI_TEST_MARK", value[:-1]) == []
    assert processes.environment_value(child.pid, "IMBTUI_TEST_MARK") == value
    child.kill()
    child.wait()
    (orphan,) = processes.marked("IMBTUI_TEST_MARK", value)
    assert orphan.alive()
    assert processes.kill_until_none(lambda: processes.marked("IMBTUI_TEST_MARK", value)) == []
    assert not orphan.alive()


def test_session_members_outlive_their_leader_and_never_hold_a_stranger(
    started: list[subprocess.Popen[bytes]],
) -> None:
    script = (
        "import subprocess, time; subprocess.Popen(['sleep', '60']); "
        "print('ready', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    started.append(child)
    assert child.stdout is not None and child.stdout.readline() == b"ready\n"
    leader = Identity.of(child.pid)
    assert leader is not None
    assert len(processes.session_members(leader)) == 2
    assert [who.pid for who in processes.session_members(leader) if who != leader] == [
        who.pid for who in processes.descendants(leader)
    ]
    reused = dataclasses.replace(leader, start_ticks=leader.start_ticks - 1)
    assert processes.session_members(reused) == []
    child.kill()
    child.wait()
    (orphan,) = processes.session_members(leader)
    assert processes.kill_until_none(lambda: processes.session_members(leader)) == []
    assert not orphan.alive()


FORKING = "import os\nprint('ready', flush=True)\nwhile True:\n  if os.fork(): os._exit(0)\n"


@pytest.fixture
def forking() -> Iterator[Identity]:
    """The founder of a group of which one process at a time lives, for less than two milliseconds."""
    with subprocess.Popen(
        [sys.executable, "-c", FORKING], stdout=subprocess.PIPE, start_new_session=True
    ) as child:
        leader = Identity.of(child.pid)
        assert leader is not None and child.stdout is not None and child.stdout.readline() == b"ready\n"
        child.wait()
        yield leader
        with contextlib.suppress(ProcessLookupError):
            os.killpg(leader.pid, signal.SIGKILL)


def group_lives(leader: Identity) -> bool:
    """Whether a group has members, by the kernel's word: looks at /proc miss what lives so shortly."""
    try:
        os.killpg(leader.pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_only_forks_and_exits_is_killed_as_a_group(forking: Identity) -> None:
    assert group_lives(forking)
    assert processes.kill_until_none(lambda: [], leaders=[forking]) == []
    wait_until(lambda: not group_lives(forking))


def test_a_group_dies_with_its_founder_that_was_found(started: list[subprocess.Popen[bytes]]) -> None:
    script = "import subprocess, time; subprocess.Popen(['sleep', '60']); print('ready', flush=True)"
    child = subprocess.Popen(
        [sys.executable, "-c", script + "; time.sleep(60)"], stdout=subprocess.PIPE, start_new_session=True
    )
    started.append(child)
    assert child.stdout is not None and child.stdout.readline() == b"ready\n"
    leader = Identity.of(child.pid)
    assert leader is not None
    (orphan,) = processes.descendants(leader)
    assert processes.kill_until_none(lambda: [leader] if leader.alive() else []) == []
    wait_until(lambda: not orphan.alive())


def test_a_number_that_was_given_away_loses_no_group(started: list[subprocess.Popen[bytes]]) -> None:
    child = sleeper(started, start_new_session=True)
    leader = Identity.of(child.pid)
    assert leader is not None
    processes.kill_group(dataclasses.replace(leader, start_ticks=leader.start_ticks - 1))
    processes.kill_group(dataclasses.replace(leader, boot_id="another-boot"))
    processes.kill_group(dataclasses.replace(leader, host="another-machine"))
    assert child.poll() is None and leader.alive()
    processes.kill_group(leader)
    assert child.wait() == -signal.SIGKILL


def test_patience_ends() -> None:
    undying = Identity("another-machine", "boot", 1, 1)
    begun = time.monotonic()
    assert processes.kill_until_none(lambda: [undying], patience=0.1) == [undying]
    assert time.monotonic() - begun < 5
