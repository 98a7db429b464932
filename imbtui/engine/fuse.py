"""Which runs of a launch train together in one process, and their training from folders to results.

Nothing of it shows in the runs but `fused_with` in env.json: every one keeps its folder, its rows, its
checkpoints and its result, and goes on alone or together, whichever way it began.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from imbtui import files, plugins
from imbtui.engine import session
from imbtui.errors import UserError
from imbtui.paths import RunPaths
from imbtui.recipe import Recipe
from imbtui.recipe.fusing import FEWEST, hindrance
from imbtui.recipe.read import read_resolved

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

    from imbtui.engine.fused_run import Member
    from imbtui.engine.run import Assembly

NOT_FUSED = 75
"""Exit status of a process that found, before it began any run, that they cannot train together."""

MOST = 32  # with more, a step of all is hardly cheaper for each
MOST_DATA = 1 << 30  # bytes: every run of those that train together holds its data


class Fellows:
    """Finds the runs of a launch that may train together.

    Args:
        runs: what the launch carries.
    """

    def __init__(self, runs: Sequence[RunPaths]) -> None:
        self._settings = {run.id: _settings(run) for run in runs}
        self._fuse: dict[str, bool] = {}

    def of(self, run: RunPaths, others: Sequence[RunPaths]) -> list[RunPaths]:
        """Return `run` and those of the others that train together with it; none if it trains alone.

        They differ in their seeds alone, and their recipe says `train.fuse = true`.
        """
        mine = self._settings[run.id]
        alike = [run, *(other for other in others if self._settings[other.id] == mine)]
        if not mine or len(alike) < FEWEST or not self._wanted(mine, run):
            return []
        alike = [one for one in alike if not session.is_done(one)][:MOST]
        return alike if len(alike) >= FEWEST else []

    def _wanted(self, settings: str, run: RunPaths) -> bool:
        if settings not in self._fuse:
            try:
                recipe = read_resolved(run.recipe)
            except UserError:
                return False  # told where the run is trained
            self._fuse[settings] = recipe.train.fuse and not hindrance(recipe)
        return self._fuse[settings]

    def refuse(self, run: RunPaths) -> None:
        """Remember that runs like this one cannot train together."""
        self._fuse[self._settings[run.id]] = False


def _settings(run: RunPaths) -> str:
    """Return what is equal for runs that differ in nothing but seeds; empty: unknown."""
    submit = files.read_json(run.submit)
    return str(submit.get("settings", "")) if isinstance(submit, dict) else ""


def train(runs: Sequence[RunPaths], provenance: dict[str, Any]) -> int:
    """Train runs together and write their results; return the exit status of their process.

    Where they cannot, their logs are told why and `NOT_FUSED` is returned: none was begun then.
    """
    from imbtui.engine.fused import NotFused

    try:
        built = _assembled(runs)
    except NotFused as error:
        for run in runs:
            session.note(run.log, f"imbtui: train.fuse has no effect here: {error}")
        return NOT_FUSED
    except Exception:
        return NOT_FUSED  # each will tell by itself what is wrong with it
    stop_flag = session.catch_stop()
    claimed = []
    for run, part in zip(runs, built, strict=True):
        number = session.attempt_of(run)
        if session.claim(run, 0, number):
            claimed.append((session.Attempt(run, number), part))
    for attempt, _ in claimed:
        attempt.sharing = len(claimed)
    if not claimed:
        return 0
    return session.exit_status(_Group(claimed, stop_flag, provenance).train())


class _Built(NamedTuple):
    """What a run computes with."""

    recipe: Recipe
    accelerator: Accelerator
    assembly: Assembly


def _assembled(runs: Sequence[RunPaths]) -> list[_Built]:
    """Build what runs compute with, and make sure that they may share a computation.

    Nothing is written into their folders.

    Raises:
        NotFused: they cannot train together.
    """
    from imbtui.engine.build import assemble, make_accelerator
    from imbtui.engine.fused import NotFused, check_methods, check_structure

    recipes = [read_resolved(run.recipe) for run in runs]
    first = recipes[0]
    if any(recipe.model_copy(update={"seeds": first.seeds}) != first for recipe in recipes):
        raise NotFused("their recipes differ in more than the seed")
    check_methods([plugins.load("method", method.name) for method in first.methods])
    session.use_threads(first.train.threads)
    accelerator = make_accelerator(first)
    if accelerator.device.type != "cpu":
        raise NotFused("runs train together on a CPU only")
    built: list[_Built] = []
    for run, recipe in zip(runs, recipes, strict=True):
        built.append(_Built(recipe, accelerator, assemble(recipe, run, accelerator)))
        if len(built) == 1:
            check_structure(built[0].assembly.objective)
            if _bytes(built[0].assembly) * len(runs) > MOST_DATA:
                raise NotFused("their data is too large to be held once for each of them")
    steps = {_step(run, accelerator.device) for run in runs}
    if len(steps) > 1:
        raise NotFused("they stand at different steps")
    _check(first, [part.assembly for part in built], *steps)
    return built


def _check(recipe: Recipe, assemblies: Sequence[Assembly], step: int) -> None:
    """Make sure that a step of all is a step of each, now and by what is in force at the end.

    Raises:
        NotFused: it is not, or they have batches of different sizes.
    """
    from imbtui.engine.batches import DeviceBatches
    from imbtui.engine.fused import NotFused, check_equality
    from imbtui.engine.tick import Tick

    data = [assembly.data["train"] for assembly in assemblies]
    resident = [batches for batches in data if isinstance(batches, DeviceBatches)]
    if len(resident) < len(data):
        raise NotFused("their images are read from files")
    if len({batches.order.count for batches in resident}) > 1:
        raise NotFused("the seeds train on different numbers of examples")
    steps_per_epoch = resident[0].steps_per_epoch
    length = recipe.train.length(steps_per_epoch)
    ticks = [Tick("train", at, steps_per_epoch, length) for at in (step, length - 1)]
    firsts = [next(iter(batches.epoch(ticks[0].epoch))) for batches in resident]
    check_equality([assembly.objective for assembly in assemblies], firsts, ticks)


def _bytes(assembly: Assembly) -> int:
    return sum(examples.x.nbytes for examples in assembly.context.examples.values())


def _step(run: RunPaths, device: torch.device) -> int:
    """Return the step that a run would go on with."""
    from imbtui.engine.checkpoint import Checkpoints
    from imbtui.engine.fused import NotFused

    checkpoints = Checkpoints(run.checkpoints, writes=False, device=device, every=None)
    if checkpoints.finished("train") is not None:
        raise NotFused("one of them has finished its training")
    state = checkpoints.under_way("train")
    return 0 if state is None else state["step"]


class _Group:
    """Runs that this process has claimed and trains together."""

    def __init__(
        self,
        claimed: Sequence[tuple[session.Attempt, _Built]],
        stop_flag: list[int],
        provenance: dict[str, Any],
    ) -> None:
        self._claimed = claimed
        self._stop_flag = stop_flag
        self._provenance = provenance
        self._states: dict[str, str] = {}

    def train(self) -> list[str]:
        """Train them and return how they ended."""
        from imbtui.engine.fit import Stopped, fit
        from imbtui.engine.fused_run import FusedRun

        leader = self._claimed[0][0].run
        session.redirect(leader.log)
        for attempt, _ in self._claimed[1:]:
            session.note(
                attempt.run.log, f"imbtui: trains together with {leader.id}, whose log has what they print"
            )
        how: tuple[str, BaseException | None] = ("stopped", None)
        try:
            together = FusedRun([self._member(*pair) for pair in self._claimed], self._stop_flag)
            fit(together, together.objective, "train")
            together.close()
        except Stopped:
            pass
        except BaseException as error:
            how = ("failed", error)
            if not isinstance(error, Exception):
                raise
        finally:
            for attempt, _ in self._claimed:
                if attempt.run.id not in self._states:
                    self._end(attempt, *how)
        return [*self._states.values()]

    def _member(self, attempt: session.Attempt, built: _Built) -> Member:
        from imbtui.engine.build import build
        from imbtui.engine.fused_run import Member

        under_way = build(built.recipe, attempt.run, built.accelerator, [], built.assembly)
        others = [other.run.id for other, _ in self._claimed if other is not attempt]
        attempt.begin(under_way, self._provenance | {"fused_with": others})
        return Member(
            run=under_way,
            stop_asked=lambda: session.stop_asked(attempt.run, attempt.number),
            end=lambda state, error: self._end(attempt, state, error),
        )

    def _end(self, attempt: session.Attempt, state: str, error: BaseException | None) -> None:
        reason = session.STOPPED if state == "stopped" else ""
        if error is not None:
            session.redirect(attempt.run.log)
            reason = session.explain(error, attempt)
            session.redirect(self._claimed[0][0].run.log)
        self._states[attempt.run.id] = attempt.end(state, reason)
