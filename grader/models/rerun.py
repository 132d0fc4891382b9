"""Run cells again with other data in place of some: what was computed follows the data, what was typed in stays.

Only the data is changed, and nothing is asked of the cells: how they compute their results does not matter. The cells
run in the student's process, so what comes back is a claim. It says something where the trusted side alone knows what
the other data leads to.
"""

from __future__ import annotations

import ast
import copy
import linecache
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy
import torch
from torch import Tensor

__all__ = ["EVERY_NAME", "FILE_PREFIX", "RerunCell", "RerunNotes", "RerunTimeout", "Substitution", "rerun_cells"]

EVERY_NAME = "*"  # among the wanted names of a cell: all that are bound to small values, and what is displayed
FILE_PREFIX = "<rerun "  # of the files that the functions of these cells say they come from
_MOST_VALUES = 500
_MOST_RETURNED = 32
_EQUAL = 1e-5


@dataclass(frozen=True)
class Substitution:
    """Other data: a tensor whose entries are those of `found`, in order, is given those of `put`, whatever its shape.

    Attributes:
        found, put: tensors with the same number of entries.
        in_calls: whether it has them only while one of the student's own functions runs that is given it, together
            with a larger tensor.
    """

    found: Tensor
    put: Tensor
    in_calls: bool = False


@dataclass(frozen=True)
class RerunCell:
    """A cell to run: its index, its source and its statements."""

    index: int
    source: str
    statements: Sequence[ast.stmt]


@dataclass
class RerunNotes:
    """What a rerun showed.

    Attributes:
        values: cell, name and value after each statement that changed it; the name is "_" for a displayed value.
        returned: different values that the student's own functions returned.
        substituted: how often other data was put in place.
    """

    values: list[tuple[int, str, Any]] = field(default_factory=list)
    returned: list[Any] = field(default_factory=list)
    substituted: int = 0


class RerunTimeout(BaseException):
    """Ends a rerun, from wherever its cells are. What was noted until then counts."""


def rerun_cells(
    cells: Iterable[RerunCell],
    namespace: dict[str, Any],
    substitutions: Sequence[Substitution],
    wanted: Mapping[int, Collection[str]],
    *,
    read: Callable[[Any], Any],
    is_own: Callable[[str], bool],
    entries: int = 0,
    stand_ins: Mapping[str, Any] | None = None,
) -> RerunNotes:
    """Run cells, put the other data in place wherever the data turns up, and note some of the results.

    Data is looked for among the names of each statement, before and after it, and among what the student's own
    functions are given and return. A statement that raises costs itself, as in the sandbox's kernel.

    Args:
        cells: the cells, in order.
        namespace: the names that they see, and bind; those that are wanted are unbound first.
        substitutions: the data and what takes its place.
        wanted: for each cell, the names whose values are noted.
        read: returns a small value as plain data, None for any other.
        is_own: tells whether the functions of a file are the student's own.
        entries: how many entries the returned tensors have that are noted.
        stand_ins: what some names are bound to, whatever the cells bind them to.
    """
    named = {name for names in wanted.values() for name in names}
    values = _list_values(namespace, read) if EVERY_NAME in named else ()
    for name in named.union(values) - {*(stand_ins or ())}:
        namespace.pop(name, None)  # what an earlier run left is no result of this one
    run = _Rerun(namespace, substitutions, read, is_own, entries, stand_ins or {})
    with _default_settings():
        for cell in cells:
            if not run.run(cell, wanted.get(cell.index, ())):
                break
    return run.notes


def _list_values(namespace: Mapping[str, Any], read: Callable[[Any], Any]) -> list[str]:
    """Return the public names that are bound to small values."""
    return [name for name, value in namespace.items() if not name.startswith("_") and read(value) is not None]


