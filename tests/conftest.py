"""What tests of several folders share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.assignment import Assignment, find_assignment
from grader.sandbox.sandbox import Zygote
from grader.training.datasets import DataSet, find_data_set

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture(scope="session")
def hw2() -> Assignment:
    """The assignment that submissions are graded with."""
    return find_assignment("hw2")


@pytest.fixture(scope="session")
def zygote(hw2: Assignment) -> Iterator[Zygote]:
    """One warm process for all tests: it takes seconds to import the course's packages."""
    with Zygote(hw2.packages) as warm:
        yield warm


@pytest.fixture(scope="session")
def packaged() -> Path:
    """The folder of Debian's package with Fashion-MNIST."""
    assert DEBIAN.is_dir(), "no Fashion-MNIST on this machine: sudo apt-get install dataset-fashion-mnist"
    return DEBIAN


@pytest.fixture(scope="session")
def fashion_mnist(packaged: Path) -> DataSet:
    """Fashion-MNIST, read once for all tests."""
    found = find_data_set("FashionMNIST", packaged)
    assert found
    return found
