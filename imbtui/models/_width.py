"""What networks of a family that is swept over its width share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from imbtui.engine.seeding import seed_of


@contextmanager
def draws_of(width: int) -> Iterator[None]:
    """Draw weights from a stream of this width's own, which branches off torch's.

    Drawn from one stream, a narrow network would be the first units of a wide one, and the networks of a
    sweep would depend on each other (nakkiran2019 §7.6).
    """
    branch = int(torch.randint(2**62, ()).item())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(branch, "width", width))
        yield
