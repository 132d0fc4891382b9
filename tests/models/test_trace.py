"""A trace notes of a forward pass what torch.fx notes before operations are taken apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.fx.experimental.proxy_tensor import make_fx

import reference
from grader.models.trace import Trace


def plain(value: Any, names: Mapping[Node, dict[str, int]]) -> Any:
    if isinstance(value, Node):
        return names[value]
    if isinstance(value, tuple | list):
        return tuple(plain(entry, names) for entry in value)
    if isinstance(value, dict):
        return {key: plain(entry, names) for key, entry in value.items()}
    return value if value is None or type(value) in (bool, int, float, str) else str(value)


def noted_by_torch(forward: Callable[..., Any], tensors: list[Tensor]) -> list[tuple[str, Any, Any]]:
    graph = make_fx(lambda *given: forward(*given), tracing_mode="real", pre_dispatch=True)(*tensors).graph
    names: dict[Node, dict[str, int]] = {}
    nodes: list[tuple[str, Any, Any]] = []
    for node in graph.nodes:
        if node.op == "placeholder":
            names[node] = {"given": len(names)}
        elif node.op == "call_function":
            nodes.append((str(node.target), plain(node.args, names), plain(node.kwargs, names)))
            names[node] = {"node": len(nodes) - 1}
    return nodes


def noted(forward: Callable[..., Any], tensors: list[Tensor]) -> Trace:
    trace = Trace((tensor, ("given", number)) for number, tensor in enumerate(tensors))
    with trace.noting():
        forward(*tensors)
    return trace


def of_a_model(make: Callable[[], nn.Module], image: tuple[int, ...]) -> tuple[Callable[..., Any], list[Tensor]]:
    with torch.device("meta"):
        model, X = make(), torch.empty(5, *image)
        model(X)  # its layers are lazy
    state = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    sketches = [torch.empty_like(value, requires_grad=False) for value in state.values()]

    def forward(X: Tensor, *values: Tensor) -> Any:
        return torch.func.functional_call(model, dict(zip(state, values, strict=True)), (X,))

    return forward, [X, *sketches]


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "LeNet": (reference.LeNet, (1, 28, 28)),
    "VGG": (lambda: reference.VGG(((1, 4), (2, 8))), (1, 32, 32)),
    "ResNet18": (reference.ResNet18, (1, 96, 96)),
}


@pytest.mark.parametrize("model", MODELS)
def test_the_book_s_models_are_noted_as_torch_notes_them(model: str) -> None:
    forward, tensors = of_a_model(*MODELS[model])
    trace = noted(forward, tensors)
    assert trace.complete
    assert trace.nodes == noted_by_torch(forward, tensors)


def in_place(X: Tensor) -> Tensor:
    Y = X + 1
    Y.relu_()
    Y += X
    return Y.view(-1)


def without_gradients(X: Tensor) -> Tensor:
    with torch.no_grad():
        return X * 2


def in_another_precision(X: Tensor) -> Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return X @ X.T


def of_several_results(X: Tensor) -> Tensor:
    largest, _ = X.max(dim=1)
    return torch.cat([largest, *X[0].split(1)])


def with_numbers_of_its_own(X: Tensor) -> Tensor:
    return X * torch.arange(3) + torch.zeros(3, dtype=torch.float64)


FORWARDS = [in_place, without_gradients, in_another_precision, of_several_results, with_numbers_of_its_own]


@pytest.mark.parametrize("forward", FORWARDS, ids=lambda forward: str(forward.__name__))
def test_a_forward_pass_is_noted_as_torch_notes_it(forward: Callable[[Tensor], Tensor]) -> None:
    X = [torch.rand(4, 3)]
    trace = noted(forward, X)
    assert trace.complete
    assert trace.nodes == noted_by_torch(forward, X)


def test_an_unknown_tensor_makes_a_trace_incomplete() -> None:
    table, generator = torch.rand(3), torch.Generator()
    assert not noted(lambda X: X + table, [torch.rand(4, 3)]).complete
    assert not noted(lambda X: torch.vmap(torch.sum)(X), [torch.rand(4, 3)]).complete
    assert not noted(lambda X: X + torch.rand(3, generator=generator), [torch.rand(4, 3)]).complete


@pytest.mark.parametrize(
    "forward",
    [lambda X: X if X.sum() > 0 else -X, lambda X: X * X.sum().item(), lambda X: X * float(torch.zeros(1) + X[0, 0])],
)
def test_numbers_that_depend_on_the_input_cannot_be_asked_for(forward: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(RuntimeError, match="trying to get value out of a tracing tensor") as ours:
        noted(forward, [torch.rand(4, 3)])
    with pytest.raises(RuntimeError) as stock:
        noted_by_torch(forward, [torch.rand(4, 3)])
    assert str(ours.value) == str(stock.value)


def test_a_literal_number_can_be_asked_for() -> None:
    trace = noted(lambda X: X * (torch.tensor(2.0) + torch.tensor(1.0)).item(), [torch.rand(4, 3)])
    assert trace.nodes[-1] == ("aten.mul.Tensor", ({"given": 0}, 3.0), {})


def test_compiled_modules_are_not_traced() -> None:
    compiled = torch.compile(nn.Linear(3, 2), backend="eager")
    with pytest.raises(RuntimeError, match=r"torch\.fx|FX"):
        noted(compiled, [torch.rand(4, 3)])


def test_nothing_is_noted_after_the_body() -> None:
    trace = noted(lambda X: X + 1, [torch.rand(4, 3)])
    torch.rand(3) + 1
    assert len(trace.nodes) == 1
