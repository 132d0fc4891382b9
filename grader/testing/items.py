"""Mark a test with the item that it judges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from grader.testing.arguments import Argument

__all__ = ["item"]

Test = TypeVar("Test", bound=Callable[..., None])


def item(identifier: str, arguments: Sequence[Argument] = ()) -> Callable[[Test], Test]:
    """Declare the item of rubric.toml that a test judges. If several tests judge an item, all must pass.

    Args:
        identifier: the item's id.
        arguments: what the test can pass to the student's code. If the item has `search`, models that require no other
            arguments are tried.
    """

    def decorate(test: Test) -> Test:
        # An attribute and not a pytest mark: marks are checked against the configuration of an outer pytest.
        test.__dict__["item"] = identifier
        test.__dict__["arguments"] = tuple(arguments)
        test.__dict__["filled_in"] = tuple(name for argument in arguments for name in argument.names)
        return test

    return decorate
