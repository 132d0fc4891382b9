"""Whether a layer of the sandbox holds, as the sandbox reports it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LayerStatus"]


@dataclass(frozen=True)
class LayerStatus:
    """One layer of the sandbox: whether it held, and why not."""

    name: str
    on: bool
    reason: str = ""
