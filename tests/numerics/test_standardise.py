"""Per-image standardisation: zhang2017 §4."""

from __future__ import annotations

import torch

from imbtui.numerics.standardise import standardise


def test_worked_example() -> None:
    """zhang2017 §8 D."""
    x = torch.tensor([[[0.0, 1.0], [2.0, 3.0]]], dtype=torch.float64)
    expected = torch.tensor([[[-1.341641, -0.447214], [0.447214, 1.341641]]], dtype=torch.float64)
    torch.testing.assert_close(standardise(x), expected, atol=1e-6, rtol=0)


def test_every_image_has_its_own_scale_and_one_of_one_colour_stays_finite() -> None:
    x = torch.rand(3, 4, 5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x[1] = 0.3
    out = standardise(torch.cat([x, 7 * x[:1] - 2]))
    torch.testing.assert_close(out[3], out[0])
    torch.testing.assert_close(out[1], torch.zeros(4, 5, 2, dtype=torch.float64))
    torch.testing.assert_close(out[2].std(correction=0), torch.ones((), dtype=torch.float64))


def test_a_faint_image_is_divided_by_the_bound() -> None:
    x = torch.tensor([[0.0, 1e-6, 0.0, 1e-6]], dtype=torch.float64)
    torch.testing.assert_close(standardise(x), (x - 5e-7) / 0.5)
