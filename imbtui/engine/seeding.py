"""Independent random streams from one seed, so that changing one never shifts another."""

from __future__ import annotations

import hashlib

import torch


def seed_of(seed: int, *parts: str | int) -> int:
    """Return a 63-bit seed for the stream named by `parts`, a pure function of its arguments."""
    text = "/".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def reseed(seed: int, device: torch.device) -> None:
    """Seed the generators behind dropout and methods' draws, on the CPU and on `device`.

    The loop calls this before every step: what a step draws depends on its number alone, so a run that
    goes on from a checkpoint draws what it would have drawn.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
