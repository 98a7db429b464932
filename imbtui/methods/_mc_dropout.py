"""A network whose dropout stays on in evaluation, asked several times."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imbtui.engine.heads import LinearHead
from imbtui.engine.seeding import seed_of

DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


class SampledNetwork(nn.Module):
    """In `eval()` gives the logits of several passes with dropout, stacked as those of an ensemble.

    Args:
        network: a network with dropout, or an ensemble of them.
        samples: passes.
        seed: of their masks; the same masks at every evaluation.
    """

    def __init__(self, network: nn.Module, samples: int, seed: int) -> None:
        super().__init__()
        self.network = network
        self.samples = samples
        self.seed = seed

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (N, ...) to logits: (N, K) while training, (samples, N, K) in `eval()`.

        Of an ensemble of M networks they are (M, N, K) and (samples * M, N, K).
        """
        if self.training:
            return self.network(x)
        layers = dropout_layers(self.network)
        for layer in layers:
            layer.train()
        try:
            with torch.random.fork_rng(devices=[x.device] if x.device.type == "cuda" else []):
                logits = torch.stack([self._sample(x, number) for number in range(self.samples)])
        finally:
            for layer in layers:
                layer.eval()
        return logits.flatten(0, -3)

    def _sample(self, x: Tensor, number: int) -> Tensor:
        torch.manual_seed(seed_of(self.seed, "mc_dropout", number))
        return self.network(x)


def dropout_layers(model: nn.Module) -> list[nn.Module]:
    """Return the layers that drop something while training."""
    plain = [m for m in model.modules() if isinstance(m, DROPOUT) and m.p > 0]
    return plain + [m for m in model.modules() if isinstance(m, LinearHead) and m.dropout > 0]


def without_sampling(model: nn.Module) -> nn.Module:
    """Return what `mc_dropout` wrapped, for passes without dropout; any other model as it is."""
    return model.network if isinstance(model, SampledNetwork) else model
