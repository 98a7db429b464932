"""Initial weights that papers name; they change a network in place."""

from __future__ import annotations

from torch import nn

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def kaiming_normal_(model: nn.Module) -> None:
    """Draw every convolution and linear weight from N(0, 2 / fan_in); biases stay (cao2019 §4).

    A cosine head is neither and keeps its own initialisation, as in the paper.
    """
    for layer in model.modules():
        if isinstance(layer, _LAYERS):
            nn.init.kaiming_normal_(layer.weight)


def he_normal_(model: nn.Module) -> None:
    """Draw every convolution and linear weight from N(0, 2 / fan_in), biases 0 (patrini2017 §5).

    A cosine head is neither and keeps its own initialisation.
    """
    kaiming_normal_(model)
    for layer in model.modules():
        if isinstance(layer, _LAYERS) and layer.bias is not None:
            nn.init.zeros_(layer.bias)


def glorot_normal_(model: nn.Module) -> None:
    """Draw every convolution and linear weight from N(0, 2 / (fan_in + fan_out)), biases 0 (frankle2019 §4).

    A cosine head is neither and keeps its own initialisation.
    """
    for layer in model.modules():
        if isinstance(layer, _LAYERS):
            nn.init.xavier_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
