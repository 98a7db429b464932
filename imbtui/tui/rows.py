"""What a run's row says: its name, how far it is, its numbers. Pure functions of the index's rows."""

from __future__ import annotations

from typing import Any

from imbtui import text, where
from imbtui.files import printable
from imbtui.knobs import phrase
from imbtui.tui.messages import Row

MAIN_METRIC = "test/balanced_accuracy"
STATES = where.STATES


def name(row: Row) -> str:
    """Return what tells a run apart within its study: arm and grid point, else the study's own name."""
    if "named" in row:
        return str(row["named"])
    parts = [row.get("arm") or "", text.point(row["point"]) if row.get("point") else ""]
    return printable("  ".join(p for p in parts if p) or row.get("study", "").rsplit("/", 1)[-1] or row["id"])


def label(row: Row) -> str:
    """Return a run's name and seed."""
    return f"{name(row)}, seed {row.get('seed', '')}"


def last(row: Row, metric: str = MAIN_METRIC) -> float | None:
    """Return a metric's newest value; for a running run the newest that was evaluated."""
    live = row.get("live")
    value = (live["metrics"] if live else row.get("metrics") or {}).get(metric)
    return value if isinstance(value, int | float) else None


def best(row: Row, metric: str = MAIN_METRIC) -> float | None:
    """Return a metric's value at the best validation epoch; None without a validation split."""
    value = (row.get("best") or {}).get(metric)
    return value if isinstance(value, int | float) else None


def share(row: Row) -> float | None:
    """Return how much of its stage a running run has done; None for all others."""
    live = row.get("live")
    return live["share"] if live and row["state"] == "running" else None


def seconds_left(row: Row) -> float | None:
    """Return about how many seconds a running run still needs for its stage."""
    live = row.get("live")
    return live["left"] if live and row["state"] == "running" else None


def situation(row: Row) -> str:
    """Return what there is to say about the run's state, in a phrase: a reason, a time, an epoch."""
    state = row["state"]
    if state == "running":
        return epochs(row)
    if state == "queued":
        return printable(row.get("why") or row.get("reason") or "")
    took = row.get("seconds")
    if state == "finished":
        return f"took {text.duration(took)}" if took is not None else ""
    return printable(row.get("reason") or (f"after {text.duration(took)}" if took else ""))


def by_key(why: str) -> str:
    """Return why a run waits: a key does what the command line would have to be told."""
    from imbtui.queue import NO_WORKER

    return why.replace(NO_WORKER, "no worker runs: R starts it")


def epochs(row: Row) -> str:
    """Return the epoch of a running run: `12 of 80`, with its stage where there are several."""
    live = row.get("live")
    if not live:
        return "starting"
    stage = "" if live["stage"] in ("", "train") else f"{printable(live['stage'])}, "
    whole = live["epochs"]
    if whole < 1 and live["steps"]:
        return f"{stage}step {live['step']} of {live['steps']}"
    return f"{stage}epoch {int(live['epoch'])} of {whole:.0f}"


def device(row: Row) -> str:
    """Return where a run trains or trained: `CPU`, `GPU 1`; empty before it has started."""
    if row.get("device"):
        return str(row["device"])
    where = str((row.get("live") or {}).get("device", ""))
    kind, _, number = where.partition(":")
    return {"cpu": "CPU", "cuda": f"GPU {number or 0}"}.get(kind, "")


def searchable(row: Row) -> str:
    """Return the texts a bare word of a filter is looked for in, in small letters."""
    words: list[Any] = [row["id"], row.get("study"), row.get("arm"), row.get("title"), *row.get("tags", ())]
    return "\n".join(str(word).lower() for word in words if word)


def knobs(row: Row) -> str:
    """Return what mostly makes the run's recipe: loss, data, imbalance, noise, pruning, model, length."""
    if "told" in row:
        return str(row["told"])
    return printable(phrase(row.get("knobs") or {}))


def group_keys(row: Row) -> tuple[str, str]:
    """Return the keys of the study, and of the arm at its grid point, that a run is a seed of."""
    study = f"{row.get('study', '')}\0{row.get('variant', '')}"
    return study, f"{study}\0{row.get('arm') or ''}\0{row.get('point') or ''}"
