"""Run tests of another grader, written for the student's own process, in the grader's process.

The parameters of such a test are names of the notebook. Values are Python's own (`Student.read`). A function, class or
other object is a `_StudentObject`: its arguments are sent to the student's process, and its result comes back as data.
All comparisons happen in the grader's process.
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
from grader.testing.failures import Absent, Mismatch, NeedsPerson, Overtime, Pending
from grader.testing.quoting import quote_failure

__all__ = ["as_written"]

Test = Callable[..., None]
Value = TypeVar("Value")


def as_written(*readable: str) -> Callable[[Test], Callable[[Student], None]]:
    """Run a test whose parameters are names of the notebook.

    An assertion without a message is quoted to the student. Any other exception counts against the student's work and
    not against the rubric: the test met something that it does not expect. If the test would have to look into an
    object that stays in the student's process, the verdict is left to a person.

    Args:
        readable: the attributes and methods of the student's objects that the test uses.
    """

    def decorate(test: Test) -> Callable[[Student], None]:
        names = tuple(inspect.signature(test).parameters)

        @functools.wraps(test)
        def run(student: Student) -> None:
            arguments = {name: _localize(student.read(name), frozenset(readable)) for name in names}
            try:
                test(**arguments)
            except StudentFault as fault:
                raise StudentFault(fault.fault, fault.message, fault.raised) from None
            except (Absent, GraderError, Mismatch, Pending):
                raise
            except AssertionError as error:
                raise Mismatch(str(error) or f"this does not hold: {quote_failure(error, test)}") from None
            except Overtime as error:
                raise Mismatch(f"{quote_failure(error, test)} does not come to an end") from None
            except Exception as error:
                raise Mismatch(f"{quote_failure(error, test)} ends in {type(error).__name__}: {error}") from None

        # pytest would follow __wrapped__ and ask for fixtures named after the test's own parameters.
        del run.__wrapped__
        return run

    return decorate


class _StudentObject:
    """An object that stays in the student's process.

    It can be called, and the attributes that the test is known to use can be read. Nothing else is asked of the object,
    because an object may claim that it equals everything.

    Args:
        remote: the object.
        readable: the names of its readable attributes.
    """

    remote: Remote
    readable: frozenset[str]

    def __init__(self, remote: Remote, readable: frozenset[str] = frozenset()) -> None:
        self.__dict__.update(remote=remote, readable=readable)

    def __setattr__(self, name: str, value: Any) -> None:
        self._refuse()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            result, after = self.remote.apply(args, kwargs)
        except TypeError as error:  # from the grader: an exception of the student's code is a StudentFault
            raise NeedsPerson(f"{error}: a person has to look at it") from None
        except StudentFault as fault:
            raise _to_catchable(fault) from None
        if after is not None:
            _update(list(args), _localize(list(after[0]), self.readable))
            _update(dict(kwargs), _localize(after[1], self.readable))
        return _localize(result, self.readable)

    def __getattr__(self, name: str) -> Any:
        if name not in self.readable:
            if name.startswith("__"):
                raise AttributeError(name)
            self._refuse()
        try:
            return _localize(self.remote.attribute(name), self.readable)
        except StudentFault as fault:
            raise _to_catchable(fault) from None

    def __instancecheck__(self, other: object) -> bool:
        return isinstance(other, _StudentObject) and _get_type_name(other) == _get_text(
            self.remote.attribute("__name__")
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _StudentObject) and _get_handle(other) == _get_handle(self)

    def __hash__(self) -> int:
        return hash(_get_handle(self))

    def __repr__(self) -> str:
        return _get_text(self.remote.attribute("__repr__").apply((), {})[0])

    def __str__(self) -> str:
        return _get_text(self.remote.attribute("__str__").apply((), {})[0])

    def __len__(self) -> int:
        length = self.remote.attribute("__len__").apply((), {})[0]
        return length if isinstance(length, int) else self._refuse()

    def __bool__(self) -> bool:
        return True

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse()

    def _refuse(self, *_: Any) -> NoReturn:
        raise NeedsPerson(f"the test looks into {self.remote!r}, which stays where it is: a person has to look at it")

    __iter__ = __getitem__ = __contains__ = __next__ = __enter__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __int__ = __float__ = __index__ = __neg__ = __abs__ = _refuse
    __add__ = __sub__ = __mul__ = __truediv__ = __floordiv__ = __mod__ = __pow__ = __matmul__ = _refuse
    __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rpow__ = __rmatmul__ = _refuse


def _get_handle(thing: _StudentObject) -> Any:
    """Return the handle that tells one object of the student from another."""
    remote: Any = thing.remote
    while hasattr(remote, "remote"):
        remote = remote.remote
    return getattr(remote, "handle", id(remote))


def _get_type_name(thing: _StudentObject) -> str:
    return str(getattr(_get_handle(thing), "type_name", ""))


def _get_text(value: Any) -> str:
    # Hide addresses: they differ from run to run, and two reports of one submission must not.
    return re.sub(r"0x[0-9a-fA-F]{6,}", "0x…", value) if isinstance(value, str) else "an object whose text is none"


def _localize(value: Any, readable: frozenset[str]) -> Any:
    """Replace each remote in a value by a _StudentObject."""
    if hasattr(value, "kind") and hasattr(value, "apply"):
        return _StudentObject(value, readable)
    match value:
        case list():
            return [_localize(entry, readable) for entry in value]
        case tuple() | set() | frozenset():
            return type(value)(_localize(entry, readable) for entry in value)
        case dict():
            return {_localize(key, readable): _localize(entry, readable) for key, entry in value.items()}
    return value


def _update(own: Any, after: Any) -> None:
    """Repeat on a test's own objects the changes that the student's code made to its copies."""
    match own, after:
        case MutableSequence(), list():
            own[:] = [_update_entry(*pair) for pair in zip(own, after, strict=False)] + after[len(own) :]
        case MutableMapping(), Mapping():
            updated = {key: _update_entry(own.get(key), entry) for key, entry in after.items()}
            own.clear()
            own.update(updated)
        case MutableSet(), set():
            own.clear()
            own |= after
        case numpy.ndarray(), numpy.ndarray():
            own[...] = after
        case torch.Tensor(), torch.Tensor():
            with torch.no_grad():
                own.copy_(after)


def _update_entry(own: Any, after: Value) -> Value:
    """Return an entry after the change: the test's own object if it is mutable, else the new value."""
    arrays = isinstance(after, numpy.ndarray | torch.Tensor) and getattr(own, "shape", None) == after.shape
    if type(own) is type(after) and (arrays or isinstance(after, list | dict | set)):
        _update(own, after)
        updated: Value = own
        return updated
    return after


def _to_catchable(fault: StudentFault) -> StudentFault:
    """Return the fault as an exception that a test can catch by the class that the student's code raised."""
    kind = getattr(builtins, fault.raised, None)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        return fault
    text = fault.message.removeprefix(f"raises {fault.raised}").removeprefix(": ")
    try:
        error: StudentFault = type(fault.raised, (StudentFault, kind), {"__str__": lambda _: text})(
            fault.fault, fault.message, fault.raised
        )
    except TypeError:  # the class takes more than a message
        return fault
    error.args = (text,)
    return error
