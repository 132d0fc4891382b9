"""Marks a test with the item that it judges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from grader.testing.arguments import Argument

__all__ = ["item"]

Test = TypeVar("Test", bound=Callable[..., None])


def item(identifier: str, arguments: Sequence[Argument] = ()) -> Callable[[Test], Test]:
    """Say which item of rubric.toml a test judges; where several tests judge one item, all must pass.

    Args:
        identifier: the item's id.
        arguments: what the test can call the student's work with; where the item has `search`, what requires
            nothing else is tried.
    """

    def decorate(test: Test) -> Test:
        # An attribute, not a pytest mark: marks are checked against the configuration of whichever pytest runs outside.
        test.__dict__["item"] = identifier
        test.__dict__["filled_in"] = tuple(name for argument in arguments for name in argument.names)
        return test

    return decorate
