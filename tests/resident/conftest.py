"""A resident grader that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.notebooks import CORR2D, notebook_bytes
from tests.support.resident import ResidentCommands, open_resident_commands


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ResidentCommands]:
    """Commands with a resident grader that is running, and a notebook."""
    with open_resident_commands(tmp_path_factory.mktemp("resident")) as commands:
        (commands.folder / "hw2.ipynb").write_bytes(notebook_bytes(CORR2D))
        first = commands.run("check", "hw2.ipynb", "--training", "none")
        assert (first.returncode, first.stderr) == (1, "")
        yield commands
