"""The last layers inside whatever methods wrapped around the network."""

from __future__ import annotations

from torch import nn

from imbtui.engine.heads import CosineHead


def heads_in(model: nn.Module) -> list[CosineHead | nn.Linear]:
    """Return every layer called `head`: one, or one for each copy that a method has made of the network."""
    heads = [m for name, m in model.named_modules() if name.rpartition(".")[2] == "head"]
    return [head for head in heads if isinstance(head, CosineHead | nn.Linear)]
