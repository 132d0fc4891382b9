"""What grader/judging/hypothesis_internals.py replaces in Hypothesis is there and is called."""

from __future__ import annotations

import importlib
import random
from typing import Any

import hypothesis
import pytest
from hypothesis import find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from grader.errors import SystemFault
from grader.judging.hypothesis_internals import ignore_local_constants

HYPOTHESIS = f"Hypothesis {hypothesis.__version__}"


@pytest.fixture
def providers() -> Any:
    try:
        return importlib.import_module("hypothesis.internal.conjecture.providers")
    except ImportError:
        pytest.fail(f"{HYPOTHESIS} has no internal.conjecture.providers")


def test_local_constants_are_read_by_the_function_that_is_replaced(
    providers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    original = getattr(providers, "_get_local_constants", None)
    assert callable(original), f"{HYPOTHESIS} has no _get_local_constants"

    def count() -> Any:
        calls.append(1)
        return original()

    monkeypatch.setattr(providers, "_get_local_constants", count)
    numbers = st.lists(st.integers(), min_size=100, max_size=100)  # one in twenty is a constant
    with pytest.raises(NoSuchExample):
        find(numbers, lambda _: False, settings=settings(database=None, max_examples=10), random=random.Random(0))
    assert calls, f"{HYPOTHESIS} does not call _get_local_constants"
    ignore_local_constants()
    assert not list(providers._get_local_constants().set_for_type("integer")), f"{HYPOTHESIS} has other Constants"


def test_a_name_that_is_gone_is_an_error(providers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(providers, "_get_local_constants")
    with pytest.raises(SystemFault, match="_get_local_constants"):
        ignore_local_constants()
