"""How many threads torch may use inside one process of a service."""

from __future__ import annotations


def limit_threads(count: int) -> None:
    """Let one operation of torch use so many threads: processes that share a machine would fight for its cores."""
    import torch

    torch.set_num_threads(count)
