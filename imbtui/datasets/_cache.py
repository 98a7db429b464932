"""Arrays that take long to decode, kept decoded in the user's cache folder."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbtui import files

PATIENCE = 300.0
"""Seconds to wait for another process that is decoding the same array."""


def cached_array(key: str, make: Callable[[], NDArray]) -> NDArray:
    """Return the array kept under `key`; the first time, make it and keep it.

    Several processes that ask at once make it once. Where the cache folder cannot be written, or what
    it holds is damaged, the array is made anew and returned all the same.

    Args:
        key: file name without suffix; must change when what `make` returns changes.
        make: decodes the array.
    """
    path = _folder() / f"{key}.npy"
    array = _read(path)
    if array is not None:
        return array
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(files.locked(path.with_suffix(".lock"), timeout=PATIENCE))
        except OSError:  # TimeoutError is one too
            return make()
        array = _read(path)
        if array is None:
            array = make()
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            with contextlib.suppress(OSError):
                files.write_atomic(path, buffer.getvalue())
    return array


def _folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("imbtui")) / "decoded"


def _read(path: Path) -> NDArray | None:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
