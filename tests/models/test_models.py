"""Models: parameter counts, shapes, initial weights; for every model what the engine relies on."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from imbtui import plugins
from imbtui.engine.heads import CosineHead, make_head
from imbtui.models.lenet_300_100 import LeNet300100
from imbtui.models.mlp import MLP
from imbtui.models.preact_resnet_cifar import PreActResNetCifar
from imbtui.models.resnet_cifar import ResNetCifar, option_a_shortcut
from imbtui.models.small_cnn import SmallCNN


def head(kind: str = "linear", classes: int = 10) -> Callable[[int], nn.Module]:
    return partial(make_head, kind, num_classes=classes)


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


OF_TOKENS = [n for n in plugins.names("model") if plugins.literal("model", n, "INPUTS") == "tokens"]
OF_IMAGES = [n for n in plugins.names("model") if n not in OF_TOKENS]
VOCABULARY = 5


def drawn(name: str, kind: str, shape: tuple[int, ...] = (3, 16, 16), classes: int = 10) -> nn.Module:
    """Return a model for images of a shape, or for three tokens."""
    make = plugins.load("model", name)
    own = head(kind, classes)
    return make((3,), own, VOCABULARY) if name in OF_TOKENS else make(shape, own)


@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize("name", OF_TOKENS)
def test_every_model_of_tokens_maps_them_to_logits(name: str, kind: str) -> None:
    torch.manual_seed(0)
    model = drawn(name, kind, classes=7).eval()
    x = torch.randint(VOCABULARY, (4, 3))
    logits = model(x)
    assert logits.shape == (4, 7)
    torch.testing.assert_close(model.head(model.features(x)), logits)
    torch.testing.assert_close(torch.cat([model(one[None]) for one in x]), logits, rtol=1e-4, atol=1e-5)
    check_gradients(model, x)


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32)])
@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize("name", OF_IMAGES)
def test_every_model_maps_images_to_logits(name: str, kind: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model = drawn(name, kind, shape, classes=7).eval()
    x = torch.rand(4, *shape)
    logits, features = model(x), model.features(x)
    assert logits.shape == (4, 7)
    assert features.shape[0] == 4
    torch.testing.assert_close(model.head(features), logits)
    # Each example is computed by itself in evaluation mode, also from channels-last memory.
    alone = torch.cat([model(one[None]) for one in x])
    torch.testing.assert_close(alone, logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        model(x.contiguous(memory_format=torch.channels_last)), logits, rtol=1e-4, atol=1e-5
    )
    check_gradients(model, x)


def check_gradients(model: nn.Module, x: torch.Tensor) -> None:
    """Every parameter that is trained has a gradient."""
    model.train()(x).sum().backward()
    trained = [p for p in model.parameters() if p.requires_grad]
    assert trained
    assert all(p.grad is not None and p.grad.isfinite().all() for p in trained)


@pytest.mark.parametrize("name", plugins.names("model"))
def test_every_model_is_drawn_from_the_seed(name: str) -> None:
    def draw(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        model = drawn(name, "cosine", (1, 8, 8))
        return torch.cat([p.detach().ravel() for p in model.parameters()])

    torch.testing.assert_close(draw(1), draw(1), rtol=0, atol=0)
    assert not torch.equal(draw(1), draw(2))


@pytest.mark.parametrize("name", plugins.names("model"))
def test_no_initialisation_touches_a_cosine_head(name: str) -> None:
    """cao2019 §4: uniform(-1, 1), columns of unit length."""
    model = drawn(name, "cosine")
    assert isinstance(model.head, CosineHead)
    torch.testing.assert_close(model.head.weight.norm(dim=0), torch.ones(10))


@pytest.mark.parametrize(
    ("depth", "classes", "count"), [(32, 10, 464_154), (32, 100, 470_004), (110, 10, 1_727_962)]
)
def test_resnet_parameter_counts(depth, classes: int, count: int) -> None:
    """cao2019 §4."""
    with torch.device("meta"):
        plain = ResNetCifar((3, 32, 32), head("linear", classes), depth=depth)
        cosine = ResNetCifar((3, 32, 32), head("cosine", classes), depth=depth)
    assert parameters(plain) == count
    assert parameters(cosine) == count - classes


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110])
def test_resnet_depth_counts_layers_with_weights(depth) -> None:
    with torch.device("meta"):
        model = ResNetCifar((3, 32, 32), head(), depth=depth)
    assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in model.modules()) == depth


def test_resnet_strides() -> None:
    model = ResNetCifar((1, 32, 32), head(), depth=20).eval()
    shapes = []
    for block in model.blocks:
        block.register_forward_hook(lambda module, args, out: shapes.append(tuple(out.shape[1:])))
    model(torch.rand(1, 1, 32, 32))
    assert shapes == [(16, 32, 32)] * 3 + [(32, 16, 16)] * 3 + [(64, 8, 8)] * 3


def test_option_a_shortcut() -> None:
    """cao2019 §4: every second pixel, planes / 4 zero channels on each side."""
    x = torch.rand(2, 16, 6, 6)
    out = option_a_shortcut(x, 2, 16)
    assert out.shape == (2, 32, 3, 3)
    torch.testing.assert_close(out[:, 8:24], x[:, :, ::2, ::2], rtol=0, atol=0)
    assert out[:, :8].abs().sum() == out[:, 24:].abs().sum() == 0
    assert option_a_shortcut(x, 1, 0) is x


def test_preact_resnet() -> None:
    """patrini2017 §5: depth counts 3x3 convolutions and the head; nothing follows the sum of a block."""
    model = PreActResNetCifar((3, 32, 32), head(), depth=14)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert len(convolutions) + 1 == 14
    x = torch.randn(2, 16, 8, 8)
    block = model.blocks[0]
    nn.init.zeros_(block.conv2.weight)
    torch.testing.assert_close(block(x), x, rtol=0, atol=0)
    assert model.blocks[2](x).shape == (2, 32, 4, 4)


def test_he_normal_has_zero_biases() -> None:
    """patrini2017 §5."""
    model = MLP((400,), head("batch_norm"), hidden=[500], init="he_normal")
    assert model.body[1].weight.std().item() == pytest.approx(math.sqrt(2 / 400), rel=0.01)
    assert not any(layer.bias.any() for layer in (model.body[1], model.head[0]))
    outputs = model(torch.randn(64, 400))
    torch.testing.assert_close(outputs.std(0, unbiased=False), torch.ones(10), atol=1e-3, rtol=0)


def test_kaiming_normal() -> None:
    torch.manual_seed(0)
    model = ResNetCifar((3, 32, 32), head(classes=1000))
    last = model.blocks[-1].conv2.weight
    assert last.std().item() == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.02)
    assert model.head.weight.std().item() == pytest.approx(math.sqrt(2 / 64), rel=0.02)
    assert model.head.bias.abs().max() > 0


def test_mlp_by_default_is_drawn_like_plain_torch() -> None:
    """cao2019 §10 counts on torch's default draws, hidden layers first."""
    torch.manual_seed(4)
    plain = [nn.Linear(64, 128), nn.Linear(128, 64), nn.Linear(64, 10)]
    torch.manual_seed(4)
    model = MLP((1, 8, 8), head())
    for layer, parameter in zip(plain, [p for p in model.parameters() if p.dim() > 1], strict=True):
        torch.testing.assert_close(parameter, layer.weight, rtol=0, atol=0)
    x = torch.rand(5, 64)
    expected = plain[2](plain[1](plain[0](x).relu()).relu())
    torch.testing.assert_close(model(x.view(5, 1, 8, 8)), expected)


