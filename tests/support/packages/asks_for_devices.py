"""A package that asks torch for CUDA devices while it is imported, as d2l does."""

from __future__ import annotations

import torch

__all__ = ["HAS_DEVICE"]

HAS_DEVICE = torch.cuda.is_available() and torch.cuda.device_count() > 0
