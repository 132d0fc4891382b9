"""Check a notebook against recorded answers. This needs Python 3.9 or newer and PyTorch; no network and no grader.

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
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grader.authoring.bundling.check.bundle import Bundle

__all__ = ["read_own_bundle"]


@cache
def read_own_bundle() -> Bundle:
    """Return the bundle that this package is part of."""
    from grader.authoring.bundling.check.bundle import Bundle

    return Bundle.read(Path(__file__).parent.parent)


def __getattr__(name: str) -> Callable[..., None]:
    """Return the check of a function, class or model by the name that the assignment gives it."""
    # Python looks up submodules here as well, before it has imported them.
    if name.startswith("_") or name not in read_own_bundle().names:
        raise AttributeError(f"this assignment does not check anything called {name}")

    def check(definition: Any, hint: int = 1) -> None:
        """Check one definition, and print the result."""
        from grader.authoring.bundling.check.results import describe_item

        namespace = getattr(definition, "__globals__", None) or vars(sys.modules["__main__"])
        for result in read_own_bundle().judge({**namespace, name: definition}, name):
            print("\n".join(describe_item(result, hint)))

    return check
