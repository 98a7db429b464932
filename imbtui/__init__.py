"""imbtui: experiments on imbalance, label noise and pruning, run and compared in the terminal."""

__version__ = "0.1.0"
