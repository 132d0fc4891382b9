"""A student whose work lives in this very process: for code that we wrote ourselves, such as mutants of the reference.

It responds as the sandbox does: tensors come back as plain copies, arrays as tensors, everything else as a remote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

import numpy
import torch
from torch import Tensor, nn

from grader.judging.local_values import copy_tensor, rerun, to_small_value
from grader.judging.solution import Solution
from grader.models import modules
from grader.models.error_words import explain_error
from grader.models.export import NotExportable, export_graph
from grader.models.fit import train_in_place
from grader.models.outputs import compute_outputs
from grader.models.probe import probe
from grader.models.raised import read_spot
from grader.models.recipe import Recipe
from grader.models.rerun import Substitution
from grader.student import (
    Candidate,
    Definition,
    Fault,
    Operation,
    OwnCurve,
    OwnTraining,
    Parameter,
    Recorded,
    Rerun,
    StudentFault,
)
from grader.testing.failures import Overtime

__all__ = ["LocalRemote", "LocalStudent", "LocalWork"]

# As in the sandbox.
_MAX_ENTRIES, _MAX_DEPTH, _MAX_BITS = 10_000, 8, 2000

Context = Callable[[], AbstractContextManager[Any]]


class LocalStudent:
    """A namespace as a rubric sees it.

    Args:
        namespace: names and their values.
        context: opens the context in which its code runs.
        recorded: the small values that names had.
        cells: the sources of the cells of each notebook, by its name, if they may be run again.
    """

    def __init__(
        self,
        namespace: Mapping[str, Any],
        context: Context = nullcontext,
        recorded: Sequence[Recorded] = (),
        cells: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._namespace = namespace
        self._context = context
        self._recorded = recorded
        self._cells = cells or {}
        self.used = False

    def __getattr__(self, name: str) -> Any:
        if name not in self._namespace:
            raise StudentFault(Fault.MISSING, f"{name} is not defined")
        value = self._namespace[name]
        remote = LocalRemote(value, self._context) if callable(value) else _to_result(value, self._context)
        if not isinstance(remote, LocalRemote):
            raise StudentFault(Fault.MALFORMED, f"{name} is no function, class or model")
        return remote

    def read(self, name: str) -> Any:
        """Return the value of a name, as Python's own values."""
        if name not in self._namespace:
            raise StudentFault(Fault.MISSING, f"{name} is not defined")
        return _to_own_value(self._namespace[name], self._context)

    def layer(self, kind: str, *args: Any, **kwargs: Any) -> LocalRemote:
        """Build a layer of torch.nn, with torch's generator seeded."""
        torch.manual_seed(0)
        made = LocalRemote(lambda *a, **k: getattr(nn, kind)(*a, **k), self._context)(*args, **kwargs)
        if not isinstance(made, LocalRemote):
            raise StudentFault(Fault.MALFORMED, f"{kind} is not torch.nn's layer any more")
        return made

    def ahead(self, calls: Sequence[tuple[Any, ...]]) -> None:
        """Do nothing: each call is made when the test makes it."""

    def recorded(self) -> Sequence[Recorded]:
        """Return the small values that names had."""
        return self._recorded

    def rerun(self, wanted: Sequence[Recorded], substitutions: Sequence[Substitution], entries: int = 0) -> Rerun:
        """Run the cells again with other data, in a namespace of their own."""
        with self._context():
            return rerun(self._cells.get(wanted[0].file, ()), wanted, substitutions, entries)

    def mark_earning(self) -> None:
        """Do nothing: what is called here is not asked again."""


