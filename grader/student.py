"""The seam between a rubric and a student's work.

A rubric test sees a `Student`: one state of the student's notebook, in which it may call functions, build models and
read parameters. The sandbox implements these protocols with real processes; only plain data crosses
(docs/architecture.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from grader.models.recipe import Recipe

__all__ = [
    "Definition",
    "Fault",
    "Operation",
    "OwnTraining",
    "Parameter",
    "Recorded",
    "Remote",
    "Student",
    "StudentFault",
    "Work",
]


class Fault(StrEnum):
    """What a student's code did instead of answering."""

    RAISED = "raised"  # an exception
    TIMED_OUT = "timed out"  # ran past its time
    CRASHED = "crashed"  # its process ended
    OUT_OF_MEMORY = "out of memory"  # asked for more than its limit
    MALFORMED = "malformed"  # answered with something that is not plain data
    CHANGED_ARGUMENT = "changed argument"  # wrote into what it was given
    MISSING = "missing"  # the name is not defined in this state


class StudentFault(Exception):
    """A student's code did not answer; the rubric turns it into a verdict.

    `raised` is the name of the exception's class, where it raised one.
    """

    def __init__(self, fault: Fault, message: str, raised: str = "") -> None:
        super().__init__(message)
        self.fault = fault
        self.message = message
        self.raised = raised


@dataclass(frozen=True)
class Definition:
    """One moment at which names that the assignment asks for were bound.

    `file` is the notebook's name, `cell` the index among all its cells, `part` tells several moments of one cell apart,
    `names` is what was bound or changed there.
    `at_end` tells that it is the same definition once more, with what the notebook's later cells put around it: a
    function may call one that is written further down.
    """

    file: str
    cell: int
    names: frozenset[str]
    part: int = 0
    at_end: bool = False


@dataclass(frozen=True)
class Operation:
    """One tensor operation of a forward pass: its name ("convolution", "sigmoid") and its output's shape.

    `parameters` names those of the module's parameters that it is given.
    """

    name: str
    shape: tuple[int, ...]
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parameter:
    """One parameter of a function's signature."""

    name: str
    required: bool
    keyword_only: bool = False


@dataclass(frozen=True)
class Recorded:
    """A small value that a global name had after a cell.

    `name` is "_" for the value the cell displayed. `value` is a tensor, a tuple of integers (a shape), or, for a
    layer with few parameters, a dict of its parameters.
    """

    file: str
    cell: int
    name: str
    value: Tensor | tuple[int, ...] | Mapping[str, Tensor]


@dataclass(frozen=True)
class OwnCurve:
    """What a training in the student's process says it came to.

    `classes` are its answers for the images to be judged, (n,) int64; `points` the learning curve: epoch, loss and
    accuracy.
    """

    finite: bool
    classes: Tensor
    points: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class OwnTraining:
    """A training that a notebook's own loop made, as the student's process tells of it: advice, and no evidence.

    `cell` is the cell that trained, `model` the class of the model. `epochs` are those that are over, None where they
    were not counted, `planned_epochs` those of a d2l.Trainer. `lr` is the learning rate of the first step. `findings`
    are mistakes of the loop: a stable name, and a sentence to the student. `ended` tells why the training was cut:
    "steps", "budget", "nan", "plateau", or "" where it was not. `losses` are at most 100 of the loop's, in order.
    `size` is that of an image as the model was given it, mostly (channels, height, width), `pixels` are what black and
    white were to it. `part` and `number` lead to the trained model, which is there where trainings run as written.
    """

    file: str
    cell: int
    part: int
    number: int
    model: str
    parameters: int
    size: tuple[int, ...]
    pixels: tuple[float, float]
    steps: int
    epochs: int | None
    planned_epochs: int | None
    optimizer: str
    lr: float | None
    findings: tuple[tuple[str, str], ...]
    ended: str
    losses: tuple[float, ...]


