"""Group VS: the worked example of kini2021 §9, its modes, and what the released code computes instead."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from imbtui.losses.binary_vs import BinaryVS
from imbtui.losses.group_vs import GroupVS
from imbtui.losses.group_vs_official import GroupVSOfficial
from imbtui.numerics.vector_scaling import group_offsets, group_scales

CLASSES = torch.tensor([150, 25])
GROUPS = torch.tensor([[50, 100], [5, 20]])  # rows: label - and +
SCORES = torch.tensor([0.4, -1.0, 0.7], dtype=torch.float64)
LABELS = torch.tensor([1, 0, 0])
GROUP = torch.tensor([0, 0, 1])
MODES: tuple[Any, ...] = ("cdt", "la", "vs", "la_tau", "vs_tau")


def logits_of(scores: Tensor) -> Tensor:
    return torch.stack([torch.zeros_like(scores), scores], 1)


def close(value: Tensor, expected: Any) -> None:
    torch.testing.assert_close(value, torch.as_tensor(expected, dtype=torch.float64), rtol=0, atol=1e-6)


def test_worked_example() -> None:
    """kini2021 §9."""
    loss = GroupVS(CLASSES, GROUPS, gamma=0.5, tau=1.0)
    close(loss.scales[LABELS, GROUP], [0.223607, 0.707107, 1])
    close(loss.offsets[LABELS, GROUP], [3.555348, 1.252763, 0.559616])
    scores = SCORES.clone().requires_grad_()
    losses = loss(logits_of(scores), LABELS, group=GROUP)
    close(losses.detach(), [3.496672, 1.002740, 1.509411])
    losses.mean().backward()
    close(losses.mean().detach(), 2.002941)
    assert scores.grad is not None
    close(scores.grad, [-0.072277, 0.149230, 0.259653])


@pytest.mark.parametrize("mode", MODES)
def test_modes(mode: Any) -> None:
    """kini2021 §2.3, the table."""
    share = GROUPS.double() / 100
    scales = share**0.3 if mode in ("cdt", "vs", "vs_tau") else torch.ones(2, 2)
    power, log = share**-0.3, -2 * (GROUPS.double() / 175).log()
    offsets = {"cdt": torch.zeros(2, 2), "la": power, "vs": power, "la_tau": log, "vs_tau": log}[mode]
    close(group_scales(GROUPS, mode, 0.3), scales)
    close(group_offsets(GROUPS, mode, 0.3, 2.0), offsets)


def test_additive_part_has_an_effect_and_the_official_one_has_none() -> None:
    """kini2021 §2.3: a shift common to both logits cancels in the softmax."""
    logits = logits_of(SCORES)

    def values(kind: Any, mode: Any) -> Tensor:
        return kind(CLASSES, GROUPS, mode=mode, gamma=0.5)(logits, LABELS, group=GROUP)

    plain = F.cross_entropy(logits, LABELS, reduction="none")
    for additive, without in (("la", plain), ("la_tau", plain), ("vs", None), ("vs_tau", None)):
        ours, official = (
            (plain, plain)
            if without is not None
            else (values(GroupVS, "cdt"), values(GroupVSOfficial, "cdt"))
        )
        assert (values(GroupVS, additive) - ours).abs().min() > 0.1
        torch.testing.assert_close(values(GroupVSOfficial, additive), official, rtol=0, atol=1e-12)


def test_both_scale_alike() -> None:
    """With one Delta for both logits, two-logit softmax and the score's logistic loss agree."""
    logits = logits_of(SCORES)
    ours, official = (
        kind(CLASSES, GROUPS, mode="cdt", gamma=0.5)(logits, LABELS, group=GROUP)
        for kind in (GroupVS, GroupVSOfficial)
    )
    torch.testing.assert_close(ours, official, rtol=0, atol=1e-12)


def test_one_group_is_binary_vs() -> None:
    counts = torch.tensor([90, 10])
    logits, labels = logits_of(SCORES), LABELS
    expected = BinaryVS(counts, gamma=0.3, tau=1.0)(logits, labels)
    torch.testing.assert_close(GroupVS(counts)(logits, labels), expected)
    one = torch.zeros_like(labels)
    torch.testing.assert_close(GroupVS(counts, counts[:, None])(logits, labels, group=one), expected)


@pytest.mark.parametrize("kind", [GroupVS, GroupVSOfficial])
@pytest.mark.parametrize("mode", MODES)
def test_gradient_and_cells_without_examples(kind: Any, mode: Any) -> None:
    """A group's number may tell its label; a test example may lie in a cell that training lacks."""
    loss = kind(CLASSES, torch.tensor([[50, 100, 0, 0], [0, 0, 5, 20]]), mode=mode)
    logits = logits_of(SCORES).requires_grad_()
    for group in (torch.tensor([2, 0, 1]), torch.tensor([0, 3, 3])):
        assert torch.autograd.gradcheck(lambda z, g=group: loss(z, LABELS, group=g), logits)
    empty, rarest = (loss(logits_of(SCORES), LABELS, group=torch.tensor(g)) for g in ([0, 3, 3], [2, 0, 1]))
    assert empty[0] == rarest[0]