class LocalWork:
    """A notebook of our own, run in this process, in its final state.

    Args:
        solution: the notebook's cells.

    Attributes:
        recorded: the small values that names had.
    """

    FILE = "notebook.ipynb"

    def __init__(self, solution: Solution) -> None:
        self._solution = solution
        self.recorded = tuple(self._run())

    def definitions(self, names: Sequence[str]) -> Sequence[Definition]:
        """Return one definition of all the names, where the last of them is defined."""
        cells = {cell.name: index for index, cell in enumerate(self._solution.cells) if cell.name in names}
        return [Definition(self.FILE, max(cells.values()), frozenset(cells))] if cells else []

    def imported_from(self, name: str) -> None:
        """Return None: no name is only imported."""

    def candidates(self) -> Sequence[Candidate]:
        """Return nothing: our own code uses the names that are asked for."""
        return []

    def trainings(self) -> Sequence[OwnTraining]:
        """Return nothing: there is no data set, so nothing trains."""
        return ()

    def trained(self, training: OwnTraining, seconds: float | None = None) -> AbstractContextManager[LocalRemote]:
        """Raise StudentFault: there are no trained models."""
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
        """Open a fresh namespace of its definitions."""
        cells = {self.FILE: [cell.source for cell in self._solution.cells]}
        yield LocalStudent(self._solution.namespace() if definition else {}, nullcontext, self.recorded, cells)

    def _run(self) -> Iterator[Recorded]:
        """Run all cells, and yield the small values that each of them changes."""
        namespace: dict[str, Any] = {"__name__": "solution"}
        for number, cell in enumerate(self._solution.cells):
            before = dict(namespace)
            with suppress(Exception):  # as in a kernel: the next cell still runs
                cell.run(namespace)
            for name, value in namespace.items():
                small = None if before.get(name) is value else to_small_value(value)
                if small is not None and not name.startswith("_"):
                    yield Recorded(self.FILE, number, name, small)


class LocalRemote:
    """A function, class, module or other object of this process."""

    def __init__(self, value: Any, context: Context = nullcontext) -> None:
        self.value = value
        self.kind = modules.classify(value)
        self._context = context

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = _to_arguments(args), _to_arguments(kwargs)
        before = _copy_tensors((args, kwargs))
        result = self._run(lambda: self.value(*args, **kwargs))
        if not all(_are_identical(*pair) for pair in zip(before, _copy_tensors((args, kwargs)), strict=True)):
            raise StudentFault(Fault.CHANGED_ARGUMENT, "changes the tensor it is given; work on a copy")
        return self._run(lambda: _to_result(result, self._context))

    def apply(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, Any]:
        """Call it with Python's own values, which it may change."""
        positional = [_unwrap(value) for value in args]
        named = {name: _unwrap(value) for name, value in kwargs.items()}
        return _to_own_value(self._run(lambda: self.value(*positional, **named)), self._context), None

    def attribute(self, name: str) -> Any:
        """Return an attribute, as Python's own values."""
        return _to_own_value(self._run(lambda: getattr(self.value, name)), self._context)

    def sketch(self, *args: Any, **kwargs: Any) -> Any:
        """Build a model that has shapes and no numbers."""
        made = self._run(lambda: modules.sketch(self.value, _to_arguments(args), _to_arguments(kwargs)))
        return _to_result(made, self._context)

    def signature(self) -> tuple[Parameter, ...]:
        """Return the parameters of its signature."""
        return tuple(Parameter(*parameter) for parameter in self._run(lambda: modules.read_signature(self.value)))

    def parameters(self) -> dict[str, Tensor]:
        """Return a module's learnable parameters by name, in order."""
        found: dict[str, nn.Parameter] = self._run(lambda: modules.find_learnable(self.value))
        return {name: copy_tensor(self._run(parameter.cpu)) for name, parameter in found.items()}

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of a module's learnable parameters by name, in order."""
        found: dict[str, nn.Parameter] = self._run(lambda: modules.find_learnable(self.value))
        return {name: tuple(parameter.shape) for name, parameter in found.items()}

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Fill the named parameters of a module."""
        self._run(lambda: modules.fill(self.value, values))

    def gradients(self, *inputs: Tensor, cotangent: Tensor | None = None) -> dict[str, Tensor | None]:
        """Return d(sum(output * cotangent))/d(parameter) by name."""
        found = self._run(lambda: modules.gradients(self.value, inputs, cotangent))
        return {name: None if gradient is None else copy_tensor(gradient) for name, gradient in found.items()}

    def operations(self, *inputs: Tensor) -> tuple[Operation, ...]:
        """Return the tensor operations of one forward pass."""
        found = self._run(lambda: modules.trace_operations(self.value, inputs))
        return tuple(Operation(*operation) for operation in found)

    def predict_classes(self, images: Tensor, like: OwnTraining) -> Tensor:
        """Return the class that a model predicts for each image."""
        found: Tensor = self._run(lambda: modules.predict_classes(self.value, images, like.size, like.pixels))
        return found

    def graph(self, image: tuple[int, ...]) -> Any:
        """Return the module's description of its forward pass."""
        try:
            return self._run(lambda: export_graph(self.value, image))
        except StudentFault as fault:
            if isinstance(fault.__cause__, NotExportable):
                return fault.__cause__.to_plain()
            raise

    def probe(self, names: Sequence[str], images: Tensor, seed: int) -> dict[str, Tensor]:
        """Return what the module computes with parameters drawn from a seed."""
        found: dict[str, Tensor] = self._run(lambda: probe(self.value, names, images, seed))
        return found

    def outputs(
        self,
        names: Sequence[str],
        shapes: Sequence[tuple[int, ...]],
        images: Tensor,
        seed: int,
        *,
        gain: float,
        training: bool = False,
    ) -> Tensor:
        """Return what the module computes with drawn weights in place of its parameters."""
        found: Tensor = self._run(
            lambda: compute_outputs(self.value, names, shapes, images, seed, gain=gain, training=training)
        )
        return found

    def train(self, recipe: Recipe, seed: int, images: Tensor, labels: Tensor, judged: Tensor) -> OwnCurve:
        """Train the module in this process."""
        return OwnCurve(*self._run(lambda: train_in_place(self.value, recipe, seed, images, labels, judged)))

    def _run(self, question: Callable[[], Any]) -> Any:
        with self._context():
            try:
                return question()
            except StudentFault:
                raise
            except Overtime:  # as in the sandbox, all calls of a test together have the time of one test
                raise StudentFault(Fault.TIMED_OUT, "did not end within its time") from None
            except (Exception, SystemExit) as error:
                text = f": {error}" if str(error) else ""
                name = type(error).__name__
                words, advice = explain_error(name, str(error), read_spot(error))
                message = f"raises {name}{text}"
                raise StudentFault(Fault.RAISED, message, name, words=words, advice=advice) from error


