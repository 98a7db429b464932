"""How bytes reach disk: replace a whole file, append a line, tail a growing file, take a lock.

Nothing else in the package opens a file for writing. A reader that opens any of these files at any
instant, also after the writer was killed, finds either the old content or the new one; in an
appended file it finds whole lines followed by at most one torn line.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
TEMPORARY_MARK = ".tmp-"


def write_atomic(path: Path, content: bytes | str, *, durable: bool = True) -> None:
    """Replace `path` by `content` so that a reader sees the old bytes or the new ones, never a mix.

    Args:
        path: the file; its folder must exist.
        content: bytes, or text that is written as UTF-8.
        durable: also fsync the file and its folder, so that the new content survives a power cut.

    Raises:
        OSError: the disk is full, the folder is gone or not writable; it names `path`, which is unchanged.
    """
    data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    temporary = path.with_name(f"{TEMPORARY_MARK}{secrets.token_hex(6)}-{path.name[:100]}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):  # the temporary name says nothing to whoever reads of it
            error.filename, error.filename2 = str(path), None
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut, where the file system offers that."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EROFS):  # some network file systems refuse folders
            raise
    finally:
        os.close(descriptor)


def look_again(folder: Path) -> None:
    """Make a network file system ask its server what is in a folder.

    It may go on for a minute to answer that a file is absent which another machine has written since; a
    change of one's own to the folder ends that.
    """
    probe = folder / f"{TEMPORARY_MARK}{secrets.token_hex(6)}"
    with contextlib.suppress(OSError):
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE))
        os.unlink(probe)


def write_json(path: Path, document: Any, *, durable: bool = True) -> None:
    """Replace `path` by `document` as readable JSON (ASCII, so that odd file names survive)."""
    write_atomic(path, json.dumps(document, indent=1, ensure_ascii=True) + "\n", durable=durable)


def read_json(path: Path) -> Any | None:
    """Return the JSON document in `path`, or None when it is absent, unreadable or damaged."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def sweep_temporaries(folder: Path, *, older_than: float = 0.0) -> int:
    """Remove what killed writers left in `folder` and return how many files that were.

    Args:
        folder: the folder.
        older_than: only files this many seconds old; 0 only where this process is the one writer.
    """
    swept = 0
    for entry in os.scandir(folder):
        if entry.name.startswith(TEMPORARY_MARK) and entry.is_file(follow_symlinks=False):
            with contextlib.suppress(OSError):
                if time.time() - entry.stat(follow_symlinks=False).st_mtime >= older_than:
                    os.unlink(entry.path)
                    swept += 1
    return swept


class LineWriter:
    """Appends whole lines to one file; each line is one `write`, so it survives a killed process.

    A torn last line of an earlier writer is closed with a newline first: it stays one bad line
    instead of swallowing the next good one.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            os.write(self._descriptor, b"\n")

    def append(self, line: bytes) -> None:
        """Append `line` (without its newline).

        Raises:
            OSError: the disk is full. What was written of the line is cut off again.
        """
        data = line + b"\n"
        before = self.size()
        try:
            written = os.write(self._descriptor, data)
            if written != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, before)
            raise

    def size(self) -> int:
        """Length of the file in bytes."""
        return os.fstat(self._descriptor).st_size

    def truncate(self, size: int) -> None:
        """Cut the file back to `size` bytes (used when a run goes on from a checkpoint)."""
        os.ftruncate(self._descriptor, size)

    def sync(self) -> None:
        """Make all lines so far survive a power cut."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


class Tail:
    """Follows a growing file of lines; each `read` returns the whole lines that are new.

    The partial last line is kept until its newline arrives. When the file shrinks (a resumed run cut
    it back, or it was replaced), reading starts again from its beginning and `restarted` is set.
    """

    def __init__(self, path: Path, *, offset: int = 0) -> None:
        self.path = path
        self.offset = offset
        self.restarted = False
        self._partial = b""
        self._inode: int | None = None

    def read(self, limit: int = 1 << 24) -> list[bytes]:
        """Return new whole lines, without newlines; at most `limit` bytes are read at once."""
        self.restarted = False
        try:
            with open(self.path, "rb") as file:
                status = os.fstat(file.fileno())
                if status.st_size < self.offset or (self._inode not in (None, status.st_ino)):
                    self.offset, self._partial, self.restarted = 0, b"", True
                self._inode = status.st_ino
                file.seek(self.offset)
                data = file.read(limit)
        except FileNotFoundError:
            return []
        self.offset += len(data)
        lines = (self._partial + data).split(b"\n")
        self._partial = lines.pop()
        return lines


def last_lines(path: Path, count: int, *, span: int = 65536) -> list[str]:
    """Return the last `count` lines of a text file, reading at most its last `span` bytes.

    Bytes that are not UTF-8 are shown as replacement characters; an absent file has no lines.
    """
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - span))
            data = file.read()
    except OSError:
        return []
    lines = data.decode("utf-8", "replace").splitlines()
    if size > span and lines:
        lines = lines[1:]
    return lines[-count:]


@contextlib.contextmanager
def locked(path: Path, *, timeout: float = 30.0) -> Iterator[None]:
    """Hold the lock file `path` (flock through `filelock`; free again when its holder dies).

    Args:
        timeout: seconds to wait; -1 waits for ever, 0 does not wait.

    Raises:
        TimeoutError: somebody else held it for all of `timeout`.
    """
    import filelock

    lock = filelock.FileLock(path, timeout=timeout, mode=PRIVATE_FILE, poll_interval=0.01)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise TimeoutError(f"{path} is held by another process") from error
    try:
        yield
    finally:
        lock.release()


def printable(text: str) -> str:
    """Return `text` without control characters and with undecodable bytes escaped.

    What comes from a recipe, a folder name or a log passes through here before it is shown or
    stored: terminals obey escape sequences, and JSON and Rich raise on lone surrogates.
    """
    if text.isprintable():  # nearly all that is ever shown
        return text
    safe = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c == "\t" or (c.isprintable() or c == " ") else f"\\x{ord(c):02x}" for c in safe)
