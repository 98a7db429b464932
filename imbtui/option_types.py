"""The annotations that plug-in options may carry.

A plug-in's keyword arguments are its recipe options. Recipes are checked without importing the
plug-in (that would import torch), so its annotations are read from the source and looked up here.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Interval

Rate = Annotated[float, Interval(ge=0, le=1)]
"""A share between 0 and 1, both included."""

Ratio = Annotated[float, Ge(1)]
"""Largest class count over the smallest: 100, not 0.01."""

Positive = Annotated[float, Gt(0)]
"""A number above 0."""

NonNegative = Annotated[float, Ge(0)]
"""A number of 0 or more."""

Count = Annotated[int, Ge(1)]
"""A whole number of 1 or more."""

NonNegativeInt = Annotated[int, Ge(0)]
"""A whole number of 0 or more."""

_TIME = re.compile(r"(\d+)it|(\d+(?:\.\d+)?)%")


def check_when(value: Any) -> int | str:
    """Return a point in time unchanged if it is one.

    An integer counts epochs, `"10it"` counts steps, `"60%"` is a share of the stage.

    Raises:
        ValueError: it is none of the three.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError('a point in time is an integer (epochs), "10it" (steps) or "60%" (share of the run)')
    if isinstance(value, int):
        if value < 0:
            raise ValueError("a point in time cannot be negative")
        return value
    match = _TIME.fullmatch(value)
    if match is None or (match[2] is not None and float(match[2]) > 100):
        raise ValueError('a point in time is an integer (epochs), "10it" (steps) or "60%" (share of the run)')
    return value


def _when() -> Any:
    from pydantic import BeforeValidator

    return Annotated[int | str, BeforeValidator(check_when)]


def annotation(name: str) -> Any:
    """Return the type that an annotation's name stands for in a plug-in's signature.

    Raises:
        KeyError: options may not carry this annotation.
    """
    if name == "When":
        return _when()
    return _NAMES[name]


When = int | str
"""A point in time: an integer counts epochs, `"10it"` steps, `"60%"` a share of the stage."""

Every = int | str | list[int | str]
"""An interval of time, or a list of the points in time that are meant."""

_NAMES: dict[str, Any] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "list": list,
    "tuple": tuple,
    "dict": dict,
    "None": None,
    "Literal": Literal,
    "Rate": Rate,
    "Ratio": Ratio,
    "Positive": Positive,
    "NonNegative": NonNegative,
    "Count": Count,
    "NonNegativeInt": NonNegativeInt,
}

__all__ = [
    "Count",
    "Every",
    "NonNegative",
    "NonNegativeInt",
    "Positive",
    "Rate",
    "Ratio",
    "When",
    "annotation",
    "check_when",
]
