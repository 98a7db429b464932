"""What corruptions of inputs share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imbtui.engine.examples import Examples
from imbtui.errors import UserError


def require_arrays(examples: Examples, *, where: str) -> None:
    """Make sure that inputs are held as arrays.

    Raises:
        UserError: they are image files that are read while training, or tokens.
    """
    if examples.x.dtype.kind in "UO":
        raise UserError("image files cannot be changed; the corruption needs arrays", where=where)
    if examples.x.dtype == np.int64:
        raise UserError("tokens cannot be changed; the corruption needs images or features", where=where)


def as_float(x: NDArray) -> NDArray[np.float32]:
    """Return a copy of inputs as the network sees them: float32, bytes scaled to [0, 1]."""
    return x.astype(np.float32) / np.float32(255 if x.dtype == np.uint8 else 1)
