"""The log of candidates keeps what names were bound to, as it was then, within bounds and whatever the objects do."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import nn

from grader.sandbox.guest import candidates
from grader.sandbox.guest.candidates import CandidateLog


def own(source: str, **names: Any) -> dict[str, Any]:
    """Return what a notebook's statements bind, in a namespace with torch and these names."""
    namespace = {"__name__": "__main__", "nn": nn, "torch": torch, **names}
    exec(source, namespace)
    return namespace


def log_of(*states: dict[str, Any]) -> CandidateLog:
    log = CandidateLog()
    for cell, state in enumerate(states):
        log.look(state, cell)
    return log


def entries(log: CandidateLog, namespace: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [entry[:3] for entry in log.describe(namespace)]


def test_what_was_bound_again_is_restored_as_it_was() -> None:
    first = own("net = nn.Sequential(nn.Linear(1, 2))")
    second = {**first, **own("net = nn.Sequential(nn.Linear(1, 3))")}
    log = log_of(first, second)
    assert entries(log, second) == [("net", 0, 0), ("net", 1, None)]
    restored = dict(second)
    log.restore(0, restored)
    assert restored["net"] is first["net"]


def test_a_function_is_restored_with_the_functions_of_its_time() -> None:
    state = own("def block(): return 1\ndef make(): return block()")
    later = dict(state)
    exec("def block(): return 2", later)
    log = log_of(state, later)
    assert ("make", 0, None) in entries(log, later)
    (number,) = (number for name, _, number in entries(log, later) if name == "make" and number is not None)
    log.restore(number, later)
    assert later["block"] is state["block"]


def test_nothing_is_listed_twice() -> None:
    state = own("net = nn.Sequential()\nsame = net\ndef f(): pass")
    assert [name for name, _, _ in entries(log_of(state, state), state)] == ["net", "f"]


def test_packages_and_hidden_names_are_no_candidates() -> None:
    state = own("layer = nn.Linear(1, 1)\nLinear = nn.Linear\n_net = nn.Sequential()\nprinter = print\nx = 5")
    assert entries(log_of(state), state) == []


def test_partials_are_candidates_if_their_function_is() -> None:
    state = own("def make(width): return nn.Linear(1, width)")
    state["narrow"], state["layer"] = functools.partial(state["make"], 3), functools.partial(nn.Linear, 3)
    assert [name for name, _, _ in entries(log_of(state), state)] == ["make", "narrow"]


def test_a_large_model_is_kept_without_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "_MAX_KEPT_BYTES", 100)
    state = own("small = nn.Sequential(nn.Linear(1, 2))\nlarge = nn.Sequential(nn.Linear(10, 10), nn.LazyLinear(3))")
    log = log_of(state)
    restored: dict[str, Any] = {}
    log.restore(1, restored)
    assert entries(log, state) == [("small", 0, None), ("large", 0, 1)]
    assert restored["large"][0].weight.is_meta
    assert restored["large"][0].weight.shape == (10, 10)
    assert not state["large"][0].weight.is_meta


def test_a_model_that_cannot_be_copied_is_no_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "_MAX_KEPT_BYTES", 1)
    state = own(
        "class Net(nn.Sequential):\n    def __deepcopy__(self, memo): raise ValueError\nnet = Net(nn.Linear(9, 9))"
    )
    assert entries(log_of(state), state) == [("Net", 0, None)]


def test_objects_that_cannot_be_looked_at_are_left_out() -> None:
    state = own(
        """
class Liar:
    def __getattribute__(self, name): raise RuntimeError("not here")
    def __call__(self): pass
class Broken(nn.Module):
    def parameters(self, recurse=True): raise RuntimeError
liar, broken, net = Liar(), Broken(), nn.Sequential()
"""
    )
    assert [name for name, _, _ in entries(log_of(state), state)] == ["Liar", "Broken", "net"]


def test_no_more_than_a_number_of_candidates_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "_MAX_CANDIDATES", 3)
    state = own("\n".join(f"def f{n}(): pass" for n in range(10)))
    assert len(entries(log_of(state), state)) == 3


@pytest.mark.parametrize(
    ("source", "builds"),
    [
        ("def f(): return nn.Sequential(nn.Linear(1, 1))", True),
        ("def f(): return Net()", True),
        ("def f():\n    def inner(): return nn.Linear(1, 1)\n    return inner()", True),
        ("def f():\n    net = nn.Linear(1, 1)\n    net(torch.ones(1)).backward()", False),
        ("def f(x=1): return x", False),
    ],
)
def test_code_that_names_layers_and_trains_nothing_builds_models(source: str, builds: bool) -> None:
    state = own(f"class Net(nn.Module): pass\n{source}")
    assert [entry[-1] for entry in log_of(state).describe(state)] == [True, builds]
