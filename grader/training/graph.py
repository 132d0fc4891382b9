"""A model as data: tensor operations with parameters of known shape and no numbers.

Graphs come from students' processes (`reading.py` checks them), are rebuilt on the trusted side (`network.py`), and are
what results of trainings are kept by: two models with one graph are one model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

__all__ = ["IMAGE", "Graph", "Node", "TooLarge", "Unsupported", "sort_settings"]

IMAGE = -1  # stands for the batch of images among the inputs of a node


class Unsupported(Exception):
    """A model that no graph describes; the reason is shown to the student."""


class TooLarge(Unsupported):
    """A model past all bounds, which nobody is to build."""


@dataclass(frozen=True)
class Node:
    """One tensor operation: the nodes and parameters it is given by their numbers, and its settings."""

    operation: str
    inputs: tuple[int, ...]
    parameters: tuple[int, ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()

    def setting(self, name: str) -> Any:
        """Return one setting."""
        return dict(self.settings)[name]


@dataclass(frozen=True)
class Graph:
    """A model's forward pass in train mode.

    Attributes:
        image: the shape of one image, (c, h, w).
        parameters: the shape of each parameter, in the order in which they are used.
        nodes: in an order in which they can be computed that depends on nothing but what is computed; the last one
            gives the logits, (n, classes).
    """

    image: tuple[int, ...]
    parameters: tuple[tuple[int, ...], ...]
    nodes: tuple[Node, ...]

    def count(self, operation: str) -> int:
        """Return how many nodes do this operation."""
        return sum(node.operation == operation for node in self.nodes)

    def to_json(self) -> str:
        """Return it as canonical JSON: one graph, one text."""
        nodes = [
            {
                "operation": node.operation,
                "inputs": list(node.inputs),
                "parameters": list(node.parameters),
                "settings": dict(node.settings),
            }
            for node in self.nodes
        ]
        values = {"image": self.image, "parameters": self.parameters, "nodes": nodes}
        return json.dumps(values, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Graph:
        """Return the graph that `to_json` wrote."""
        values = json.loads(text)
        return cls(
            image=tuple(values["image"]),
            parameters=tuple(tuple(shape) for shape in values["parameters"]),
            nodes=tuple(
                Node(
                    node["operation"],
                    tuple(node["inputs"]),
                    tuple(node["parameters"]),
                    tuple(sorted((name, _tuples(value)) for name, value in node["settings"].items())),
                )
                for node in values["nodes"]
            ),
        )

    @cached_property
    def key(self) -> str:
        """The sha256 of its JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def _tuples(value: Any) -> Any:
    return tuple(_tuples(entry) for entry in value) if isinstance(value, list) else value


def sort_settings(values: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return settings in the order in which nodes have them."""
    return tuple(sorted(values.items()))
