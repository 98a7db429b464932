"""How alike the input gradients of several models are: what training for different features penalises."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Alignment = Literal["dot", "dot_sq", "cos", "cos_sq", "cos_abs"]
SMALLEST = 1e-8
"""Added to the product of two norms that a cosine is divided by (teney2022 §Method)."""


def top_scores(logits: Tensor) -> Tensor:
    """Return the score whose input gradient stands for a model's prediction, (...) (teney2022 §Method).

    It is the largest logit. Of two classes it is the difference to the other one: with the logits (0, z) of
    a single score that is |z|, whose gradient is sign(z) dz/dh.

    Args:
        logits: (..., K).
    """
    if logits.shape[-1] == 2:
        return (logits[..., 1] - logits[..., 0]).abs()
    return logits.max(-1).values


def alignments(gradients: Tensor, kind: Alignment) -> Tensor:
    """Return how alike the gradients of each two models are at each example, (M, M, N) (teney2022 §Method).

    Args:
        gradients: v, (M, N, D).
        kind: `dot`: <v_i, v_j>; `cos`: that over |v_i||v_j| + 1e-8; `dot_sq`, `cos_sq`: their squares;
            `cos_abs`: the absolute cosine.
    """
    products = torch.einsum("ind,jnd->ijn", gradients, gradients)
    if kind.startswith("cos"):
        norms = torch.linalg.vector_norm(gradients, dim=-1)
        products = products / (norms[:, None] * norms[None] + SMALLEST)
    if kind.endswith("_sq"):
        return products.square()
    return products.abs() if kind == "cos_abs" else products


def alignment_penalty(gradients: Tensor, kind: Alignment) -> Tensor:
    """Return the mean alignment over ordered pairs of different models and examples (teney2022 §Method).

    Unlike a sum it does not grow with the number of models. Of a single model it is 0.

    Args:
        gradients: v, (M, N, D).
        kind: see `alignments`.
    """
    models = len(gradients)
    if models < 2:
        return gradients.new_zeros(())
    different = ~torch.eye(models, dtype=torch.bool, device=gradients.device)
    return alignments(gradients, kind)[different].mean()


def input_gradients(logits: Tensor, x: Tensor) -> Tensor:
    """Return the gradients of the members' top scores in the inputs, (M, N, D), detached.

    Args:
        logits: of M models that were given the same inputs, (M, N, K).
        x: the inputs (N, ...), which require gradients.
    """
    scores = top_scores(logits).sum(1)
    gradients = [torch.autograd.grad(score, x, retain_graph=True)[0].flatten(1) for score in scores]
    return torch.stack(gradients)
