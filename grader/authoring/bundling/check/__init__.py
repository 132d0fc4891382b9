"""Checks a notebook against recorded answers: no network and no grader, only PyTorch.

In a notebook:

    import check
    check.corr2d(corr2d)            # right, or where it goes wrong
    check.corr2d(corr2d, hint=2)    # what goes wrong; 3 shows the inputs

What it says is advice: the course grades with other inputs, and more than these items.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

from grader.authoring.bundling.check.bundle import CASES, Bundle
from grader.authoring.bundling.check.command import describe_item

__all__ = ["read_own_bundle"]


@cache
def read_own_bundle() -> Bundle:
    return Bundle.of(files(__name__).joinpath(CASES).read_text(encoding="utf-8"))


def __getattr__(name: str) -> Callable[..., None]:
    """Return what checks the function, class or model that the assignment asks for under this name."""
    if name.startswith("_") or name not in read_own_bundle().names:
        raise AttributeError(f"{name} is nothing that this assignment checks")

    def checked(thing: Any, hint: int = 1) -> None:
        """Check one definition, and print what is found."""
        around = getattr(thing, "__globals__", None) or vars(sys.modules["__main__"])
        for result in read_own_bundle().judged({**around, name: thing}, name):
            print("\n".join(describe_item(result, hint)))

    return checked