def test_mlp_options() -> None:
    model = MLP((20,), head(), hidden=[30], batch_norm=True, dropout=0.5, init="kaiming_normal")
    assert [type(m).__name__ for m in model.body] == ["Flatten", "Linear", "BatchNorm1d", "ReLU", "Dropout"]
    assert parameters(MLP((20,), head(), hidden=[])) == 210
    x = torch.rand(8, 20)
    assert not torch.equal(model(x), model(x))
    model.eval()
    torch.testing.assert_close(model(x), model(x), rtol=0, atol=0)


def test_lenet() -> None:
    """frankle2019 §4: 266,200 weights, std = sqrt(2 / (fan_in + fan_out)), zero biases."""
    torch.manual_seed(0)
    model = LeNet300100((1, 28, 28), head())
    weights = [p for p in model.parameters() if p.dim() > 1]
    assert [tuple(w.shape) for w in weights] == [(300, 784), (100, 300), (10, 100)]
    assert sum(w.numel() for w in weights) == 266_200
    assert weights[0].std().item() == pytest.approx(math.sqrt(2 / 1084), rel=0.01)
    assert all(not p.any() for p in model.parameters() if p.dim() == 1)
    small = LeNet300100((1, 8, 8), head(), hidden=[100, 50])
    assert sum(p.numel() for p in small.parameters() if p.dim() > 1) == 6400 + 5000 + 500


def test_small_cnn_width() -> None:
    model = SmallCNN((3, 32, 32), head(), width=8)
    assert model.features(torch.rand(2, 3, 32, 32)).shape == (2, 32)
