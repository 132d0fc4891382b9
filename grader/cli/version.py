"""The versions that a report about a problem needs."""

from __future__ import annotations

import platform
from importlib import metadata

__all__ = ["describe_version"]


def describe_version() -> str:
    """Return the versions of the grader, of Python and of torch, which is not imported: that takes seconds."""
    return f"grader {_find('notebook-grader')} (Python {platform.python_version()}, torch {_find('torch')})"


def _find(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"
