"""What the dashboard does to runs: the core's functions over several runs, answered with sentences.

They wait for files and for the worker to start, so they are called in threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from imbtui.errors import UserError
from imbtui.paths import RunsPaths
from imbtui.text import plural


@dataclass
class Outcome:
    """What came of an action.

    Attributes:
        done: ids it was done to.
        refused: a sentence for each of the others.
    """

    done: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def sentences(self, verb: str) -> list[tuple[str, str]]:
        """Return what to say, with a severity each.

        Args:
            verb: what was done, such as `asked to stop`.
        """
        said = [(f"{plural(len(self.done), 'run')} {verb}", "information")] if self.done else []
        return said + [(sentence, "warning") for sentence in self.refused[:3]]


def stop(runs: RunsPaths, ids: Sequence[str]) -> list[tuple[str, str]]:
    """Ask runs to stop; running ones write a checkpoint first."""
    from imbtui import worker

    return _each(ids, lambda i: worker.request_stop(runs, i)).sentences("asked to stop")


def resume(runs: RunsPaths, ids: Sequence[str]) -> list[tuple[str, str]]:
    """Queue ended runs again; for queued ones see that there is a worker."""
    from imbtui import store, worker

    def one(run_id: str) -> None:
        if store.read(runs.run(run_id)).state == "queued":
            worker.ensure(runs)
        else:
            worker.resume(runs, run_id)

    outcome = _each(ids, one)
    _sync(runs, outcome.done)
    return outcome.sentences("queued")


def remove(runs: RunsPaths, ids: Sequence[str], *, moved: Callable[[Path], object]) -> list[tuple[str, str]]:
    """Move runs to the trash; runs that are queued or running are refused.

    Args:
        moved: told where each lies now.
    """
    from imbtui import folders, store

    def one(run_id: str) -> None:
        state = store.read(runs.run(run_id)).state
        if state in store.ACTIVE:
            raise UserError(f"it is {state}; stop it first", where=run_id)
        moved(folders.remove(runs, run_id))

    outcome = _each(ids, one)
    _sync(runs, outcome.done)
    return outcome.sentences("moved to the trash; u brings back")


def restore(runs: RunsPaths, places: Sequence[Path]) -> list[tuple[str, str]]:
    """Take runs back from the trash."""
    from imbtui import folders

    back: list[str] = []
    there = {place.name: place for place in places}
    outcome = _each(list(there), lambda name: back.append(folders.restore(runs, there[name])))
    _sync(runs, back)
    return outcome.sentences("brought back")


def tag(runs: RunsPaths, ids: Sequence[str], words: str) -> list[tuple[str, str]]:
    """Add tags to runs and take some away.

    Args:
        words: `+a b -c`, see `parse_tags`.
    """
    from imbtui import folders, store

    added, taken = parse_tags(words)

    def one(run_id: str) -> None:
        run = runs.run(run_id)
        tags, note = store.read_notes(run)
        folders.write_notes(run, tags=sorted((set(tags) | added) - taken), note=note)

    outcome = _each(ids, one)
    _sync(runs, outcome.done)
    return outcome.sentences("tagged")


def parse_tags(words: str) -> tuple[set[str], set[str]]:
    """Return the tags to add and to take away of `+a b -c`.

    Raises:
        UserError: a word is no tag.
    """
    from imbtui import folders

    added: set[str] = set()
    taken: set[str] = set()
    for word in words.split():
        name = word.removeprefix("+").removeprefix("-") if word[0] in "+-" else word
        folders.check_tag(name)
        (taken if word.startswith("-") else added).add(name)
    return added, taken


def note(runs: RunsPaths, run_id: str, text: str) -> list[tuple[str, str]]:
    """Write a note on a run; an empty one clears it."""
    from imbtui import folders, store

    def one(run_id: str) -> None:
        run = runs.run(run_id)
        folders.write_notes(run, tags=store.read_notes(run)[0], note=text.strip())

    return _each([run_id], one).sentences("noted")


def move(runs: RunsPaths, run_id: str, position: int) -> list[tuple[str, str]]:
    """Give a waiting run another turn; the screen that asked shows it."""
    from imbtui import queue

    try:
        queue.move(runs, run_id, position)
    except UserError as error:
        return [(str(error), "warning")]
    return []


def start_worker(runs: RunsPaths) -> list[tuple[str, str]]:
    """See that there is a worker."""
    from imbtui import worker

    worker.ensure(runs)
    return [("a worker runs", "information")]


def pause(runs: RunsPaths, *, paused: bool) -> list[tuple[str, str]]:
    """Let the queue start nothing new, or go on."""
    from imbtui import folders, queue

    folders.ensure_folder(runs)
    if paused:
        queue.pause(runs)
        return [("the queue is paused; what runs goes on", "information")]
    queue.resume(runs)
    return [("the queue goes on", "information")]


def set_slots(
    runs: RunsPaths, slots: int | None = None, *, gpu_slots: int | None = None
) -> list[tuple[str, str]]:
    """Change how many launches run at once, see `queue.set_slots`; the screen that asked shows it."""
    from imbtui import folders, queue

    folders.ensure_folder(runs)
    queue.set_slots(runs, slots, gpu_slots=gpu_slots)
    return []


def _each(ids: Sequence[str], act: Callable[[str], None]) -> Outcome:
    outcome = Outcome()
    for run_id in ids:
        try:
            act(run_id)
        except UserError as error:
            outcome.refused.append(str(error))
        except OSError as error:
            outcome.refused.append(f"{run_id}: {error.strerror or error}")
        else:
            outcome.done.append(run_id)
    return outcome


def _sync(runs: RunsPaths, ids: Sequence[str]) -> None:
    from imbtui import index

    if ids:
        index.sync(runs, ids)


Act = Callable[[RunsPaths, Sequence[str]], list[tuple[str, str]]]
