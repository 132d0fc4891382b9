"""Name how a student's model differs from the textbook's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

from torch import nn

from grader.student import Fault, Remote, StudentFault
from grader.testing.failures import Mismatch
from grader.testing.models import Layer, Model
from grader.training.departures import describe_departure, make_graph
from grader.training.differences import Difference, find_differences, summarise
from grader.training.graph_reader import ExportedModel, Forward, follow, read_graph, read_until_failure

__all__ = [
    "Book",
    "assert_like_book",
    "compare_with_book",
    "explain",
    "find_model_differences",
    "note_fault",
    "remark_on",
    "require_result",
]


@runtime_checkable
class _KeepsFindings(Protocol):
    """A remote that keeps what was found in its graph, to tell one mistake from another."""

    def note_layers(self, layers: tuple[Layer, ...]) -> None: ...

    def note_differences(self, differences: tuple[tuple[str, ...], ...]) -> None: ...

    def note_fault(self, fault: StudentFault) -> None: ...


@dataclass(frozen=True)
class Book:
    """The textbook's model.

    Attributes:
        makes: make the models that count as the textbook's; the student's is compared with the first.
        names: of its convolutions and fully connected layers, in order, a shortcut's after those beside it.
        alike: sets of variants between which there is no difference, such as ("relu", "sigmoid").
        ignores: tells of a difference whether it is none to a student.
    """

    makes: Sequence[Callable[[], nn.Module]]
    names: tuple[str, ...] = ()
    alike: tuple[tuple[str, ...], ...] = ()
    ignores: Callable[[Difference], bool] = lambda difference: False


def find_model_differences(
    answer: Any, book: Book | None, image: tuple[int, ...], exported: ExportedModel | None = None
) -> tuple[Difference, ...]:
    """Return how a model differs from the textbook's; none if there is no graph, or an operation is unknown.

    Args:
        answer: what a student's process says of the model's forward pass.
        book: the textbook's model.
        image: the shape of one image, (c, h, w).
        exported: the graph in the answer, if it has been read.
    """
    if book is None or not book.makes:
        return ()
    try:
        forward = None if exported else read_until_failure(answer)
        unused: list[str] = []
        if forward is None:
            exported = exported or read_graph(answer)
            if any(exported.graph.key == make_graph(make, image).key for make in book.makes):
                return ()
            forward = follow(exported.graph)
            names = [str(name)[:200] for name, _, learnable in answer["parameters"] if learnable is True]
            unused = [name for name in names if name not in exported.names]
        found = find_differences(forward, _follow_book(book.makes[0], image), book.names, book.alike, unused)
    except Exception:  # what cannot be compared costs the explanation and no points
        return ()
    return tuple(difference for difference in found if not book.ignores(difference))


@lru_cache(maxsize=64)
def _follow_book(make: Callable[[], nn.Module], image: tuple[int, ...]) -> Forward:
    return follow(make_graph(make, image))


def explain(
    error: Mismatch | StudentFault,
    remote: Remote,
    differences: Sequence[Difference],
    layers: tuple[Layer, ...] = (),
) -> None:
    """Put the first difference from the textbook's model into an error, and keep all differences or the layers.

    Args:
        error: what a test found, or what the student's code raised.
        remote: the student's model.
        differences: of the model from the textbook's.
        layers: the layers that were found in the model, if any.
    """
    if isinstance(remote, _KeepsFindings):
        if differences:
            remote.note_differences(tuple(difference.key for difference in differences))
        elif layers:
            remote.note_layers(layers)
    if isinstance(error, StudentFault):
        error.words = summarise(differences) or error.words
    else:
        error.args = (_join(error, differences),)


def note_fault(remote: Remote, fault: StudentFault) -> None:
    """Keep a fault of a student's class or factory, to tell one mistake from another."""
    if isinstance(remote, _KeepsFindings):
        remote.note_fault(fault)


def _join(error: Mismatch, differences: Sequence[Difference]) -> str:
    if any(str(error).startswith(difference.text) for difference in differences):
        return str(error)
    if isinstance(error.evidence.get("expected"), int):  # a number of parameters
        text = summarise([difference for difference in differences if difference.changes_parameters])
        return f"{error}: {text}" if text else str(error)
    return summarise(differences) or str(error)


@contextmanager
def compare_with_book(module: Remote, image: tuple[int, ...], book: Book) -> Iterator[None]:
    """Name how a module differs from the textbook's if the body finds that it is wrong, or that it raises.

    Args:
        module: the student's.
        image: the shape of one of its inputs, (c, h, w).
        book: the textbook's module.
    """
    try:
        yield
    except (Mismatch, StudentFault) as error:
        if isinstance(error, Mismatch) or error.fault is Fault.RAISED:
            explain(error, module, find_model_differences(_ask(module, image), book, image))
        raise


def _ask(module: Remote, image: tuple[int, ...]) -> Any:
    try:
        answer = module.graph(image)
    except StudentFault as fault:
        if fault.fault is not Fault.RAISED:
            raise
        return None
    require_result(answer)
    return answer


def require_result(answer: Any) -> None:
    """Require a forward pass to return something.

    Raises:
        Mismatch: it returns None.
    """
    if isinstance(answer, Mapping) and answer.get("returns_nothing") is True:
        raise Mismatch("its forward pass returns nothing: forward has to end with `return` and the result")


def assert_like_book(model: Model, judged: Callable[[Difference], bool]) -> None:
    """Require a model not to differ from the textbook's in what `judged` says.

    Raises:
        Mismatch: it does.
    """
    found = [difference for difference in model.differences if judged(difference)]
    if found:
        raise Mismatch(summarise(found))


def remark_on(remark: Callable[[str], None], model: Model, books: Sequence[Callable[[], nn.Module]]) -> None:
    """Tell the student how a model departs from the textbook's, for an item that does not require the same model.

    Args:
        remark: the test's fixture.
        model: the student's model. If it has no graph, it cannot be compared, which is no mistake.
        books: make the textbook's models.
    """
    try:
        departs = describe_departure(model.exported.graph, books) if model.exported else ""
    except Exception:  # what cannot be compared costs the remark and no points
        return
    if departs:
        remark(f"it is not the book's model: {departs}")
