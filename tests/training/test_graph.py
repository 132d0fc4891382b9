"""Graphs: one model, one text, one key."""

from __future__ import annotations

from grader.training.graph import Graph
from tests.support.small_models import Branches, graph, sequential


def test_a_graph_comes_back_from_its_json() -> None:
    for made in (graph(sequential), graph(Branches)):
        assert Graph.from_json(made.to_json()) == made


def test_the_key_is_of_what_is_computed_and_of_nothing_else() -> None:
    assert graph(sequential).key == graph(sequential).key
    assert graph(sequential).key != graph(Branches).key


def test_operations_can_be_counted() -> None:
    assert (graph(Branches).count("conv2d"), graph(Branches).count("add"), graph(Branches).count("dropout")) == (
        2,
        1,
        0,
    )