class _Rerun:
    def __init__(
        self,
        namespace: dict[str, Any],
        substitutions: Sequence[Substitution],
        read: Callable[[Any], Any],
        is_own: Callable[[str], bool],
        entries: int,
        stand_ins: Mapping[str, Any],
    ) -> None:
        self.notes = RerunNotes()
        self._namespace = namespace
        self._everywhere = [pair for pair in substitutions if not pair.in_calls]
        self._in_calls = [pair for pair in substitutions if pair.in_calls]
        self._sizes = frozenset(pair.found.numel() for pair in substitutions)
        self._read = read
        self._is_own = is_own
        self._entries = entries
        self._stand_ins = stand_ins
        self._known: dict[str, Any] = {}  # values that were noted because every name is wanted
        self._lent: dict[int, list[tuple[Any, Tensor]]] = {}  # arguments and their own entries, by the frame's identity

    def run(self, cell: RerunCell, wanted: Collection[str]) -> bool:
        """Run a cell. Return False if the time is used up."""
        file = f"{FILE_PREFIX}{cell.index}>"
        lines = cell.source.splitlines(keepends=True)
        linecache.cache[file] = (len(cell.source), None, lines, file)  # torch.jit.script reads sources
        every = EVERY_NAME in wanted
        last = self._known if every else {name: self._read(self._namespace.get(name)) for name in wanted}
        for statement in cell.statements:
            try:
                for displayed in self._run_parts(statement, file):
                    names = ("_", *_list_values(self._namespace, self._read)) if every else wanted
                    self._note_values(cell.index, names, displayed, last)
            except RerunTimeout:
                return False
        return True

    def _run_parts(self, statement: ast.stmt, file: str) -> Iterator[Any]:
        """Run a statement, or the statements in it that the sandbox's kernel would run one by one.

        Yield the value of each that is an expression, else None.
        """
        if isinstance(statement, ast.If):
            holds = self._try(ast.copy_location(ast.Expr(statement.test), statement), file)
            for inner in statement.body if holds else statement.orelse:
                yield from self._run_parts(inner, file)
        elif isinstance(statement, ast.Import | ast.ImportFrom) and len(statement.names) > 1:
            for alias in statement.names:
                alone = copy.copy(statement)
                alone.names = [alias]
                yield self._try(alone, file)
        else:
            yield self._try(statement, file)

    def _try(self, statement: ast.stmt, file: str) -> Any:
        try:
            return self._execute(statement, file)
        except RerunTimeout:
            raise
        except BaseException:  # whatever the cells do, the next statement is run all the same
            return None

    def _note_values(self, cell: int, wanted: Collection[str], displayed: Any, last: dict[str, Any]) -> None:
        for name in wanted:
            value = self._read(displayed if name == "_" else self._namespace.get(name))
            if value is not None and last.get(name) != value and len(self.notes.values) < _MOST_VALUES:
                last[name] = value
                self.notes.values.append((cell, name, value))

    def _execute(self, statement: ast.stmt, file: str) -> Any:
        """Run a statement, and return its value if it is an expression."""
        is_expression = isinstance(statement, ast.Expr)
        tree: Any = ast.Expression(statement.value) if is_expression else ast.Module([statement], [])  # type: ignore[attr-defined]
        code = compile(tree, file, "eval" if is_expression else "exec")
        scripted = any(isinstance(self._namespace.get(name), torch.jit.ScriptFunction) for name in code.co_names)
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            value = eval(code, self._namespace)
        finally:
            sys.settrace(before)
            self._namespace.update(self._stand_ins)
            for name in code.co_names:
                if name in self._namespace:
                    with suppress(Exception):
                        self._namespace[name] = self._substitute(self._namespace[name])
        if scripted:  # no line of such a function is seen
            for result in (value, *(self._namespace.get(name) for name in code.co_names)):
                with suppress(Exception):
                    self._note_returned(result)
        return value

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        """Follow the frames of the student's own functions: a function for `sys.settrace`.

        Not line by line: data that is still being made may look complete before its last entries are written.
        """
        if not self._is_own(frame.f_code.co_filename):
            return None
        frame.f_trace_lines = False
        with suppress(Exception):  # whatever a student's object does when it is looked at
            if event == "call":
                self._begin(frame)
            elif event == "return" and frame.f_locals is not self._namespace:
                self._end(frame, argument)
        return self._trace

    def _begin(self, frame: FrameType) -> None:
        """Put other data in place among the arguments of a function, or the names of a statement."""
        names, code = frame.f_locals, frame.f_code
        for name in code.co_names if names is self._namespace else code.co_varnames:
            self._substitute(names.get(name))
        if self._in_calls and names is not self._namespace:
            self._change_arguments(frame)

    def _end(self, frame: FrameType, result: Any) -> None:
        """Give the arguments of a function their own data again, and its result the other data."""
        for value, entries in self._lent.pop(id(frame), ()):
            _fill(value, entries)
        self._note_returned(result)
        self._substitute(result)

    def _change_arguments(self, frame: FrameType) -> None:
        """Put other data in place among a function's arguments, until it returns."""
        arguments = [frame.f_locals.get(name) for name in frame.f_code.co_varnames[: frame.f_code.co_argcount]]
        data = [value for value in arguments if _is_data(value)]
        for value in data:
            if any(_count(other) > _count(value) for other in data) and (pair := self._match(value, self._in_calls)):
                entries = _flatten(value).clone()
                if _fill(value, pair.put) is value:
                    self._lent.setdefault(id(frame), []).append((value, entries))
                    self.notes.substituted += 1

    def _substitute(self, value: Any) -> Any:
        """Give a tensor or an array the other data, if it has that data. Return what is to take its place."""
        if not _is_data(value):
            return value
        if pair := self._match(value, self._everywhere):
            self.notes.substituted += 1
            return _fill(value, pair.put)
        return value

    def _match(self, value: Any, pairs: Sequence[Substitution]) -> Substitution | None:
        """Return the substitution for a tensor or an array that has its data, or None."""
        if _count(value) not in self._sizes:
            return None
        entries = _flatten(value)
        same = (pair for pair in pairs if pair.found.numel() == len(entries))
        return next((pair for pair in same if _are_equal(entries, _flatten(pair.found))), None)

    def _note_returned(self, value: Any) -> None:
        if not _is_data(value) or len(self.notes.returned) >= _MOST_RETURNED:
            return
        noted = self._read(value) if _count(value) == self._entries else None
        if noted is not None and noted not in self.notes.returned:
            self.notes.returned.append(noted)


