"""multiprocessing: the folder in which `spawn` and `forkserver` start a child's import path."""

from __future__ import annotations

import multiprocessing.process

from grader.sandbox.guest.internals.replacement import replace_attribute

__all__ = ["set_original_folder"]


def set_original_folder(folder: str) -> None:
    """Put this folder in the place of "" in the import path of children; it was read in the warm process."""
    replace_attribute(multiprocessing.process, "ORIGINAL_DIR", folder)
