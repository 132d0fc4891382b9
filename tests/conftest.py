"""What tests of several folders share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.assignment import Assignment, find_assignment
from grader.sandbox.host.sandbox import Zygote
from grader.training.cache import ResultCache
from grader.training.datasets import DataSet, find_data_set
from grader.training.probing import stop_prober
from grader.training.trainer import Trainer
from tests.support.keys import write_key
from tests.support.stand_in_process import StandInFile, needs_own_process

# Rubrics, collected by the grader and not by pytest.
collect_ignore_glob = ["assignments/*"]

# Fixtures of tests that start processes.
PROCESSES = {"zygote", "trainer", "browser", "api", "server"}
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that fills in what golden submissions get (see tests/test_submissions.py)."""
    parser.addoption(
        "--write-expected", action="store_true", help="write tests/submissions/*/expected.json from what is graded now"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to the whole suite all cases but the first of a test that starts processes.

    A hundred forms of an attack take minutes, and one shows whether the test and what it needs work at all.
    """
    functions: set[tuple[Path, str]] = set()
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        function = item.path, item.originalname
        if function in functions and PROCESSES & set(item.fixturenames):
            item.add_marker("slow")
        functions.add(function)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Run files that use the stand-in accelerator in a process of their own."""
    return StandInFile.from_parent(parent, path=module_path) if needs_own_process(module_path) else None


@pytest.fixture(scope="session", autouse=True)
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file of the key that everything in tests is graded with, unless a test says otherwise."""
    path = write_key(tmp_path_factory.mktemp("key") / "installation.key")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADER_KEY_FILE", str(path))
        patch.setenv("GRADER_NO_DAEMON", "1")  # tests/support/resident.py has those that want one
        yield path


@pytest.fixture(scope="session", autouse=True)
def prober() -> Iterator[None]:
    """End the process that computes graphs, if a test has started one."""
    yield
    stop_prober()


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
def trainer(fashion_mnist: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    """What trains in tests; its results are shared by all test processes of a run, and by no other run."""
    shared = (
        tmp_path_factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else tmp_path_factory.getbasetemp()
    )
    with Trainer(fashion_mnist, results=ResultCache(fashion_mnist.sha256, "cpu", shared / "trainings")) as made:
        yield made


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
