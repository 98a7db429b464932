"""Inner repetitions that are one measurement: what a plan without steps does of each, and logs of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from imbtui.engine.fit import Stopped
from imbtui.engine.tick import Tick

if TYPE_CHECKING:
    from imbtui.engine.run import Assembly, Run


def over_replicates(run: Run, stage: str, measure: Callable[[Assembly], dict[str, Any]]) -> None:
    """Measure every replicate of `train.replicates` and log the means of what are numbers.

    With more than one, the values are kept as an artefact, `replicates.json`.

    Args:
        stage: the stage they are logged in; it has no steps.
        measure: returns values by full name.

    Raises:
        Stopped: the run was asked to stop.
    """
    count = run.recipe.train.replicates
    rows: list[dict[str, float]] = []
    for number in range(count):
        if run.stop_requested(Tick(stage, number, count, count)):
            raise Stopped(stage)
        measured = measure(run.assembly if count == 1 else run.replicate(number))
        rows.append({name: value for name, value in measured.items() if isinstance(value, float | int)})
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    run.note(stage, run.steps, {name: float(np.mean(values)) for name, values in columns.items()})
    if count > 1:
        run.keep("replicates.json", orjson.dumps(columns))
