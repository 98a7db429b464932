"""The circular network is what it says: invariant, and the same by Fourier transform as by convolution."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from imbtui.errors import UserError
from imbtui.models.circular_cnn import CircularCNN, full_circular
from imbtui.numerics.shift_invariance import all_shifts


def network(shape: tuple[int, ...], **options: object) -> CircularCNN:
    torch.manual_seed(0)
    return CircularCNN(shape, lambda width: nn.Linear(width, 3), **options).double()  # type: ignore[arg-type]


@pytest.mark.parametrize("pool", ["average", "max"])
@pytest.mark.parametrize("kernel", [0, 3])
def test_no_shift_changes_the_logits(kernel: int, pool: str) -> None:
    model = network((2, 7, 7), width=5, kernel=kernel, pool=pool)
    image = torch.randn(1, 2, 7, 7, dtype=torch.float64)
    logits = model(all_shifts(image)[0])
    torch.testing.assert_close(logits, logits[:1].expand_as(logits), atol=1e-10, rtol=0)


def test_less_padding_is_less_invariant() -> None:
    image = torch.randn(1, 1, 6, 6, dtype=torch.float64)
    spread = [
        network((1, 6, 6), width=5, padding=padding)(all_shifts(image)[0]).std(0).mean().item()
        for padding in (0, 2)
    ]
    assert spread[0] > spread[1] > 1e-6


def test_by_spectrum_and_by_convolution_are_one_function() -> None:
    model = network((2, 5, 5), width=4)
    assert model.by_spectrum
    x = torch.randn(3, 2, 5, 5, dtype=torch.float64)
    places, expected = full_circular(x, model.conv), model.conv(x)
    assert any(torch.allclose(places.roll((i, j), (2, 3)), expected) for i in range(5) for j in range(5))


def test_sizes_of_the_paper() -> None:
    def parameters(model: nn.Module) -> int:
        return sum(p.numel() for p in model.parameters())

    assert parameters(network((1, 28, 28), width=1024, kernel=7)) == 1024 * 50 + 1024 * 3 + 3
    study = [parameters(network((1, 28, 28), width=1000, padding=p)) for p in (0, 14)]
    assert study[0] == study[1] == 1000 * 785 + 3003
    assert parameters(network((1, 28, 28), width=1024, kernel=7, bottleneck=100)) == (
        1024 * 50 + 102_500 + 303
    )


@pytest.mark.parametrize(
    ("shape", "options", "says"),
    [
        ((4,), {}, "needs images"),
        ((1, 4, 6), {}, "no square kernel"),
        ((1, 4, 4), {"padding": 5}, "repeat it more than once"),
        ((1, 4, 4), {"kernel": 7, "padding": 0}, "larger than the padded image"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    shape: tuple[int, ...], options: dict[str, int], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        network(shape, **options)
