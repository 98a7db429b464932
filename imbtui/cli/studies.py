"""Which studies a word on the command line means: a study's name, one of its variants, or a paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imbtui.cli import output
from imbtui.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from imbtui.paths import RunsPaths
    from imbtui.report.studies import Record


def find(runs: RunsPaths, reference: str) -> list[Record]:
    """Return the records of the studies that are meant, those submitted last at the end.

    A study that was never submitted here is read from its recipe: all of its runs are missing.

    Args:
        reference: a study's name (all its variants), NAME@VARIANT, or a paper's slug.

    Raises:
        UserError: there is neither such a study, nor such a recipe, nor such a paper.
    """
    from imbtui import store
    from imbtui.papers import BY_SLUG
    from imbtui.recipe import find as find_recipe
    from imbtui.recipe import known, load_study, name_of
    from imbtui.report.studies import named

    records: list[Record] = [*store.studies(runs, warn=output.say)]
    found = [r for r in records if reference in (r.get("study"), r.get("paper"), named(r))]
    if found:
        return found
    recipes = known()
    if reference in BY_SLUG:
        return [
            load_study(path).record() for name, path in recipes.items() if name.startswith(f"{reference}/")
        ]
    try:
        path = find_recipe(reference)
    except UserError:
        words = [*(str(r.get("study", "")) for r in records), *recipes, *BY_SLUG]
        hint = did_you_mean(reference, words)
        if not hint.startswith("Did"):
            hint = "`imbtui recipes` and `imbtui papers` list them."
        raise UserError("there is no such study, recipe or paper", where=reference, hint=hint) from None
    # A path means the study that its file gives the name to.
    found = [r for r in records if r.get("study") == name_of(path)]
    return found or [load_study(path).record()]
