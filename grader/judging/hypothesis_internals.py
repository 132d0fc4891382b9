"""The private parts of Hypothesis that the engine replaces, in one place.

tests/contracts/test_hypothesis.py fails if a release of Hypothesis moves one of them.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from grader.errors import SystemFault

__all__ = ["ignore_local_constants"]


def ignore_local_constants() -> None:
    """Stop Hypothesis from reading constants out of the sources of loaded modules.

    Hypothesis tries these constants as inputs, so the same submission would get another report in another process. It
    also stores them in a folder in the current directory, which may be the student's.

    Raises:
        SystemFault: this release of Hypothesis does not have what is replaced.
    """
    from hypothesis.internal.conjecture import providers
    from hypothesis.internal.constants_ast import Constants

    _replace(providers, "_get_local_constants", Constants)


def _replace(module: ModuleType, name: str, value: Any) -> None:
    """Set a name that must exist already: setting another name would have no effect."""
    if name not in vars(module):
        raise SystemFault(f"{module.__name__} has no {name}: this version of Hypothesis is not supported")
    setattr(module, name, value)
