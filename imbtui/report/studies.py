"""The studies that were submitted to a runs folder, and the runs that stand for what they ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from imbtui import index, store
from imbtui.members import by_digest
from imbtui.paths import RunsPaths

Record = Mapping[str, Any]
"""What a verdict needs to know of a study, see `recipe.Study.record`."""


def views_of(
    runs: RunsPaths, records: Sequence[Record], *, warn: Callable[[str], None] = lambda sentence: None
) -> dict[str, store.RunView]:
    """Return the runs that stand for the digests of studies, by digest; no other folder is opened.

    Args:
        warn: takes sentences about a damaged index.
    """
    wanted = {member["digest"] for record in records for member in record.get("members", [])}
    rows = [row for row in index.query(runs, warn=warn) if row.get("digest") in wanted]
    return by_digest(store.read(runs.run(row["id"])) for row in rows)


def newest(records: Sequence[Record]) -> Record:
    """Return what stands for a study of which several variants were run: as its recipe is, else the last."""
    plain = [record for record in records if not record.get("overrides")]
    return (plain or list(records))[-1]


def named(record: Record) -> str:
    """Return a study's variant as it can be named: `cao2019/quick@5fd11e48`."""
    return f"{record.get('study', '')}@{record.get('variant', '')}"


def title(record: Record) -> str:
    """Return a study's name with what was changed about it: `quickstart (train.epochs=4)`."""
    overrides = " ".join(record.get("overrides", ()))
    return str(record.get("study", "")) + (f" ({overrides})" if overrides else "")