class Remote(Protocol):
    """Something that lives in the student's process: a function, a class, a module.

    Every method raises StudentFault where the student's code does not answer.
    """

    kind: str  # "function", "class", "module" (an nn.Module instance) or "object"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it; tensors, numbers, strings, tuples, dicts and None come back as such, all else as a Remote."""

    def apply(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, Any]:
        """Call it with Python's own values, and return what it gives as such: a list is a list, a set a set.

        The second part is what `args` and `kwargs` were after it, None where it changed nothing of them. What is no
        value is a Remote.
        """

    def attribute(self, name: str) -> Any:
        """Return an attribute as `apply` returns results."""

    def sketch(self, *args: Any, **kwargs: Any) -> Any:
        """Call what makes a model so that the model has shapes and no numbers: its `operations` cost next to nothing.

        Not every student's code can be called so; what it raises says nothing about it.
        """

    def signature(self) -> tuple[Parameter, ...]:
        """Return the parameters it is called with (for a class: its constructor's, without self)."""

    def parameters(self) -> dict[str, Tensor]:
        """Return a module's learnable parameters by name, in order."""

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of a module's learnable parameters by name, in order."""

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Fill the named parameters of a module; shapes must agree."""

    def gradients(self, *inputs: Tensor, cotangent: Tensor | None = None) -> dict[str, Tensor | None]:
        """Return d(sum(output * cotangent))/d(parameter) by name, None where no gradient reaches a parameter."""

    def operations(self, *inputs: Tensor) -> tuple[Operation, ...]:
        """Return the tensor operations of one forward pass in eval mode, in order, views and reshapes included.

        Only results that carry the batch dimension of the first input are listed. The inputs take the module's
        dtype. The module stays in eval mode.
        """

    def answers(self, images: Tensor, like: OwnTraining) -> Tensor:
        """Return the class that a model holds for the likeliest for each image (n, 1, h, w) uint8, as (n,) int64.

        The model is put into eval mode; images are resized, and scaled, to what they were in its training.
        """

    def graph(self, image: tuple[int, ...]) -> Any:
        """Return what the module says of its forward pass for images of this shape, (c, h, w).

        It is a claim, to be read by `grader.training.graph_reader`; the module is left in train mode.
        """

    def probe(self, names: Sequence[str], images: Tensor, seed: int) -> dict[str, Tensor]:
        """Return what the module computes (see `probe.py`) with its parameters, in this order, drawn from a seed."""

    def train(self, recipe: Recipe, seed: int, images: Tensor, labels: Tensor, judged: Tensor) -> OwnCurve:
        """Train the module in the student's process; images are (n, 28, 28) uint8, labels (n,) int64.

        `judged` are images of which only the answers are asked for.
        """


class Student(Protocol):
    """One state of a student's notebook, in a process of its own.

    Attributes:
        used: whether another test asked the same process before, or calls were made ahead; a test that goes wrong in
            it is to be tried in a fresh one.
    """

    used: bool

    def __getattr__(self, name: str) -> Any:
        """Return the function, class or model of that name, which must be among those that some item asks for.

        Variables are in `recorded()`. Raises StudentFault where there is no such thing.
        """

    def read(self, name: str) -> Any:
        """Return what a name stands for, be it a variable: Python's own values as such, all else as a Remote.

        Variables have definitions where rubric.toml lists them in `variables`.
        """

    def layer(self, kind: str, *args: Any, **kwargs: Any) -> Remote:
        """Build a layer of torch.nn in the student's process, for example `layer("Conv2d", 1, 1, kernel_size=3)`.

        Torch's generator is seeded with 0 for it, so that what is drawn next is the same whenever the code is.
        """

    def ahead(self, calls: Sequence[tuple[Any, ...]]) -> None:
        """Say which functions will be called with what, each as (name, *arguments), so that all may be called at once.

        Where that does not go well, it raises StudentFault, which says that something is wrong and not what.
        """

    def recorded(self) -> Sequence[Recorded]:
        """Return the small values that names had after each cell, in order of the cells."""


class Work(Protocol):
    """A submission whose cells have been run."""

    def definitions(self, names: Sequence[str]) -> Sequence[Definition]:
        """Return the moments at which one of these names was bound to something the student wrote, in order."""

    def imported_from(self, name: str) -> str | None:
        """Return the package a name was merely imported from ("d2l.torch"), None where it was not."""

    def candidates(self, filled_in: Sequence[str]) -> Sequence[tuple[Definition, str]]:
        """Return callables and models of the notebooks' last states that may be what is asked for under another name.

        `filled_in` names the parameters that a test knows how to fill in: a callable that requires others is left out.
        """

    def trainings(self) -> Sequence[OwnTraining]:
        """Return what the notebooks' own training loops did, in order; none where data is withheld."""

    def trained(self, training: OwnTraining, seconds: float | None = None) -> AbstractContextManager[Remote]:
        """Open the model as a training left it, in a fresh process that may live for so many seconds.

        Raises StudentFault where it is not there: trainings that are cut to a few steps leave none.
        """

    def open(
        self,
        definition: Definition | None,
        aliases: Mapping[str, str] | None = None,
        seconds: float | None = None,
        *,
        shared: bool = False,
    ) -> AbstractContextManager[Student]:
        """Open a state in a fresh process; None opens one that offers recorded values only.

        `aliases` maps the name a test asks for to the student's own name. `seconds` is how long the process may live
        where it trains: a training is waited for so long, and the time that all tests have together stands still.
        `shared` allows the process of an earlier opening of the same state that was shared too, and in which nothing
        went wrong and no model was changed.
        """
