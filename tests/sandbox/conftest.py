"""Fixtures for the tests of the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from grader.sandbox.host.sandbox import Zygote
from tests.support.idx_files import write_data_set
from tests.support.sandbox_runs import Ran, Run, ran


@pytest.fixture(scope="session")
def fashion_mnist(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A data set as large as Fashion-MNIST with half of its test images withheld, as `data_sets` takes it."""
    return {"FashionMNIST": write_data_set(tmp_path_factory.mktemp("shown"), 60_000, 5_000)}


@pytest.fixture
def run(zygote: Zygote) -> Iterator[Run]:
    """Run notebooks. Their sandboxes exist until the test ends."""
    with ExitStack() as stack:

        def start(*cells: str, **options: Any) -> Ran:
            return stack.enter_context(ran(zygote, *cells, **options))

        yield start
