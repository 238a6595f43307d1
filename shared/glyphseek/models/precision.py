"""How finely a model's convolutions count: bfloat16 where the processor multiplies it natively, else float32.

bfloat16 has the range of float32 and 8 bits of it; the kernels keep sums in float32. What it costs in quality and gives
in speed is measured for each shipped model (docs/models).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, cast

import torch
from torch import Tensor, nn

from glyphseek.types import Precision

NATIVE = ("avx512_bf16", "amx_bf16")
"""What a processor calls its instructions on pairs of bfloat16."""


def choose_precision(precision: Precision, device: str) -> Literal["float32", "bfloat16"]:
    """Return the precision itself, and for `auto` bfloat16 on a processor that has instructions for it.

    Without them torch converts back and forth and is slower than in float32; `auto` is float32 there and on other
    devices.
    """
    if precision != "auto":
        return precision
    return "bfloat16" if torch.device(device).type == "cpu" and has_native_bfloat16() else "float32"


def has_native_bfloat16() -> bool:
    """Return whether this processor multiplies bfloat16 natively; False where this torch cannot tell."""
    tell = getattr(torch.cpu, "get_capabilities", None)
    known = cast("dict[str, object]", tell()) if tell is not None else {}
    return any(known.get(name) is True for name in NATIVE)


def count_in_bfloat16(parts: Iterable[nn.Module]) -> None:
    """Turn modules to bfloat16 in place; they still take and give float32 tensors (or dicts of them by name)."""
    for part in parts:
        part.to(torch.bfloat16)
        part.register_forward_pre_hook(_narrow)
        part.register_forward_hook(_widen)


def _narrow(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(tensor.bfloat16() for tensor in inputs)


def _widen(
    _module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor | dict[int, Tensor]
) -> Tensor | dict[int, Tensor]:
    if isinstance(output, Tensor):
        return output.float()
    return {name: tensor.float() for name, tensor in output.items()}
