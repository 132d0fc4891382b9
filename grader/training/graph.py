"""A model as data: tensor operations on parameters that have a shape and no values.

Graphs come from students' processes (`graph_reader.py` checks them) and are rebuilt on the trusted side (`network.py`).
They are the keys of cached training results: two models with one graph count as one model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from grader.models.outputs import GAIN

__all__ = ["IMAGE", "Graph", "Node", "TooLarge", "Unsupported", "sort_settings"]

_MANY_SIGMOIDS = 8
IMAGE = -1  # the number of the batch of images among the inputs of a node


class Unsupported(Exception):
    """No graph can describe the model; the reason is shown to the student."""


class TooLarge(Unsupported):
    """The model exceeds all bounds and must not be built."""


@dataclass(frozen=True)
class Node:
    """One tensor operation: the numbers of its input nodes and of its parameters, and its settings."""

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
        parameters: the shape of each parameter, in order of use.
        nodes: the operations in an order in which they can be computed. It depends only on what is computed, not on
            how the model was written. The last node returns the logits, (n, classes).
    """

    image: tuple[int, ...]
    parameters: tuple[tuple[int, ...], ...]
    nodes: tuple[Node, ...]

    def count(self, operation: str) -> int:
        """Return the number of nodes with this operation."""
        return sum(node.operation == operation for node in self.nodes)

    @property
    def gain(self) -> float:
        """How much larger than its inputs a layer's results should be, about, to see whether the layer matters.

        If they are large, a softmax gives nothing but 0 and 1; if they are small, a sigmoid gives nothing but 0.5.
        """
        *inner, last = (node.operation for node in self.nodes)
        if inner.count("sigmoid") > _MANY_SIGMOIDS:
            return 4 * GAIN
        is_bounded = "sigmoid" in inner or "tanh" in inner
        return GAIN / 4 if last in ("softmax", "sigmoid", "tanh") and not is_bounded else GAIN

    def to_json(self) -> str:
        """Return the graph as canonical JSON: equal graphs give equal text."""
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
    """Return settings as nodes store them: pairs sorted by name."""
    return tuple(sorted(values.items()))
