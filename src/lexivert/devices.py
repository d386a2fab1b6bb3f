"""Which device runs the backbone, and in which number format."""

from __future__ import annotations

import torch

from lexivert.errors import LexivertError

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(name: str) -> torch.device:
    """Turn ``backbone.device`` into a device; ``auto`` takes cuda, then mps, then cpu.

    Raises:
        LexivertError: the name is unknown, or the machine has no such device.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, there in present.items() if there))
    if name not in present:
        raise LexivertError(f"backbone.device is {name!r}; it must be auto, cpu, cuda or mps")
    if not present[name]:
        raise LexivertError(f"backbone.device is {name!r}, but this machine has no such device; use cpu or auto")
    return torch.device(name)


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """Turn ``backbone.dtype`` into a number format; ``auto`` is bfloat16 where ``device`` multiplies it natively.

    Other CPUs emulate it, about eight times slower than float32; there ``auto`` is float32.

    Raises:
        LexivertError: the name is unknown.
    """
    if name == "auto":
        return torch.bfloat16 if _multiplies_bfloat16(device) else torch.float32
    if name not in _DTYPES:
        raise LexivertError(f"backbone.dtype is {name!r}; it must be auto, float32, bfloat16 or float16")
    return _DTYPES[name]


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and _cpu_multiplies_bfloat16()


def _cpu_multiplies_bfloat16() -> bool:
    """Ask torch, whose functions for it have no public name; False where a version has none of them."""
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(ask()) for name in names if (ask := getattr(torch.cpu, name, None)) is not None)
