"""Bytes on disk: replaced whole, appended whole, followed whole."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from imbtui import files


def test_write_atomic_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_atomic(path, "one")
    files.write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_written_is_named_as_it_is_known(tmp_path: Path) -> None:
    for path in (tmp_path / "absent" / "result.json", tmp_path / "folder"):
        (tmp_path / "folder").mkdir(exist_ok=True)
        with pytest.raises(OSError) as caught:
            files.write_atomic(path, "one")
        assert caught.value.filename == str(path) and caught.value.filename2 is None
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_failed_write_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "a.json"
    files.write_atomic(path, "old")

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"):
        files.write_atomic(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


WRITER = """
import sys
from pathlib import Path
from imbtui import files
path = Path(sys.argv[1])
print("ready", flush=True)
for n in range(10**9):
    files.write_atomic(path, str(n) * 20000, durable=False)
"""


def test_a_killed_writer_leaves_whole_content(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for trial in range(10):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        while not path.exists():
            pass
        for _ in range(trial * 3000):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        text = path.read_text()
        number = text[: len(text) // 20000]
        assert text == number * 20000
    files.sweep_temporaries(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_torn_last_line_does_not_swallow_the_next(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'{"a": 1}\n{"step": 288, ')
    writer = files.LineWriter(path)
    writer.append(b'{"a": 2}')
    writer.close()
    assert path.read_bytes().splitlines() == [b'{"a": 1}', b'{"step": 288, ', b'{"a": 2}']


def test_tail_returns_whole_lines_once_and_starts_anew_when_cut(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    tail = files.Tail(path)
    assert tail.read() == []
    path.write_bytes(b"one\ntwo\nthr")
    assert tail.read() == [b"one", b"two"]
    with path.open("ab") as file:
        file.write(b"ee\n")
    assert tail.read() == [b"three"]
    path.write_bytes(b"new\n")
    assert tail.read() == [b"new"]
    assert tail.restarted


def test_last_lines_reads_the_end_of_a_large_file(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"".join(b"line %d \xff\n" % n for n in range(100_000)))
    assert files.last_lines(path, 2) == ["line 99998 \ufffd", "line 99999 \ufffd"]
    assert files.last_lines(tmp_path / "absent", 5) == []


def test_a_lock_is_free_when_its_holder_dies(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from imbtui import files\n"
            "with files.locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()",
            str(lock),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    with pytest.raises(TimeoutError), files.locked(lock, timeout=0):
        pass
    holder.kill()
    holder.communicate()
    with files.locked(lock, timeout=5):
        pass


def test_printable_disarms_terminals_and_surrogates() -> None:
    hostile = "a\x1b[31mred\x07\nb\udcff"
    assert files.printable(hostile) == "a\\x1b[31mred\\x07\\x0ab\\udcff"
