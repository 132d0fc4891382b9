"""A fake at the seam: a submission whose cells run in this very process, to test a rubric without a sandbox.

A state is made by running the cells again up to it, and answers through `grader.judging.local`. Only for code we wrote
ourselves.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from grader.judging.local import LocalRemote, LocalStudent
from grader.models.modules import find_learnable
from grader.student import Candidate, Definition, Fault, OwnTraining, Recorded, StudentFault

MODULE = "homework"  # what the student's own functions and classes say they come from
SMALL = 1024

# As in the sandbox; and small tensors on many threads take several times longer.
torch.set_num_threads(1)


class NotebookState:
    """A namespace after some cells, and the default dtype they left; code of the student runs inside `entered`."""

    def __init__(self) -> None:
        self.namespace: dict[str, Any] = {"__name__": MODULE}
        self.dtype = torch.float32
        torch.manual_seed(0)

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

    def run(self, source: str) -> Any:
        """Run a cell and return what it displays; one that raises costs what it would have defined."""
        tree = ast.parse(source)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        with self.entered(), contextlib.suppress(Exception):
            exec(compile(tree, "cell", "exec"), self.namespace)
            if isinstance(last, ast.Expr):
                return eval(compile(ast.Expression(last.value), "cell", "eval"), self.namespace)
        return None


class InProcessWork:
    """A submission of one or more notebooks, each a list of cells' sources."""

    def __init__(self, *cells: str, files: Mapping[str, Sequence[str]] | None = None) -> None:
        self.files: dict[str, Sequence[str]] = dict(files) if files is not None else {"homework.ipynb": cells}
        self.bindings: list[tuple[Definition, dict[str, Any]]] = []
        self.records: list[Recorded] = []
        self.opened = 0
        self.last: dict[str, NotebookState] = {}
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

    def candidates(self) -> Sequence[Candidate]:
        return [
            Candidate(
                Definition(definition.file, definition.cell, frozenset({name})),
                name,
                "module" if isinstance(value, nn.Module) else "class" if isinstance(value, type) else "function",
                frozenset() if isinstance(value, nn.Module) else required_by(value),
                type(value).__name__ if isinstance(value, nn.Module) else "",
            )
            for definition, bound in self.bindings
            for name, value in bound.items()
            if written_here(value) and not name.startswith("_")
        ]

    def trainings(self) -> Sequence[OwnTraining]:
        return ()

    def trained(self, training: OwnTraining, seconds: float | None = None) -> AbstractContextManager[LocalRemote]:
        raise StudentFault(Fault.MISSING, "nothing is trained here")

    @contextmanager
    def open(
        self,
        definition: Definition | None,
        aliases: Mapping[str, str] | None = None,
        seconds: float | None = None,
        *,
        shared: bool = False,
        at_most: float | None = None,
    ) -> Iterator[LocalStudent]:
        self.opened += 1
        state = NotebookState()
        if definition is None:
            yield LocalStudent({}, state.entered, self.records, self.files)
            return
        for source in self.files[definition.file][: definition.cell + 1]:
            state.run(source)
        renamed = {name: state.namespace[own] for name, own in (aliases or {}).items() if own in state.namespace}
        yield LocalStudent(state.namespace | renamed, state.entered)

    def _run(self, file: str, sources: Sequence[str]) -> NotebookState:
        state = NotebookState()
        for cell, source in enumerate(sources):
            before = dict(state.namespace)
            displayed = state.run(source)
            bound = {name: value for name, value in state.namespace.items() if before.get(name) is not value}
            self.bindings.append((Definition(file, cell, frozenset(bound)), bound))
            for name, value in [*state.namespace.items(), ("_", displayed)]:
                small = recordable(value)
                if small is not None and (name == "_" or not name.startswith("_")):
                    self.records.append(Recorded(file, cell, name, small))
        return state


def written_here(value: Any) -> bool:
    if isinstance(value, nn.Module):
        return type(value).__module__ in (MODULE, nn.Sequential.__module__)
    return callable(value) and getattr(value, "__module__", None) == MODULE


def required_by(value: Any) -> frozenset[str]:
    """Return the parameters that a callable requires."""
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(value).parameters.values()
    return frozenset(
        plain(each.name) for each in parameters if each.default is each.empty and each.kind not in variadic
    )


def plain(name: str) -> str:
    return name.replace("_", "").lower()


def recordable(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        value = torch.from_numpy(value.copy())
    if isinstance(value, Tensor) and value.numel() <= SMALL:
        return copied(value)
    if isinstance(value, tuple) and value and all(type(each) is int for each in value):
        return tuple(value)
    if isinstance(value, nn.Module):
        parameters = {name: copied(parameter) for name, parameter in find_learnable(value).items()}
        gradients = {f"{name}.grad": copied(p.grad) for name, p in value.named_parameters() if p.grad is not None}
        small = 0 < sum(each.numel() for each in parameters.values()) <= SMALL
        return parameters | gradients if small else None
    return None


def copied(value: Tensor) -> Tensor:
    return torch.Tensor.detach(value).as_subclass(Tensor).clone()