def _is_data(value: Any) -> bool:
    return isinstance(value, Tensor | numpy.ndarray)


def _count(value: Any) -> int:
    return value.numel() if isinstance(value, Tensor) else int(value.size)


def _are_equal(entries: Tensor, others: Tensor) -> bool:
    return bool(((entries - others).abs() <= _EQUAL).all())


def _flatten(value: Any) -> Tensor:
    tensor = value if isinstance(value, Tensor) else torch.from_numpy(numpy.array(value, dtype=numpy.float64))
    return tensor.detach().as_subclass(Tensor).flatten().double()


def _fill(value: Any, put: Tensor) -> Any:
    """Give a tensor or an array these entries, in place if it can be written to. Return it, or a new one."""
    shaped = put.reshape(tuple(value.shape))
    try:
        if isinstance(value, Tensor):
            value.data.copy_(shaped)  # not counted as a change, which autograd might not forgive
        else:
            value[...] = shaped.numpy()
    except (RuntimeError, ValueError):  # the same memory holds several of its entries, or it is read-only
        return shaped.to(value.dtype) if isinstance(value, Tensor) else shaped.numpy().astype(value.dtype)
    return value


@contextmanager
def _default_settings() -> Iterator[None]:
    """Let torch's settings be those with which a notebook begins, whatever its cells have set since."""
    gradients, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
    torch.set_grad_enabled(True)
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_grad_enabled(gradients)
        torch.set_default_dtype(dtype)
