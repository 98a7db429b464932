"""Recipes: a typed schema over TOML, and the runs that a recipe file expands to."""

from imbtui.recipe.library import find, known, name_of
from imbtui.recipe.overrides import parse_assignment
from imbtui.recipe.resolve import resolve
from imbtui.recipe.schema import Arm, Claim, Recipe, Reported
from imbtui.recipe.study import PlannedRun, Study, load_study, parse_study
from imbtui.recipe.write import tables_of, to_toml

__all__ = [
    "Arm",
    "Claim",
    "PlannedRun",
    "Recipe",
    "Reported",
    "Study",
    "find",
    "known",
    "load_study",
    "name_of",
    "parse_assignment",
    "parse_study",
    "resolve",
    "tables_of",
    "to_toml",
]
