"""Tests that were written for the student's own process, run here: their names stand for what the notebook defined.

Values are Python's own (`Student.read`). A function, a class or an object is a `_StudentObject`: what it is called with
goes into the student's process, and what comes back is data. Whatever a test compares, it compares here.
"""

from __future__ import annotations

import builtins
import functools
import inspect
import re
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, MutableSet
from typing import Any, NoReturn, TypeVar

import numpy
import torch

from grader.errors import GraderError
from grader.student import Remote, Student, StudentFault
from grader.testing.failures import Absent, Mismatch, Pending
from grader.testing.quoting import quote_failure

__all__ = ["as_written"]

Test = Callable[..., None]
Value = TypeVar("Value")


def as_written(*readable: str) -> Callable[[Test], Callable[[Student], None]]:
    """Run a test whose parameters are names of the notebook.

    An assertion that says nothing is quoted to the student. Any other exception is the work's, not the rubric's: the
    test met something that it does not expect. Where it would have to look into an object that does not cross, nothing
    is decided, and a person has to look.

    Args:
        readable: the attributes and methods that the test uses of the student's objects.
    """

    def decorate(test: Test) -> Callable[[Student], None]:
        names = tuple(inspect.signature(test).parameters)

        @functools.wraps(test)
        def run(student: Student) -> None:
            given = {name: _local(student.read(name), frozenset(readable)) for name in names}
            try:
                test(**given)
            except StudentFault as fault:
                raise StudentFault(fault.fault, fault.message, fault.raised) from None
            except (Absent, GraderError, Mismatch, Pending):
                raise
            except AssertionError as error:
                raise Mismatch(str(error) or f"this does not hold: {quote_failure(error, test)}") from None
            except Exception as error:
                raise Mismatch(f"{quote_failure(error, test)} ends in {type(error).__name__}: {error}") from None

        # pytest would follow it and ask for fixtures named after the test's own parameters.
        del run.__wrapped__
        return run

    return decorate


class _StudentObject:
    """An object that stays in the student's process.

    It can be called, and those of its attributes be read that the test is known to use. Nothing else of it is asked:
    an object may say of itself that it equals everything.

    Args:
        remote: where it is.
        readable: names of attributes.
    """

    remote: Remote
    readable: frozenset[str]

    def __init__(self, remote: Remote, readable: frozenset[str] = frozenset()) -> None:
        self.__dict__.update(remote=remote, readable=readable)

    def __setattr__(self, name: str, value: Any) -> None:
        self._unseen()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            result, after = self.remote.apply(args, kwargs)
        except TypeError as error:  # ours: what a student's code raises is a fault
            raise Pending(f"{error}: a person has to look at it") from None
        except StudentFault as fault:
            raise _as_raised(fault) from None
        if after is not None:
            _change(list(args), _local(list(after[0]), self.readable))
            _change(dict(kwargs), _local(after[1], self.readable))
        return _local(result, self.readable)

    def __getattr__(self, name: str) -> Any:
        if name not in self.readable:
            if name.startswith("__"):
                raise AttributeError(name)
            self._unseen()
        try:
            return _local(self.remote.attribute(name), self.readable)
        except StudentFault as fault:
            raise _as_raised(fault) from None

    def __instancecheck__(self, other: object) -> bool:
        return isinstance(other, _StudentObject) and _type_name(other) == _text(self.remote.attribute("__name__"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _StudentObject) and _number(other) == _number(self)

    def __hash__(self) -> int:
        return hash(_number(self))

    def __repr__(self) -> str:
        return _text(self.remote.attribute("__repr__").apply((), {})[0])

    def __str__(self) -> str:
        return _text(self.remote.attribute("__str__").apply((), {})[0])

    def __len__(self) -> int:
        length = self.remote.attribute("__len__").apply((), {})[0]
        return length if isinstance(length, int) else self._unseen()

    def __bool__(self) -> bool:
        return True

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        self._unseen()

    def _unseen(self, *_: Any) -> NoReturn:
        raise Pending(f"the test looks into {self.remote!r}, which stays where it is: a person has to look at it")

    __iter__ = __getitem__ = __contains__ = __next__ = __enter__ = _unseen
    __lt__ = __le__ = __gt__ = __ge__ = __int__ = __float__ = __index__ = __neg__ = __abs__ = _unseen
    __add__ = __sub__ = __mul__ = __truediv__ = __floordiv__ = __mod__ = __pow__ = __matmul__ = _unseen
    __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rpow__ = __rmatmul__ = _unseen


def _number(thing: _StudentObject) -> Any:
    """Return what tells a student's object from another: its handle."""
    remote: Any = thing.remote
    while hasattr(remote, "remote"):
        remote = remote.remote
    return getattr(remote, "handle", id(remote))


def _type_name(thing: _StudentObject) -> str:
    return str(getattr(_number(thing), "type_name", ""))


def _text(value: Any) -> str:
    # Addresses differ from run to run, and two reports of one submission must not.
    return re.sub(r"0x[0-9a-fA-F]{6,}", "0x…", value) if isinstance(value, str) else "an object whose text is none"


def _local(value: Any, readable: frozenset[str]) -> Any:
    """Return a value with a _StudentObject in the place of each remote in it."""
    if hasattr(value, "kind") and hasattr(value, "apply"):
        return _StudentObject(value, readable)
    match value:
        case list():
            return [_local(each, readable) for each in value]
        case tuple() | set() | frozenset():
            return type(value)(_local(each, readable) for each in value)
        case dict():
            return {_local(key, readable): _local(each, readable) for key, each in value.items()}
    return value


def _change(mine: Any, after: Any) -> None:
    """Make a test's own objects what the student's code made of its copies of them."""
    match mine, after:
        case MutableSequence(), list():
            mine[:] = [_changed(*pair) for pair in zip(mine, after, strict=False)] + after[len(mine) :]
        case MutableMapping(), Mapping():
            changed = {key: _changed(mine.get(key), each) for key, each in after.items()}
            mine.clear()
            mine.update(changed)
        case MutableSet(), set():
            mine.clear()
            mine |= after
        case numpy.ndarray(), numpy.ndarray():
            mine[...] = after
        case torch.Tensor(), torch.Tensor():
            with torch.no_grad():
                mine.copy_(after)


def _changed(mine: Any, after: Value) -> Value:
    """Return an entry after the change: the same object, where it is one that can change."""
    arrays = isinstance(after, numpy.ndarray | torch.Tensor) and getattr(mine, "shape", None) == after.shape
    if type(mine) is type(after) and (arrays or isinstance(after, list | dict | set)):
        _change(mine, after)
        kept: Value = mine
        return kept
    return after


def _as_raised(fault: StudentFault) -> StudentFault:
    """Return the fault as an exception that a test can catch by the class which the student's code raised."""
    kind = getattr(builtins, fault.raised, None)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        return fault
    text = fault.message.removeprefix(f"raises {fault.raised}").removeprefix(": ")
    try:
        made: StudentFault = type(fault.raised, (StudentFault, kind), {"__str__": lambda _: text})(
            fault.fault, fault.message, fault.raised
        )
    except TypeError:  # a class that takes more than a message
        return fault
    made.args = (text,)
    return made
