"""Named places in networks: which there are, and reading and changing the states there."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from imbtui import plugins
from imbtui.engine.heads import make_head
from imbtui.engine.layers import changing, chosen_places, places_in, states_at
from imbtui.errors import UserError

SHALLOW = {"linear", "circular_cnn"}


def network(name: str, **options: object) -> nn.Module:
    torch.manual_seed(0)
    make = plugins.load("model", name)
    if of_tokens(name):
        return make((3,), lambda width: make_head("linear", width, 10), 7, **options).eval()
    return make((3, 32, 32), lambda width: make_head("linear", width, 10), **options).eval()


def of_tokens(name: str) -> bool:
    return plugins.literal("model", name, "INPUTS") == "tokens"


@pytest.mark.parametrize("name", plugins.names("model"))
def test_every_model_has_places_that_states_pass_through_in_order(name: str) -> None:
    small = {"preact_resnet": {"width": 4}, "resnet18k": {"width": 4}, "wide_resnet": {"widen": 1}}
    model = network(name, **small.get(name, {}))
    places = places_in(model)
    assert next(iter(places)) == "input"
    assert list(places)[-1] == "features"
    hidden = [n for n in places if n.rstrip("0123456789") in ("layer", "block", "stage")]
    assert ({"layer1", "block1"} & set(hidden)) or name in SHALLOW
    x = torch.ones(2, 3, dtype=torch.int64) if of_tokens(name) else torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        states = dict(zip(places, states_at(model, [p[0] for p in places.values()], x), strict=True))
    assert states["input"].is_floating_point()
    assert torch.equal(states["input"], x) or of_tokens(name)
    assert all(len(state) == 2 for state in states.values())
    kinds = [n for n in hidden if n.startswith("stage")]
    sizes = [states[n].shape[2:].numel() for n in kinds]
    assert sizes == sorted(sizes, reverse=True)


def test_stages_of_the_reference_network_end_before_the_next_norm() -> None:
    """verma2019 §Algorithm: 64, 128, 256 and 512 channels of 32, 16, 8 and 4 pixels."""
    model = network("resnet18k", width=4)
    places = chosen_places(model, ["stage1", "stage2", "stage3", "stage4"], where="test")
    with torch.no_grad():
        states = states_at(model, [p[0] for p in places.values()], torch.rand(2, 3, 32, 32))
    assert [tuple(s.shape[1:]) for s in states] == [(4, 32, 32), (8, 16, 16), (16, 8, 8), (32, 4, 4)]
    assert [bool((s < 0).any()) for s in states] == [True] * 4


def test_layers_of_an_mlp_end_after_what_follows_them() -> None:
    model = network("mlp", hidden=[4, 5], batch_norm=True, dropout=0.5)
    places = places_in(model)
    assert isinstance(places["layer1"][0].module, nn.Dropout)
    with torch.no_grad():
        last, features = states_at(
            model, [places["layer2"][0], places["features"][0]], torch.rand(2, 3, 32, 32)
        )
    assert torch.equal(last, features)


def test_what_is_mixed_where_nothing_is_said() -> None:
    assert list(chosen_places(network("mlp"), [], where="w")) == ["input", "layer1", "layer2"]
    assert list(chosen_places(network("resnet18k", width=2), [], where="w")) == ["input", "stage1", "stage2"]
    assert list(chosen_places(network("transformer"), [], where="w")) == ["input", "block1", "block2"]
    assert list(chosen_places(network("linear"), [], where="w")) == ["input", "features"]
    with pytest.raises(UserError, match='no layer "layer9"') as raised:
        chosen_places(network("mlp"), ["layer9"], where="methods.manifold_mixup.layers")
    assert "Did you mean" in str(raised.value.hint)


def test_states_are_changed_while_it_lasts_and_never_silently_not() -> None:
    model = network("mlp", hidden=[4])
    x = torch.rand(2, 3, 32, 32)
    places = places_in(model)
    with torch.no_grad():
        plain = model(x)
        with changing(places["layer1"], torch.zeros_like):
            changed = model(x)
        assert torch.equal(changed, model.head.bias.expand(2, -1))
        with changing(places["input"], lambda state: 0 * state):
            assert not torch.equal(model(x), plain)
        assert torch.equal(model(x), plain)
        with (
            pytest.raises(RuntimeError, match="nothing passed"),
            changing(places["layer1"], torch.zeros_like, only_training=True),
        ):
            assert torch.equal(model(x), plain)
