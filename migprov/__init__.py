"""migprov: find hollow GPUs and move a fleet to the MIG layout that frees the most cards."""

__version__ = "0.1.0"
