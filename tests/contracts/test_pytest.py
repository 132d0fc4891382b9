"""What grader/judging/pytest_internals.py and the rubric plugin need of pytest is there."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from _pytest import config

from grader.judging.plugin import RubricPlugin
from grader.judging.pytest_internals import NEEDED_PLUGINS

PYTEST = f"pytest {pytest.__version__}"


def test_the_needed_plugins_are_among_the_default_ones() -> None:
    assert set(config.default_plugins) >= NEEDED_PLUGINS, f"{PYTEST} has renamed plugins or default_plugins"


def test_a_function_can_make_its_fixture_values_anew() -> None:
    assert callable(getattr(pytest.Function, "_initrequest", None)), f"{PYTEST} has no Function._initrequest"


def test_a_module_that_is_loaded_already_is_collected(tmp_path: Path) -> None:
    path = tmp_path / "test_loaded.py"
    path.write_text("raise RuntimeError('imported once more')")
    module = ModuleType("test_loaded")

    def test_one(student: object) -> None: ...

    test_one.__dict__["item"] = "first"
    vars(module)["test_one"] = test_one
    plugin = RubricPlugin(tmp_path, {path: module})
    assert [test.obj for test in plugin.tests["first"]] == [test_one], f"{PYTEST} ignores a module's obj"
