"""Check a notebook against recorded answers. This needs PyTorch only, no network and no grader.

In a notebook:

    import check
    check.corr2d(corr2d)            # right, or where it goes wrong
    check.corr2d(corr2d, hint=2)    # what goes wrong; hint=3 shows the inputs

The result is advice: the course grades with other inputs, and more than these items.
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
    """Return the bundle that this package is part of."""
    return Bundle.from_json(files(__name__).joinpath(CASES).read_text(encoding="utf-8"))


def __getattr__(name: str) -> Callable[..., None]:
    """Return the check of a function, class or model by the name that the assignment gives it."""
    if name.startswith("_") or name not in read_own_bundle().names:
        raise AttributeError(f"this assignment does not check anything called {name}")

    def check(definition: Any, hint: int = 1) -> None:
        """Check one definition, and print the result."""
        namespace = getattr(definition, "__globals__", None) or vars(sys.modules["__main__"])
        for result in read_own_bundle().judge({**namespace, name: definition}, name):
            print("\n".join(describe_item(result, hint)))

    return check
