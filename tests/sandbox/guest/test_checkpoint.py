"""Checkpoints: what they restore, and when they are exact."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch

from grader.sandbox.guest.checkpoint import Checkpoint

Namespace = dict[str, Any]


def ran(source: str, namespace: Namespace | None = None) -> Namespace:
    namespace = {"__name__": "__main__", "torch": torch} if namespace is None else namespace
    exec(source, namespace)
    return namespace


def test_a_rebound_function_is_restored() -> None:
    namespace = ran("def f(): return 1")
    checkpoint = Checkpoint(["f"], namespace)
    ran("def f(): return 2", namespace)
    assert checkpoint.is_exact()
    checkpoint.restore(namespace)
    assert namespace["f"]() == 1


@pytest.mark.parametrize(
    "before",
    [
        "def f(): return g()",
        "def f():\n    def inner(): return g()\n    return inner()",
        "f = lambda: [g() for _ in range(1)][0]",
        "def f(given=lambda: g()): return given()",
        "def wrapped(function):\n    def inner(): return function()\n    return inner\n@wrapped\ndef f(): return g()",
        "import functools\nf = functools.partial(lambda name: g(), 0)",
        "class Own:\n    def own(self): return g()\nf = Own().own",
        "class Own:\n    @staticmethod\n    def own(): return g()\nf = Own.own",
        "class Own:\n    def own(self): return g()\nclass Child(Own): pass\nf = lambda: Child().own()",
        "table = {'g': lambda: g()}\nf = lambda: table['g']()",
        "row = (lambda: g(),)\nf = lambda: row[0]()",
    ],
)
def test_the_functions_it_calls_are_restored_too(before: str) -> None:
    namespace = ran(f"def g(): return 1\n{before}")
    checkpoint = Checkpoint(["f"], namespace)
    ran("def g(): return 2", namespace)
    assert namespace["f"]() == 2
    checkpoint.restore(namespace)
    assert namespace["f"]() == 1


def test_a_number_that_a_function_uses_is_restored() -> None:
    namespace = ran("size = 1\ndef f(): return size")
    checkpoint = Checkpoint(["f"], namespace)
    ran("size = 2", namespace)
    assert checkpoint.is_exact()
    checkpoint.restore(namespace)
    assert namespace["f"]() == 1


def test_later_definitions_are_removed() -> None:
    namespace = ran("def f(): return g()")
    checkpoint = Checkpoint(["f"], namespace)
    ran("def g(): return 1", namespace)
    checkpoint.restore(namespace)
    with pytest.raises(NameError):
        namespace["f"]()


def test_a_builtin_that_was_shadowed_later_is_restored() -> None:
    namespace = ran("def f(): return sum([1, 2])")
    checkpoint = Checkpoint(["f"], namespace)
    ran("sum = 3", namespace)
    assert checkpoint.is_exact()
    checkpoint.restore(namespace)
    assert namespace["f"]() == 3


def test_unreachable_names_stay_as_they_are() -> None:
    namespace = ran("def f(): return 1\nother = 1")
    checkpoint = Checkpoint(["f"], namespace)
    ran("other = 2", namespace)
    checkpoint.restore(namespace)
    assert namespace["other"] == 2


IN_PLACE = {
    "a class that is patched": ("class f: pass", "f.forward = lambda self: 1"),
    "a method that is exchanged": ("class f:\n    def g(self): pass", "f.g = lambda self: 1"),
    "the parent of a class": ("class P: pass\nclass f(P): pass", "P.forward = lambda self: 1"),
    "a tensor": ("K = torch.zeros(2)\ndef f(): return K", "K[0] = 1"),
    "a tensor that is a default": ("def f(K=torch.zeros(2)): return K", "f.__defaults__[0].add_(1)"),
    "a list": ("kept = [1]\ndef f(): return kept", "kept.append(2)"),
    "a list in a list": ("kept = [[1]]\ndef f(): return kept", "kept[0][0] = 2"),
    "a set": ("kept = {1}\ndef f(): return kept", "kept.add(2)"),
    "a dictionary": ("kept = {1: 1}\ndef f(): return kept", "kept[1] = 2"),
    "an attribute of a function": ("def f(): return f.kept\nf.kept = [1]", "f.kept.append(2)"),
}


@pytest.mark.parametrize("case", sorted(IN_PLACE))
def test_a_change_in_place_makes_it_inexact(case: str) -> None:
    before, change = IN_PLACE[case]
    namespace = ran(before)
    checkpoint = Checkpoint(["f"], namespace)
    assert checkpoint.is_exact()
    ran(change, namespace)
    assert not checkpoint.is_exact()


@pytest.mark.parametrize(
    "unsure",
    [
        "def f(): return eval('g')",
        "def f(): return globals()['g']",
        "class Own: pass\nown = Own()\ndef f(): return own",
        "import numpy\nkept = numpy.zeros(2)\ndef f(): return kept",
        "f = torch.nn.Linear(1, 1)",
        "f = iter([1])",
    ],
)
def test_objects_that_cannot_be_followed_make_it_inexact(unsure: str) -> None:
    assert not Checkpoint(["f"], ran(unsure)).is_exact()


@pytest.mark.parametrize(
    ("change", "undo"),
    [
        (lambda: torch.set_default_dtype(torch.float64), lambda: torch.set_default_dtype(torch.float32)),
        (lambda: torch.set_grad_enabled(False), lambda: torch.set_grad_enabled(True)),
    ],
    ids=["default dtype", "gradients"],
)
def test_changed_settings_make_it_inexact(change: Callable[[], object], undo: Callable[[], object]) -> None:
    checkpoint = Checkpoint(["f"], ran("def f(): return torch.ones(1)"))
    change()
    try:
        assert not checkpoint.is_exact()
    finally:
        undo()
    assert checkpoint.is_exact()


@pytest.mark.parametrize(
    ("holder", "name"),
    [(torch, "relu"), (torch.nn.functional, "relu"), (torch.nn, "ReLU"), (torch.Tensor, "sum"), (builtins, "range")],
    ids=["torch", "a module in a module", "a layer", "a method of tensors", "a builtin"],
)
def test_a_replaced_function_of_a_package_makes_it_inexact(
    holder: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uses = "torch.relu(X), torch.nn.functional.relu(X), torch.nn.ReLU()(X), X.sum(), range(2)"
    checkpoint = Checkpoint(["f"], ran(f"def f(X): return {uses}"))
    assert checkpoint.is_exact()
    with monkeypatch.context() as patch:
        patch.setattr(holder, name, functools.partial(getattr(holder, name)))
        assert not checkpoint.is_exact()
    assert checkpoint.is_exact()


def test_functions_of_packages_are_not_followed() -> None:
    namespace = ran(
        "from statistics import mean\ndef f(): return mean([1, 2]), torch.nn.functional.relu(torch.ones(1))"
    )
    assert Checkpoint(["f"], namespace).is_exact()


def test_an_endless_chain_is_not_followed_to_its_end() -> None:
    namespace = ran("chain = ()\nfor _ in range(100_000): chain = (chain,)\ndef f(): return chain")
    assert not Checkpoint(["f"], namespace).is_exact()
