"""What lies in a run's artefacts: the files, and the matrices in those that hold any.

A JSON file may hold matrices by name, under `matrices` or at its top; a safetensors file holds tensors, of
which the two-dimensional ones are matrices and those of truth values are masks.
"""

from __future__ import annotations

import json
import struct
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imbtui import shapes

MOST_ENTRIES = 65536  # of a matrix that is shown
MOST_BYTES = 1 << 26  # of a file that is looked into
_CODES = {"F64": "d", "F32": "f", "I64": "q", "I32": "i", "I16": "h", "I8": "b", "U8": "B", "BOOL": "B"}


@dataclass(frozen=True)
class Artefact:
    """A file.

    Attributes:
        name: below the artefacts' folder.
        size: bytes.
        changed: when it changed last (ns).
    """

    name: str
    size: int
    changed: int


@dataclass(frozen=True)
class Content:
    """What is in a file.

    Attributes:
        about: lines about the whole.
        matrices: by name.
        axes: what rows and columns are; empty where the file does not say it.
    """

    about: tuple[str, ...] = ()
    matrices: dict[str, list[list[float | None]]] = field(default_factory=dict)
    axes: str = ""


def listed(folder: Path) -> list[Artefact]:
    """Return the files of a run's artefacts, by name."""
    found = []
    try:
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
    except OSError:
        return []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue
        found.append(Artefact(path.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns))
    return found


def read(path: Path) -> Content:
    """Return what is in a file; one that cannot be read says so."""
    try:
        if path.stat().st_size > MOST_BYTES:
            return Content(("too large to be shown here",))
        if path.suffix == ".json":
            return _read_json(path)
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
    except OSError as error:
        return Content((f"cannot be read: {error.strerror or error}",))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, struct.error):
        return Content(("not what its name says",))
    return Content()


def _read_json(path: Path) -> Content:
    document = json.loads(path.read_bytes())
    if not isinstance(document, dict):
        return Content(matrices={path.stem: _numbers_of(document)}) if _is_matrix(document) else Content()
    inside = document.get("matrices", document)
    matrices = {
        str(name): _numbers_of(value)
        for name, value in (inside.items() if isinstance(inside, dict) else ())
        if _is_matrix(value)
    }
    plain = {key: value for key, value in document.items() if isinstance(value, str | int | float)}
    rows, columns = plain.pop("rows", ""), plain.pop("columns", "")
    about = tuple(f"{key}: {value}" for key, value in plain.items())
    return Content(about, matrices, f"rows: {rows}, columns: {columns}" if rows and columns else "")


def _numbers_of(rows: list[list[Any]]) -> list[list[float | None]]:
    return [[entry if shapes.number(entry) else None for entry in row] for row in rows]


def _is_matrix(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(row, list) and len(row) == len(value[0]) for row in value)
        and 0 < len(value) * len(value[0]) <= MOST_ENTRIES
    )


def _read_safetensors(path: Path) -> Content:
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    about, matrices = [], {}
    ones = total = 0
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        kind, shape = entry["dtype"], entry["shape"]
        first, last = entry["data_offsets"]
        raw = data[8 + length + first : 8 + length + last]
        line = f"{name}  {' × '.join(map(str, shape)) or 'one number'}  {kind}"
        if kind == "BOOL" or "mask" in path.name:
            kept = sum(raw) if kind in ("BOOL", "U8") else sum(v != 0 for v in _numbers(raw, kind))
            count = len(raw) // _width(kind)
            ones, total = ones + kept, total + count
            line += f"  {100 * (1 - kept / max(1, count)):.1f} % pruned"
        about.append(line)
        if len(shape) == 2 and shape[0] * shape[1] <= MOST_ENTRIES and kind in _CODES:
            values = _numbers(raw, kind)
            matrices[name] = [list(values[r * shape[1] : (r + 1) * shape[1]]) for r in range(shape[0])]
    if total:
        about.insert(0, f"{100 * (1 - ones / total):.2f} % of {total} weights are pruned")
    return Content(tuple(about), matrices)


def _numbers(raw: bytes, kind: str) -> array[Any]:
    values = array(_CODES[kind])
    values.frombytes(raw)
    return values


def _width(kind: str) -> int:
    return array(_CODES[kind]).itemsize
