"""What all data sets say when their files are absent, damaged, or cannot be fetched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from imbtui import files
from imbtui.errors import UserError


def missing(name: str, root: Path) -> UserError:
    """Return the error for a data set whose files are not under the data root `root`."""
    folder = files.printable(str(root))
    return UserError(f'no data set "{name}" under {folder}; get it with: imbtui data get {name}')


def damaged(path: Path, why: object) -> UserError:
    """Return the error for a file that is there but does not hold what it should."""
    return UserError(
        f"{files.printable(str(path))} is damaged: {files.printable(str(why))}",
        hint="Remove it and fetch it again.",
    )


def fetch(name: str, root: Path, get: Callable[[], object]) -> None:
    """Run `get`, which downloads a data set into `root` and verifies its checksums.

    Raises:
        UserError: there is no network, no room, no permission, or a checksum is wrong.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        get()
    except (OSError, RuntimeError) as error:
        reason = files.printable(str(error)) or type(error).__name__
        raise UserError(
            f'the data set "{name}" could not be fetched into {files.printable(str(root))}: {reason}'
        ) from error
