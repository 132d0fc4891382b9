"""Replacing parts of other libraries so that a part which an upgrade moved is an error.

Assigning to an attribute that a library no longer has, or overriding a method that it no longer calls, would do nothing
and say nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

__all__ = ["call_after_init", "overriding", "replace_attribute"]

C = TypeVar("C", bound=type)


def replace_attribute(owner: Any, name: str, value: Any) -> Any:
    """Set an attribute that `owner` already has, and return its former value.

    Raises:
        AttributeError: `owner` has no such attribute.
    """
    try:
        former = getattr(owner, name)
    except AttributeError:
        raise AttributeError(f"cannot replace {name!r}: {_describe(owner)} does not have it") from None
    setattr(owner, name, value)
    return former


def call_after_init(kind: Any, notice: Callable[[Any], None]) -> None:
    """Call `notice` with each object of a class once it is initialised."""

    @functools.wraps(kind.__init__)
    def initialise(self: Any, *args: Any, **kwargs: Any) -> None:
        stock(self, *args, **kwargs)
        notice(self)

    stock = replace_attribute(kind, "__init__", initialise)


def overriding(*names: str) -> Callable[[C], C]:
    """Decorate a class that overrides these attributes of its bases.

    Raises:
        AttributeError: no base has one of them, or the class does not define it.
    """

    def check(kind: C) -> C:
        for name in names:
            if not any(hasattr(base, name) for base in kind.__bases__):
                bases = ", ".join(map(_describe, kind.__bases__))
                raise AttributeError(f"{kind.__name__} overrides {name!r}, and {bases} does not have it")
            if name not in vars(kind):
                raise AttributeError(f"{kind.__name__} does not override {name!r}")
        return kind

    return check


def _describe(owner: Any) -> str:
    kind = owner if isinstance(owner, type) else type(owner)
    return owner.__name__ if isinstance(owner, ModuleType) else f"{kind.__module__}.{kind.__qualname__}"
