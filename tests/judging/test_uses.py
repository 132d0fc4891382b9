"""What uses what, from the source of a notebook's cells."""

from __future__ import annotations

from grader.judging.uses import STATEMENTS, find_uses, reach
from tests.support.notebooks import submission


def uses(*cells: str) -> dict[str, set[str]]:
    return find_uses(submission(*cells).notebooks)


def test_a_function_uses_the_names_in_it_and_what_they_use() -> None:
    found = uses("def f(x): return g(x) + a", "%time\ndef g(x):\n    return h(x)", "h = abs")
    assert {"g", "a", "h", "abs"} <= reach("f", found)
    assert "f" not in reach("g", found)


def test_methods_that_are_added_to_a_class_are_its_own() -> None:
    assert "Residual" in reach("Net", uses("class Net: pass", "@d2l.add_to_class(Net)\ndef block(self): Residual(3)"))


def test_what_is_only_shown_is_used_by_the_notebook() -> None:
    found = uses("def f(): return g()", "def k(): return 1", "f()")
    assert {"f", "g"} <= reach(STATEMENTS, found)
    assert "k" not in reach(STATEMENTS, found)


def test_cells_that_are_no_python_use_nothing() -> None:
    assert uses("def f(x)\n    return g", "not python at all") == {}


def test_functions_that_call_each_other_end() -> None:
    assert reach("f", uses("def f(): g()", "def g(): f()")) == {"g"}
