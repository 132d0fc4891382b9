"""The status of one layer of the sandbox, as the sandbox reports it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LayerStatus"]


@dataclass(frozen=True)
class LayerStatus:
    """Whether a layer of the sandbox holds, and the reason if it does not."""

    name: str
    on: bool
    reason: str = ""
