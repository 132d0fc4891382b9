"""Misconceptions: declared once each, for items that exist, and written out as cells that stand alone."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

from grader.assignment import Assignment, Item
from grader.errors import AssignmentError
from grader.judging.misconceptions import find_misconceptions, write_mutant
from grader.testing.misconceptions import Misconception

FLIPPED = """
    \"\"\"A docstring.\"\"\"

    import torch
    from torch import Tensor
    from torch.nn import functional as F
    from reference import corr2d
    from grader.testing import misconception

    BREAKS = ("corr2d.values",)

    @misconception("corr2d", breaks=BREAKS, says="it is flipped", look="look at the kernel")
    def flipped(X: Tensor, K: Tensor) -> Tensor:
        \"\"\"Flip the kernel.\"\"\"
        return F.conv2d(X[None, None], K.flip(0, 1)[None, None])[0, 0]
"""

Find = Callable[..., tuple[Misconception, ...]]


@pytest.fixture
def find(tmp_path: Path) -> Iterator[Find]:
    """Find the misconceptions of files with these contents."""
    names = []

    def load(number: int, source: str) -> ModuleType:
        path, name = tmp_path / f"mistakes_{number}.py", f"_test_mistakes_{number}"
        path.write_text(dedent(source))
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        names.append(name)
        spec.loader.exec_module(module)
        return module

    def found(*sources: str) -> tuple[Misconception, ...]:
        items = tuple(Item(name, "7.2", "T", 1) for name in ("corr2d.values", "corr2d.shape"))
        assignment = Assignment("hw", "HW", tmp_path, 2, items, {"7.2": "Convolutions"}, "revision")
        return find_misconceptions(assignment, [load(number, source) for number, source in enumerate(sources)])

    yield found
    for name in names:
        del sys.modules[name]


def test_a_misconception_is_what_its_declaration_says(find: Find) -> None:
    (found,) = find(FLIPPED)
    assert (found.id, found.replaces, found.breaks) == ("flipped", "corr2d", frozenset(["corr2d.values"]))
    assert (found.says, found.look) == ("it is flipped", "look at the kernel")


def test_misconceptions_are_found_in_the_order_of_files_and_lines(find: Find) -> None:
    header, declared = dedent(FLIPPED).split("\n@")
    two = "\n@".join((header, declared.replace("flipped", "last"), declared.replace("flipped", "first")))
    assert [each.id for each in find(two, FLIPPED)] == ["last", "first", "flipped"]


def test_what_one_file_imports_from_another_is_declared_once(find: Find) -> None:
    other = "from _test_mistakes_0 import flipped"
    assert [each.id for each in find(FLIPPED, other)] == ["flipped"]


def test_two_of_one_name_are_the_authors_mistake(find: Find) -> None:
    with pytest.raises(AssignmentError, match=r"mistakes_1.py: misconception flipped is declared twice"):
        find(FLIPPED, FLIPPED)


@pytest.mark.parametrize(
    ("breaks", "named"),
    [("()", "nothing"), ('("corr2d.value",)', "corr2d.value"), ('("b", "corr2d.values", "a")', "a, b")],
)
def test_breaking_nothing_or_what_the_rubric_lacks_is_the_authors_mistake(find: Find, breaks: str, named: str) -> None:
    with pytest.raises(AssignmentError, match=f"mistakes_0.py: misconception flipped breaks {named}: name items"):
        find(FLIPPED.replace("breaks=BREAKS", f"breaks={breaks}"))


ALTERED = (
    FLIPPED.replace("import misconception", "import alter, misconception")
    + """
    def corr2d_multi_in(X: Tensor, K: Tensor) -> Tensor:
        return sum(corr2d(x, k) for x, k in zip(X, K))

    pairs_of_a_tuple = alter(
        corr2d_multi_in, {"zip(X, K)": "(X, K)", "x, k)": "k, x)"}, breaks=BREAKS, says="a", look="b", on=(flipped,)
    )
"""
)


def test_an_alteration_is_the_right_definition_with_its_changes_under_the_name_it_is_bound_to(find: Find) -> None:
    _, altered = find(ALTERED)
    assert (altered.id, altered.replaces) == ("pairs_of_a_tuple", "corr2d_multi_in")
    *_, below, cell = write_mutant(altered, ["reference"])
    assert below.name == "flipped"
    assert cell.source.endswith("return sum((corr2d(k, x) for x, k in (X, K)))")


@pytest.mark.parametrize("old", ["zip(K, X)", "X"])
def test_a_change_that_does_not_fit_is_found_where_it_is_declared(find: Find, old: str) -> None:
    with pytest.raises(ValueError, match=f"'{re.escape(old)}' is [0-9]+ times in corr2d_multi_in, not once"):
        find(ALTERED.replace('"zip(X, K)"', f'"{old}"'))


def test_being_the_same_as_what_does_not_exist_is_the_authors_mistake(find: Find) -> None:
    with pytest.raises(AssignmentError, match="flipped is the same as mirrored: there is no such misconception"):
        find(FLIPPED.replace("breaks=BREAKS", "breaks=BREAKS, same_as=['mirrored']"))


def test_its_cells_are_its_definition_under_the_name_it_replaces_and_the_imports_of_its_file(find: Find) -> None:
    (found,) = find(FLIPPED)
    *imports, cell = write_mutant(found, ["reference"])
    assert [each.source for each in imports] == [
        "import torch",
        "from torch import Tensor",
        "from torch.nn import functional as F",
    ]
    assert [each.name for each in imports] == ["", "", ""]
    assert cell.name == "corr2d"
    assert (
        cell.source
        == dedent('''
        def corr2d(X: Tensor, K: Tensor) -> Tensor:
            """Flip the kernel."""
            return F.conv2d(X[None, None], K.flip(0, 1)[None, None])[0, 0]
    ''').strip()
    )


@pytest.mark.parametrize(
    "call", ["misconception", "testing.misconception", "grader.testing.misconception"], ids=lambda call: str(call)
)
def test_only_the_declaration_is_dropped_of_its_decorators(find: Find, call: str) -> None:
    source = """
        import grader.testing
        from grader import testing
        from grader.testing import misconception
        import torch
        import functools

        @functools.lru_cache(maxsize=None)
        def helper(): ...

        @CALL("Net", breaks=("corr2d.shape",), says="a", look="b")
        @functools.total_ordering
        class LeNetOf2Layers(torch.nn.Module):
            def __lt__(self, other):
                return True
    """.replace("CALL", call)
    (found,) = find(source)
    assert found.id == "le_net_of2_layers"
    *imports, cell = write_mutant(found, [])
    assert [each.source for each in imports] == ["import torch", "import functools"]
    first, second, *_ = cell.source.splitlines()
    assert (first, second) == ("@functools.total_ordering", "class Net(torch.nn.Module):")
    assert "helper" not in cell.source


def test_the_mutant_itself_stays_what_it_is(find: Find) -> None:
    (found,) = find(FLIPPED)
    assert found.mutant.__name__ == "flipped"
    assert callable(found.mutant)