def _unwrap(value: Any) -> Any:
    """Return the object behind a remote, and any other value as it is."""
    while hasattr(value, "remote"):
        value = value.remote
    return value.value if isinstance(value, LocalRemote) else value


def _to_own_value(value: Any, context: Context) -> Any:
    """Return data as it is, and everything else as a remote."""
    if isinstance(value, Tensor):
        return copy_tensor(value)
    stays = callable(value) or not (value is ... or type(value).__module__ in ("builtins", "numpy"))
    return LocalRemote(value, context) if stays else value


def _to_arguments(value: Any) -> Any:
    if isinstance(value, LocalRemote):
        return value.value
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, tuple | list):
        return tuple(_to_arguments(entry) for entry in value)
    if isinstance(value, Mapping):
        return {name: _to_arguments(entry) for name, entry in value.items()}
    return value


def _to_result(value: Any, context: Context, depth: int = 0) -> Any:
    if isinstance(value, Tensor):
        return copy_tensor(value)
    if isinstance(value, numpy.ndarray) and value.dtype.kind in "biufc":
        return copy_tensor(torch.from_numpy(value.copy()))
    if isinstance(value, numpy.bool_ | numpy.integer | numpy.floating):
        return value.item()
    if value is None or isinstance(value, bool | float | str):
        return value
    if isinstance(value, int) and value.bit_length() < _MAX_BITS:
        return value
    small = depth < _MAX_DEPTH and isinstance(value, tuple | list | Mapping) and len(value) <= _MAX_ENTRIES
    if small and isinstance(value, tuple | list):
        return tuple(_to_result(entry, context, depth + 1) for entry in value)
    if small and isinstance(value, Mapping):
        return {str(name): _to_result(entry, context, depth + 1) for name, entry in value.items()}
    return LocalRemote(value, context)


def _are_identical(one: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors are equal bit for bit. NaN equals itself."""
    return one.shape == other.shape and one.dtype == other.dtype and one.numpy().tobytes() == other.numpy().tobytes()


def _copy_tensors(value: Any) -> list[Tensor]:
    """Copy the tensors among arguments, in order."""
    if isinstance(value, Tensor):
        return [copy_tensor(value)]
    entries = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    return [copy for entry in entries for copy in _copy_tensors(entry)]
