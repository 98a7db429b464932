"""Errors of labels within groups: the worst, the balanced, and how differently groups are treated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cell_errors(errors: NDArray[np.float64], totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the error of each label in each group, (K, G); NaN where there are no examples (kini2021 §6).

    Args:
        errors: misclassified examples by label and group, (K, G).
        totals: all examples, (K, G).
    """
    with np.errstate(invalid="ignore"):
        return errors / totals


def worst_error(cells: NDArray[np.float64]) -> float:
    """Return the largest error of a label in a group, (K, G) with NaN for absent cells (kini2021 §6)."""
    return float(np.nanmax(cells))


def balanced_error(cells: NDArray[np.float64]) -> float:
    """Return the mean error over labels in groups, (K, G) with NaN for absent cells (kini2021 §6)."""
    return float(np.nanmean(cells))


def equal_opportunity_difference(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return DEO_y = |R_{y,g1} - R_{y,g2}| of each label, (K,); NaN with fewer than two groups (kini2021 §6).

    With more than two groups it is the largest difference.
    """
    several = (~np.isnan(cells)).sum(1) > 1
    deo = np.full(len(cells), np.nan)
    deo[several] = np.nanmax(cells[several], axis=1) - np.nanmin(cells[several], axis=1)
    return deo


def symmetric_deo(cells: NDArray[np.float64]) -> float:
    """Return the mean of DEO_y over the labels that have one, else NaN (kini2021 §6)."""
    deo = equal_opportunity_difference(cells)
    return float(deo[~np.isnan(deo)].mean()) if not np.isnan(deo).all() else float("nan")
