"""Several models on the same inputs, penalised for using the same features (teney2022)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import MethodContext
from imbtui.engine.method import Method
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.methods._networks import independent_networks
from imbtui.numerics.gradient_alignment import Alignment, alignment_penalty, top_scores
from imbtui.option_types import Count, NonNegative

WHERE = "methods.diversity"
METRICS = ("running/alignment",)


class Diversity(Method):
    """Trains networks of the recipe in parallel and penalises aligned input gradients (teney2022 §Method).

    The loss is the mean over the models plus `strength` times the mean alignment over ordered pairs of
    different models and over the batch, so that a strength means the same for any number of models. The
    models compute in float32 or better also under mixed precision: gradients of gradients lose too much.

    Gradients are taken in what the models share. By default these are the inputs: pixels, or the whitened
    principal components of a data set that offers them. On raw pixels gradients become orthogonal in
    directions that the data never visits, and the models stay alike (§Gotchas).

    Evaluation averages the models' probabilities; the probe `model_selection` looks at each. Comes before
    methods that change the network.

    Args:
        members: how many models, M.
        strength: lambda; 0 trains the same models independently. About 5 for `cos_sq` on whitened features.
            Products are not bounded: `dot` wants far less, and its models can grow opposed gradients.
        penalty: how alike two gradients are: their product, its square, or the same of the cosine.
        shared: `features`: the models are heads on the features of one network, which is not trained; for
            pretrained ones.
    """

    def __init__(
        self,
        *,
        members: Count = 16,
        strength: NonNegative = 5.0,
        penalty: Literal["dot", "dot_sq", "cos", "cos_sq", "cos_abs"] = "cos_sq",
        shared: Literal["inputs", "features"] = "inputs",
    ) -> None:
        super().__init__()
        self.members = members
        self.strength = strength
        self.kind: Alignment = penalty
        self.shared = shared
        self._alignment: Tensor | None = None

    def setup(self, context: MethodContext) -> None:
        """Put the models in the place of the model.

        Raises:
            UserError: a method before this one has changed the network, or inputs are tokens.
        """
        if context.vocabulary:
            raise UserError("there is no gradient in tokens", where=WHERE, hint="Use inputs of real numbers.")
        networks = independent_networks(context, self.members, where=WHERE)
        features = None
        if self.shared == "features":
            heads = [network.get_submodule("head") for network in networks]
            features, networks = FrozenFeatures(networks[0]), heads
        follow = self.strength > 0 and self.members > 1
        models = ParallelModels(networks, follow_inputs=follow, features=features)
        # In a tuple, or the models would also be registered as a part of the method.
        self._models = (models,)
        context.model = models

    def penalty(self, batch: Batch, logits: Tensor, t: Tick) -> Tensor | None:
        """Return the strength times the models' alignment at this batch, a scalar."""
        (models,) = self._models
        if not models.follow_inputs:
            return None
        alignment = alignment_penalty(models.take_gradients(), self.kind)
        self._alignment = alignment.detach()
        return self.strength * alignment

    def logs(self) -> dict[str, Tensor]:
        """Return the alignment of the step, before the strength."""
        return {} if self._alignment is None else {"alignment": self._alignment}


class FrozenFeatures(nn.Module):
    """A network's features (N, D), never trained and always in evaluation mode.

    Args:
        network: one of the recipe's; it loses its head.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        network.head = nn.Identity()
        self.network = network.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> FrozenFeatures:
        """Stay in evaluation mode: batch statistics are those that the network came with."""
        return super().train(False)

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (N, ...) to features, in float32 or better."""
        features = self.network.features(x)
        return features if features.element_size() >= 4 else features.float()


class ParallelModels(nn.Module):
    """Models with one input; their logits are stacked, (M, N, num_classes).

    Args:
        networks: the models.
        follow_inputs: keep what gradients in the inputs need, while training.
        features: what the inputs pass before they reach the models; None: nothing.
    """

    def __init__(
        self, networks: list[nn.Module], *, follow_inputs: bool, features: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.shared = nn.Identity() if features is None else features
        self.networks = nn.ModuleList(networks)
        self.follow_inputs = follow_inputs
        self._inputs: list[Tensor] = []
        self._scores: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (N, ...) to logits (M, N, num_classes)."""
        x = self.shared(x)
        inputs = [x] * len(self.networks)
        following = self.follow_inputs and self.training and torch.is_grad_enabled()
        if following:
            inputs = [x.clone().requires_grad_() for _ in self.networks]
        with torch.autocast(x.device.type, enabled=False):
            pairs = zip(self.networks, inputs, strict=True)
            logits = torch.stack([network(own) for network, own in pairs])
        if following:
            self._inputs, self._scores = inputs, top_scores(logits)
        return logits

    def take_gradients(self) -> Tensor:
        """Return the gradients of the last forward pass's top scores in its inputs, (M, N, D).

        They can be differentiated further. Each model has inputs of its own, so that one backward pass over
        the sum of all scores gives the gradients of all.
        """
        assert self._scores is not None
        gradients = torch.autograd.grad(self._scores.sum(), self._inputs, create_graph=True)
        self._inputs, self._scores = [], None
        return torch.stack(gradients).flatten(2)


build = Diversity
