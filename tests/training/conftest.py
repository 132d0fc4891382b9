"""What the tests of trainings share."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.training.datasets import DataSet, find_data_set

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


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
