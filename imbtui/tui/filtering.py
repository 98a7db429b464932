"""The search field's filter: `imbtui.where` over the list of runs, a column at a time.

Asking run by run takes 50 ms for ten thousand runs, at every key. Here each part of an expression looks only
at the runs that the parts before it have left, and a value that many runs share is tested once. Run folders
are read only for what the listing does not hold, and last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from imbtui import knobs, where
from imbtui.paths import RunsPaths
from imbtui.tui.messages import Row
from imbtui.tui.searched import Searched, Values

_LASTING = frozenset({"id", "study", "variant", "title", "arm", "seed", "digest", "created", "name"})
_LISTED = frozenset(
    {"id", "state", "reason", "study", "variant", "title", "arm", "seed", "digest"}
    | {"created", "attempt", "seconds", "tags", "tag", "name"}
)


class RunFilter:
    """A parsed expression.

    Args:
        runs: where run folders are.
        text: the expression; empty: everything.
        known: recipes that were read before, by run id; what is read is added.

    Attributes:
        lasting: keys of the listing under which a run keeps what it has.

    Raises:
        UserError: the text is no expression.
    """

    def __init__(self, runs: RunsPaths, text: str, known: dict[str, Any]) -> None:
        from imbtui.index import LISTED_METRICS

        self.text = text.strip()
        self._runs = runs
        self._known = known
        parsed = where.parse(self.text, where="filter")
        self._whole = parsed.whole
        asked = {key: knobs.ALIASES.get(key, key) for key in parsed.keys}
        self._knobs = {key: name for key, name in asked.items() if name in knobs.KEYS}
        self.lasting = _LASTING | self._knobs.keys()
        self._unlisted = parsed.keys - _LISTED - self._knobs.keys() - set(LISTED_METRICS)

    @property
    def needs_folders(self) -> bool:
        """Whether it looks at what the listing does not hold, so that it is better done in a thread."""
        return bool(self._unlisted)

    def narrows(self, other: RunFilter) -> bool:
        """Whether all runs that satisfy this filter satisfy another: a word that was typed on."""
        mine, before = self._whole, other._whole
        return isinstance(mine, where.Word) and isinstance(before, where.Word) and before.word in mine.word

    def apply(self, rows: Sequence[Row], searched: Searched | None = None) -> list[Row]:
        """Return the rows that satisfy the expression, in their order.

        Args:
            searched: the texts of these rows.
        """
        return [rows[place] for place in self.find(rows, searched)]

    def find(
        self,
        rows: Sequence[Row],
        searched: Searched | None = None,
        *,
        among: Sequence[int] | None = None,
        given_up: Callable[[], bool] = lambda: False,
    ) -> Sequence[int]:
        """Return the places of the rows that satisfy the expression, in their order.

        Args:
            searched: the texts of these rows.
            among: places to look at; None: all.
            given_up: whether the answer is wanted no more; then it is any.
        """
        search = _Search(self, rows, searched or Searched(rows), given_up)
        return search.select(self._whole, range(len(rows)) if among is None else among)

    def reads_folders(self, node: where.Node) -> bool:
        """Whether a part of the expression looks at what the listing does not hold."""
        if isinstance(node, where.Comparison):
            return node.key in self._unlisted
        if isinstance(node, where.Not):
            return self.reads_folders(node.member)
        return isinstance(node, where.Both | where.Either) and any(map(self.reads_folders, node.members))

    def column(self, key: str, rows: Sequence[Row]) -> list[Any]:
        """Return what rows of the listing have under a key, as `where.lookup` finds it."""
        if key in self._knobs:
            name = self._knobs[key]
            return [(row.get("knobs") or self._older(row)).get(name) for row in rows]
        if "/" in key:
            return [(_reached(row) or {}).get(key) for row in rows]
        if key in ("tag", "tags"):
            return [tuple(row.get("tags") or ()) for row in rows]
        if key == "name":
            return [row.get("arm") or row.get("id") for row in rows]
        return [row.get(key) for row in rows]

    def folder(self, row: Row) -> Row:
        """Return a row with all that its run's folder says."""
        from imbtui import store

        view = store.read(self._runs.run(row["id"]))
        fields = {name: getattr(view, name) for name in (*where.TEXT_FIELDS, *where.NUMBER_FIELDS)}
        of_recipe = {"point": view.point, "recipe": self._recipe(row)}
        return {
            **fields,
            **row,
            "tags": view.tags,
            **of_recipe,
            "metrics": {**view.metrics, **(_reached(row) or {})},
        }

    def _older(self, row: Row) -> dict[str, Any]:
        """Return the knobs of a run of a version before they were stored."""
        return knobs.main_knobs(self._recipe(row)) if row.get("knobs") is None else {}

    def _recipe(self, row: Row) -> dict[str, Any]:
        from imbtui import store

        recipe = self._known.get(row["id"])
        if recipe is None:
            recipe = self._known[row["id"]] = store.RunView(self._runs.run(row["id"]), "").recipe
        return recipe


@dataclass(frozen=True)
class _Search:
    """One search of a list."""

    asked: RunFilter
    rows: Sequence[Row]
    searched: Searched
    given_up: Callable[[], bool]

    def select(self, node: where.Node, places: Sequence[int]) -> Sequence[int]:
        """Return those of the places whose rows satisfy a part of the expression."""
        if isinstance(node, where.Word):
            return self.searched.find(node.word, places)
        if isinstance(node, where.Comparison):
            return self._compare(node, places)
        if isinstance(node, where.Not):
            out = set(self.select(node.member, places))
            return [place for place in places if place not in out]
        assert isinstance(node, where.Both | where.Either)
        members = sorted(node.members, key=self.asked.reads_folders)
        if isinstance(node, where.Both):
            for member in members:
                places = self.select(member, places)
            return places
        found: set[int] = set()
        for member in members:
            found.update(self.select(member, [place for place in places if place not in found]))
        return [place for place in places if place in found]

    def _compare(self, node: where.Comparison, places: Sequence[int]) -> Sequence[int]:
        test = node.test
        if self.asked.reads_folders(node):
            return [
                place for place in places if not self.given_up() and node(self.asked.folder(self.rows[place]))
            ]
        if node.key in self.asked.lasting:
            column = self.searched.column(node.key, lambda: self.asked.column(node.key, self.rows))
            values: Iterator[Any] = map(column.values.__getitem__, places)
        else:
            column = Values(self.asked.column(node.key, [self.rows[place] for place in places]))
            values = iter(column.values)
        told = zip(places, values, strict=True)
        if column.different is None:
            return [place for place, value in told if test(value)]
        # Most are shared by many runs: each is tested once.
        passed = {
            value for value in column.different if test(list(value) if isinstance(value, tuple) else value)
        }
        return [place for place, value in told if value in passed]


def _reached(row: Row) -> dict[str, Any] | None:
    """Return the metrics that a run has reached."""
    return (row.get("live") or row).get("metrics")
