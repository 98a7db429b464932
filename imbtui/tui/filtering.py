"""The search field's filter: `imbtui.where` over rows, reading run folders only when it has to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from imbtui import knobs, where
from imbtui.paths import RunsPaths
from imbtui.tui.messages import Row
from imbtui.tui.searched import Searched

_BARE = re.compile(r"[\w.@:+%-]+")
_LISTED = frozenset(
    {"id", "state", "reason", "study", "variant", "arm", "seed", "digest"}
    | {"created", "attempt", "seconds", "tags", "tag", "name"}
)

_SHARED = frozenset({"state", "study", "variant", "arm", "seed", "attempt"})  # the same in many runs


class RunFilter:
    """A parsed expression.

    Args:
        runs: where run folders are.
        text: the expression; empty: everything.
        known: recipes that were read before, by run id; what is read is added.

    Raises:
        UserError: the text is no expression.
    """

    def __init__(self, runs: RunsPaths, text: str, known: dict[str, Any]) -> None:
        self.text = text.strip()
        self._runs = runs
        self._known = known
        self._parsed = where.parse(self.text, where="filter")
        # By far the most common.
        self._word = self.text.lower() if _BARE.fullmatch(self.text) else ""
        asked = {key: knobs.ALIASES.get(key, key) for key in self._parsed.keys}
        self._knobs = {key: name for key, name in asked.items() if name in knobs.KEYS}

    @property
    def needs_folders(self) -> bool:
        """Whether it looks at what the listing does not hold, so that it is better done in a thread."""
        from imbtui.index import LISTED_METRICS

        return not self._word and not self._parsed.keys <= _LISTED | {*LISTED_METRICS, *self._knobs}

    def apply(self, rows: Sequence[Row], searched: Searched | None = None) -> list[Row]:
        """Return the rows that satisfy the expression, in their order.

        Args:
            searched: the texts of these rows.
        """
        if not self.text:
            return list(rows)
        if self._word:
            return [rows[position] for position in (searched or Searched(rows)).find(self._word)]
        if self.needs_folders:
            return [row for row in rows if self._parsed(self._whole(row))]
        if self._parsed.keys <= _SHARED | {*self._knobs}:
            return self._apply_once(rows)
        return [row for row in rows if self._parsed(self._listed(row))]

    def _apply_once(self, rows: Sequence[Row]) -> list[Row]:
        """Ask once about runs that agree in everything that the expression looks at."""
        answers: dict[tuple[Any, ...], bool] = {}
        fields = sorted(self._parsed.keys & _SHARED)
        satisfied = []
        for row in rows:
            shared = row.get("knobs")  # one object for all runs with the same
            looked_at = (row["id"] if shared is None else id(shared), *[row.get(name) for name in fields])
            answer = answers.get(looked_at)
            if answer is None:
                answer = answers[looked_at] = self._parsed(self._listed(row))
            if answer:
                satisfied.append(row)
        return satisfied

    def _listed(self, row: Row) -> Row:
        """Return a row with the metrics it has reached, and with the knobs that are asked for."""
        live, asked = row.get("live"), self._knobs
        if not live and not asked:
            return row
        seen = dict(row)
        if live:
            seen["metrics"] = live["metrics"]
        if asked:
            known = row.get("knobs")
            if known is None:  # of a version before knobs were stored
                known = knobs.main_knobs(self._recipe(row))
            seen["point"] = {key: known.get(name) for key, name in asked.items()}
        return seen

    def _recipe(self, row: Row) -> dict[str, Any]:
        from imbtui import store

        recipe = self._known.get(row["id"])
        if recipe is None:
            recipe = self._known[row["id"]] = store.RunView(self._runs.run(row["id"]), "").recipe
        return recipe

    def _whole(self, row: Row) -> dict[str, Any]:
        from imbtui import store

        view = store.read(self._runs.run(row["id"]))
        fields = {name: getattr(view, name) for name in (*where.TEXT_FIELDS, *where.NUMBER_FIELDS)}
        metrics = {**view.metrics, **self._listed(row).get("metrics", {})}
        of_recipe = {"point": view.point, "recipe": self._recipe(row)}
        return {**fields, **row, "tags": view.tags, **of_recipe, "metrics": metrics}
