"""Whether the same examples are easy for every network (arpit2017)."""

from __future__ import annotations

from torch import Tensor


def spread_ratio(share_correct: Tensor, networks: int) -> Tensor:
    """Return Var_i(P_i) / (p (1 - p) / M) with p the mean of P, a scalar (arpit2017 §4.1).

    1: examples differ as binomial draws do; more: some are easy and some hard for most networks. NaN where
    every network classifies everything alike.

    Args:
        share_correct: P_i, the share of networks that classify example i correctly, (N,).
        networks: M.
    """
    mean = share_correct.mean()
    return share_correct.var(correction=0) / (mean * (1 - mean) / networks)
