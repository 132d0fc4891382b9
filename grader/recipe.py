"""What a training item is judged by: how much is trained, and with what."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Mode"]


class Mode(StrEnum):
    """What is done with trainings."""

    NONE = "none"  # the training data is withheld; training items stay pending
    QUICK = "quick"  # recipes for a CPU; the notebook's own training cells are cut to a few steps
    FULL = "full"  # the book's recipes; the notebook's own training cells run as written
