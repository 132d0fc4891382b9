"""A package that asks CUDA's driver for devices while it is imported, past torch's own functions."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["COUNT"]

_torch: Any = torch._C
COUNT = _torch._cuda_getDeviceCount()
