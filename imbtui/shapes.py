"""Which kinds of values the files of a run folder hold.

A folder may have been edited by hand, damaged, or made to do harm. A value of another kind than its key has
here counts as absent, so that whoever reads runs may rely on kinds and sizes. Keys that are not named here
pass as they are: they are shown, at most.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

Shape = Callable[[Any], bool]
LARGEST = 2**63  # a count beyond it fits into no index


def text(value: Any) -> bool:
    return isinstance(value, str)


def argument(value: Any) -> bool:
    """Text that a program can be started with."""
    return isinstance(value, str) and "\0" not in value


def mark(value: Any) -> bool:
    """An id that is part of a file's name."""
    return isinstance(value, str) and re.fullmatch(r"[\w-]{1,64}", value, re.ASCII) is not None


def flag(value: Any) -> bool:
    return isinstance(value, bool)


def number(value: Any) -> bool:
    """A finite number that is no truth value."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and -LARGEST < value < LARGEST
        and math.isfinite(value)
    )


def whole(value: Any) -> bool:
    """A whole number, also a negative one."""
    return isinstance(value, int) and number(value)


def count(value: Any) -> bool:
    """A whole number from 0 on."""
    return whole(value) and value >= 0


def above_zero(value: Any) -> bool:
    """A whole number from 1 on."""
    return whole(value) and value >= 1


def amount(value: Any) -> bool:
    """A number from 0 on."""
    return number(value) and value >= 0


def mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def knobs(value: Any) -> bool:
    """Texts and numbers by name."""
    return isinstance(value, Mapping) and all(text(part) or number(part) for part in value.values())


def list_of(shape: Shape) -> Shape:
    return lambda value: isinstance(value, list) and all(map(shape, value))


def optional(shape: Shape) -> Shape:
    return lambda value: value is None or shape(value)


def device(value: Any) -> bool:
    """`"cpu"`, a list of GPU indices, or None for any device."""
    return value is None or value == "cpu" or list_of(count)(value)


def plugin(value: Any) -> bool:
    """A table of a recipe; the name in it, if there is one, is text."""
    return isinstance(value, Mapping) and text(value.get("name", ""))


def executor(value: Any) -> bool:
    """A place that runs launches."""
    return value in ("local", "slurm")


def request(value: Any) -> bool:
    """What is asked of a scheduler: texts, numbers and lists of texts by name; None: nothing."""
    return value is None or (
        isinstance(value, Mapping)
        and all(argument(v) or amount(v) or list_of(argument)(v) for v in value.values())
    )


def table_of(shapes: Mapping[str, Shape], *, needs: Collection[str] = ()) -> Shape:
    """A table with certain keys, whose known ones are all of their kinds."""
    return lambda value: (
        isinstance(value, Mapping) and all(key in value for key in needs) and damaged(value, shapes) is None
    )


SUBMIT: Mapping[str, Shape] = {
    "attempt": above_zero,
    "priority": whole,
    "order": whole,
    "place": whole,
    "created": text,
    "host": text,
    "study": text,
    "variant": text,
    "title": text,
    "paper": text,
    "arm": optional(text),
    "point": mapping,
    "knobs": knobs,
    "seed": count,
    "digest": text,
    "settings": text,
    "path": text,
    "overrides": list_of(text),
    "gpus": device,
    "here": flag,
    "data": optional(argument),
    "processes": above_zero,
    "memory": optional(amount),
    "threads": count,
    "pack": count,
    "fuse": flag,
    "retries": count,
    "retried": count,
    "grace": amount,
    "pack_key": text,
    "executor": executor,
    "slurm": request,
}
JOB: Mapping[str, Shape] = {
    "id": mark,
    "name": argument,
    "state": text,
    "reason": text,
    "nodes": text,
    "restarts": count,
}
STATE: Mapping[str, Shape] = {
    "state": text,
    "attempt": above_zero,
    "launch": mark,
    "gpus": list_of(count),
    "slots": count,
    "processes": above_zero,
    "memory": optional(count),
    "log": text,
    "log_offset": count,
    "at": text,
    "how": text,
    "reason": text,
    "gpu_memory": count,
    "executor": executor,
    "job": mapping,
}
RESULT: Mapping[str, Shape] = {
    "attempt": above_zero,
    "state": text,
    "reason": text,
    "metrics": mapping,
    "best": optional(mapping),
    "seconds": optional(amount),
    "steps": optional(count),
    "epochs": optional(amount),
    "fit_epoch": optional(amount),
    "gpu_memory": count,
}
ENV: Mapping[str, Shape] = {
    "device": text,
    "gpu": optional(text),
    "git_commit": optional(text),
    "steps": optional(count),
    "steps_per_epoch": optional(count),
    "stages": list_of(text),
    "class_counts": list_of(amount),
}
RANK: Mapping[str, Shape] = {
    "attempt": above_zero,
    "host": text,
    "boot_id": text,
    "pid": above_zero,
    "start_ticks": count,
    "restart": count,
}
NOTES: Mapping[str, Shape] = {"tags": list_of(text), "note": text}
RECIPE: Mapping[str, Shape] = {
    "title": text,
    "seeds": list_of(count),
    "dataset": plugin,
    "corruptions": list_of(plugin),
    "augmentation": mapping,
    "model": plugin,
    "loss": plugin,
    "methods": list_of(plugin),
    "optimizer": plugin,
    "schedule": mapping,
    "train": mapping,
    "probes": list_of(plugin),
    "launch": mapping,
}
_MEMBER: Mapping[str, Shape] = {"arm": optional(text), "point": mapping, "seed": count, "digest": text}
_REPORTED: Mapping[str, Shape] = {
    "where": mapping,
    "metric": text,
    "value": number,
    "source": text,
    "confidence": text,
    "says": text,
    "headline": flag,
}
# What was recorded of a study that was submitted.
STUDY: Mapping[str, Shape] = {
    "recorded": text,
    "study": text,
    "variant": text,
    "source": text,
    "overrides": list_of(text),
    "title": text,
    "paper": optional(text),
    "seeds": list_of(count),
    "arms": list_of(text),
    "grid": mapping,
    "claims": list_of(mapping),
    "reported": list_of(
        table_of(_REPORTED, needs=("where", "metric", "value", "source", "confidence")),
    ),
    "metrics": list_of(text),
    "stages": list_of(text),
    "members": list_of(table_of(_MEMBER, needs=("seed", "digest"))),
}
# What every row of metrics.jsonl says of its place.
ROW: Mapping[str, Shape] = {"stage": text, "step": count, "epoch": amount, "time": amount}


def damaged(document: Any, shapes: Mapping[str, Shape]) -> str | None:
    """Return a key whose value is of the wrong kind, or None when there is none."""
    return next((key for key, fits in shapes.items() if key in document and not fits(document[key])), None)


def cleaned(document: Any, shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """Return a document without the values that are of the wrong kind; what is no document is empty."""
    if not isinstance(document, Mapping):
        return {}
    return {key: value for key, value in document.items() if (fits := shapes.get(key)) is None or fits(value)}
