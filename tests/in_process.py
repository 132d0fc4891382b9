"""A fake at the seam: a submission whose cells run in this very process, to test a rubric without a sandbox.

It converts as the wire does: tensors come back as plain copies, arrays as tensors, all else as a remote. A state is
made by running the cells again up to it. Only for code we wrote ourselves.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from grader.student import Definition, Fault, Operation, Parameter, Recorded, StudentFault

MODULE = "homework"  # what the student's own functions and classes say they come from
SMALL = 4096

# As in the sandbox; and small tensors on many threads take several times longer.
torch.set_num_threads(1)


class State:
    """A namespace after some cells, and the default dtype they left; code of the student runs inside `entered`."""

    def __init__(self) -> None:
        self.namespace: dict[str, Any] = {"__name__": MODULE}
        self.dtype = torch.float32

    @contextmanager
    def entered(self) -> Iterator[None]:
        ours = torch.get_default_dtype()
        torch.set_default_dtype(self.dtype)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        finally:
            self.dtype = torch.get_default_dtype()
            torch.set_default_dtype(ours)

    def answer(self, function: Callable[[], Any]) -> Any:
        with self.entered():
            try:
                return function()
            except StudentFault:
                raise
            except Exception as error:
                raise StudentFault(Fault.RAISED, f"{type(error).__name__}: {error}") from error

    def run(self, source: str) -> Any:
        """Run a cell; return what it displays."""
        tree = ast.parse(source)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        with self.entered():
            exec(compile(tree, "cell", "exec"), self.namespace)
            if isinstance(last, ast.Expr):
                return eval(compile(ast.Expression(last.value), "cell", "eval"), self.namespace)
        return None


class InProcessRemote:
    """A function, class, module or other object of the student's."""

    def __init__(self, value: Any, state: State) -> None:
        self.value = value
        self.state = state
        self.kind = kind_of(value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = tuple(taken_in(each) for each in args), {name: taken_in(each) for name, each in kwargs.items()}
        given = [each for each in (*args, *kwargs.values()) if isinstance(each, Tensor)]
        before = [each.clone() for each in given]
        result = self.state.answer(lambda: self.value(*args, **kwargs))
        if not all(a.shape == b.shape and bool((a == b).all()) for a, b in zip(given, before, strict=True)):
            raise StudentFault(Fault.CHANGED_ARGUMENT, "an argument was changed in place")
        return given_out(result, self.state)

    def signature(self) -> tuple[Parameter, ...]:
        parameters = self.state.answer(lambda: inspect.signature(self.value).parameters.values())
        variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        return tuple(
            Parameter(p.name, p.default is p.empty, p.kind is p.KEYWORD_ONLY)
            for p in parameters
            if p.kind not in variadic
        )

    def parameters(self) -> dict[str, Tensor]:
        return learnable(self.value)

    def load(self, values: Mapping[str, Tensor]) -> None:
        own = dict(self.value.named_parameters())
        with torch.no_grad():
            for name, value in values.items():
                own[name].copy_(value)

    def gradients(self, *inputs: Tensor, cotangent: Tensor | None = None) -> dict[str, Tensor | None]:
        def backward() -> dict[str, Tensor | None]:
            self.value.zero_grad()
            output = self.value(*inputs)
            if output.requires_grad:
                (output if cotangent is None else output * cotangent).sum().backward()
            grads = {name: p.grad for name, p in self.value.named_parameters()}
            return {name: None if grad is None else plain_tensor(grad) for name, grad in grads.items()}

        gradients: dict[str, Tensor | None] = self.state.answer(backward)
        return gradients

    def operations(self, *inputs: Tensor) -> tuple[Operation, ...]:
        trace = Trace(inputs[0].shape[0])

        def run() -> None:
            self.value.eval()
            with torch.no_grad(), trace:
                self.value(*inputs)

        self.state.answer(run)
        return tuple(trace.operations)


class Trace(TorchDispatchMode):
    """Notes each operation whose result carries the batch dimension."""

    def __init__(self, batch: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.batch = batch
        self.operations: list[Operation] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for each in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(each, Tensor) and each.ndim and each.shape[0] == self.batch:
                self.operations.append(Operation(func.overloadpacket.__name__, tuple(each.shape)))
        return result


class InProcessStudent:
    """One state of a notebook."""

    def __init__(self, state: State, aliases: Mapping[str, str], records: Sequence[Recorded]) -> None:
        self._state = state
        self._aliases = aliases
        self._records = records

    def __getattr__(self, name: str) -> Any:
        own = self._aliases.get(name, name)
        if own not in self._state.namespace:
            raise StudentFault(Fault.RAISED, f"NameError: name '{own}' is not defined")
        return given_out(self._state.namespace[own], self._state)

    def layer(self, kind: str, *args: Any, **kwargs: Any) -> InProcessRemote:
        return InProcessRemote(self._state.answer(lambda: getattr(nn, kind)(*args, **kwargs)), self._state)

    def recorded(self) -> Sequence[Recorded]:
        return self._records


class InProcessWork:
    """A submission of one or more notebooks, each a list of cells' sources."""

    def __init__(self, *cells: str, files: Mapping[str, Sequence[str]] | None = None) -> None:
        self.files = dict(files) if files is not None else {"homework.ipynb": cells}
        self.bindings: list[tuple[Definition, dict[str, Any]]] = []
        self.records: list[Recorded] = []
        self.opened = 0
        self.last: dict[str, State] = {}
        for file, sources in self.files.items():
            self.last[file] = self._run(file, sources)

    def definitions(self, names: Sequence[str]) -> Sequence[Definition]:
        found = []
        for definition, bound in self.bindings:
            mine = frozenset(name for name in names if name in bound and written_here(bound[name]))
            if mine:
                found.append(Definition(definition.file, definition.cell, mine))
        return found

    def imported_from(self, name: str) -> str | None:
        for state in self.last.values():
            module = getattr(state.namespace.get(name), "__module__", None)
            if module and module != MODULE:
                return str(module)
        return None

    def candidates(self) -> Sequence[tuple[Definition, str]]:
        return [
            (Definition(file, len(self.files[file]) - 1, frozenset({name})), name)
            for file, state in self.last.items()
            for name, value in state.namespace.items()
            if written_here(value) and not name.startswith("_")
        ]

    @contextmanager
    def open(
        self, definition: Definition | None, aliases: Mapping[str, str] | None = None
    ) -> Iterator[InProcessStudent]:
        self.opened += 1
        if definition is None:
            yield InProcessStudent(State(), {}, self.records)
            return
        state = State()
        for source in self.files[definition.file][: definition.cell + 1]:
            attempt(state, source)
        yield InProcessStudent(state, aliases or {}, ())

    def _run(self, file: str, sources: Sequence[str]) -> State:
        torch.manual_seed(0)
        state = State()
        for cell, source in enumerate(sources):
            before = dict(state.namespace)
            displayed = attempt(state, source)
            bound = {name: value for name, value in state.namespace.items() if before.get(name) is not value}
            self.bindings.append((Definition(file, cell, frozenset(bound)), bound))
            for name, value in [*state.namespace.items(), ("_", displayed)]:
                small = recordable(value)
                if small is not None and (name == "_" or not name.startswith("_")):
                    self.records.append(Recorded(file, cell, name, small))
        return state


def kind_of(value: Any) -> str:
    if isinstance(value, nn.Module):
        return "module"
    return "class" if inspect.isclass(value) else "function" if inspect.isroutine(value) else "object"


def attempt(state: State, source: str) -> Any:
    """Run a cell; one that raises costs what it would have defined."""
    try:
        return state.run(source)
    except Exception:
        return None


def written_here(value: Any) -> bool:
    if isinstance(value, nn.Module):
        return type(value).__module__ == MODULE or isinstance(value, nn.Sequential)
    return callable(value) and getattr(value, "__module__", None) == MODULE


def plain_tensor(value: Tensor) -> Tensor:
    return torch.Tensor.detach(value).as_subclass(Tensor).clone()


def learnable(module: nn.Module) -> dict[str, Tensor]:
    lazy = nn.parameter.UninitializedParameter
    return {
        name: plain_tensor(p) for name, p in module.named_parameters() if p.requires_grad and not isinstance(p, lazy)
    }


def recordable(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        value = torch.from_numpy(value.copy())
    if isinstance(value, Tensor) and value.numel() <= SMALL:
        return plain_tensor(value)
    if isinstance(value, tuple) and value and all(type(each) is int for each in value):
        return tuple(value)
    if isinstance(value, nn.Module) and sum(p.numel() for p in learnable(value).values()) <= 16:
        return learnable(value) or None
    return None


def taken_in(value: Any) -> Any:
    return value.value if isinstance(value, InProcessRemote) else value.clone() if isinstance(value, Tensor) else value


def given_out(value: Any, state: State) -> Any:
    if isinstance(value, Tensor):
        return plain_tensor(value)
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (tuple, list)):
        answers = [given_out(each, state) for each in value]
        return answers if isinstance(value, list) else tuple(answers)
    if isinstance(value, dict):
        return {name: given_out(each, state) for name, each in value.items()}
    return InProcessRemote(value, state)
