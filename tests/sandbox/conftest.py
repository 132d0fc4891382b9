"""What the tests of the sandbox share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from grader.sandbox.sandbox import Zygote
from tests.sandbox.running import LIMITS, Ran, ran

Run = Callable[..., Ran]


@pytest.fixture
def run(zygote: Zygote) -> Iterator[Run]:
    """Run notebooks; their sandboxes are there until the test ends."""
    with ExitStack() as stack:

        def start(*cells: str, names: tuple[str, ...] = ("f",), limits: Any = LIMITS) -> Ran:
            return stack.enter_context(ran(zygote, *cells, names=names, limits=limits))

        yield start
