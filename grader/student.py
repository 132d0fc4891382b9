"""The interface between a rubric and a student's work.

A rubric test sees a `Student`: one state of the student's notebook, in which it can call functions, build models and
read parameters. The sandbox implements these protocols with separate processes that exchange only plain data
(docs/architecture.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from grader.fault import Fault, StudentFault

if TYPE_CHECKING:
    from torch import Tensor

    from grader.models.recipe import Recipe
    from grader.models.rerun import Substitution

__all__ = [
    "Candidate",
    "Definition",
    "Fault",
    "Operation",
    "OwnTraining",
    "Parameter",
    "Recorded",
    "Remote",
    "Rerun",
    "Student",
    "StudentFault",
    "Work",
]


@dataclass(frozen=True)
class Definition:
    """A point in a notebook at which names that the assignment asks for were bound.

    Attributes:
        file: the notebook's name.
        cell: the index among all of its cells.
        names: the names that were bound or changed there.
        part: tells several definitions in one cell apart.
        at_end: whether the state is the end of the notebook instead: the same definition, together with everything that
            later cells define. A function may call one that is written further down.
        sources: the student's own file ("my_layers.py") of each name that was imported from one.
    """

    file: str
    cell: int
    names: frozenset[str]
    part: int = 0
    at_end: bool = False
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Candidate:
    """A model, class or function of the student's that may be what an item asks for under another name.

    Attributes:
        definition: the state in which it is tried; its cell is where the name was bound.
        name: the student's own name.
        kind: "module" (an nn.Module instance), "class" or "function".
        required: the parameters that it requires, in lower case and without underscores.
        class_name: the name of a model's class, else "".
        builds: whether it is a model or a class of models, or a function whose code names layers and trains nothing.
    """

    definition: Definition
    name: str
    kind: str
    required: frozenset[str] = frozenset()
    class_name: str = ""
    builds: bool = True


@dataclass(frozen=True)
class Operation:
    """One tensor operation of a forward pass: its name ("convolution", "sigmoid") and the shape of its output.

    `parameters` names the module's parameters among its inputs.
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

    `name` is "_" for a displayed value. `value` is a tensor, a tuple of integers (a shape), or, for a layer with few
    parameters, a dict of its parameters; the gradient of `weight`, if there is one, is `weight.grad`.
    """

    file: str
    cell: int
    name: str
    value: Tensor | tuple[int, ...] | Mapping[str, Tensor]


@dataclass(frozen=True)
class Rerun:
    """What cells showed when they ran again with other data, by the word of the student's process.

    Attributes:
        values: the values of the names that were asked for, after each statement that changed them.
        returned: different values that functions returned.
        substituted: how often the other data was put in place.
    """

    values: tuple[Recorded, ...] = ()
    returned: tuple[Tensor, ...] = ()
    substituted: int = 0


@dataclass(frozen=True)
class OwnCurve:
    """The result of a training, as the student's process reports it.

    Attributes:
        finite: whether the loss stayed finite.
        classes: its predictions for the images to judge, (n,) int64.
        points: the learning curve: epoch, loss and accuracy.
    """

    finite: bool
    classes: Tensor
    points: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class OwnTraining:
    """A training by a notebook's own loop, as the student's process reports it: advice, not evidence.

    Attributes:
        cell: the cell that trained.
        part, number: identify the trained model, which exists only if trainings run as written.
        model: the class of the model.
        parameters: its number of parameters.
        size: the size of one image as the model received it, mostly (channels, height, width).
        pixels: the values of black and white as the model received them.
        epochs: the completed epochs, or None if they were not counted.
        planned_epochs: the planned epochs of a d2l.Trainer.
        lr: the learning rate of the first step.
        findings: mistakes of the loop: a stable name and a sentence for the student.
        ended: why the training was cut short: "steps", "budget", "nan", "plateau", or "" if it was not.
        losses: at most 100 of its losses, in order.
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
    """An object that lives in the student's process: a function, a class, a module.

    Every method raises StudentFault if the student's code returns no result.
    """

    kind: str  # "function", "class", "module" (an nn.Module instance) or "object"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it. Tensors, numbers, strings, tuples, dicts and None come back as such, all else as a Remote."""

    def apply(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, Any]:
        """Call it with Python's own values, and return its result as such: a list is a list, a set is a set.

        The second part holds `args` and `kwargs` after the call, or None if the call did not change them. What is not a
        plain value is a Remote.
        """

    def attribute(self, name: str) -> Any:
        """Return an attribute in the way in which `apply` returns results."""

    def sketch(self, *args: Any, **kwargs: Any) -> Any:
        """Build a model that has shapes and no numbers. A fault here does not mean that the code is wrong."""

    def signature(self) -> tuple[Parameter, ...]:
        """Return the parameters of its signature (for a class, those of its constructor without self)."""

    def parameters(self) -> dict[str, Tensor]:
        """Return a module's learnable parameters by name, in order."""

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of a module's learnable parameters by name, in order."""

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Set the named parameters of a module. Shapes must agree."""

    def gradients(self, *inputs: Tensor, cotangent: Tensor | None = None) -> dict[str, Tensor | None]:
        """Return d(sum(output * cotangent))/d(parameter) by name, or None if no gradient reaches a parameter."""

    def operations(self, *inputs: Tensor) -> tuple[Operation, ...]:
        """Return the tensor operations of one forward pass in eval mode, in order, including views and reshapes.

        Only results that carry the batch dimension of the first input are listed. The inputs are converted to the
        module's dtype. The module stays in eval mode.
        """

    def predict_classes(self, images: Tensor, like: OwnTraining) -> Tensor:
        """Return the class that a model predicts for each image.

        The model is put into eval mode. Images are resized and scaled as in its training.

        Args:
            images: (n, 1, h, w) uint8.
            like: the training of the model.

        Returns:
            (n,) int64.
        """

    def graph(self, image: tuple[int, ...]) -> Any:
        """Return the module's description of its forward pass for images of this shape, (c, h, w).

        It is a claim, to be read by `grader.training.graph_reader`. The module is left in train mode.
        """

    def probe(self, names: Sequence[str], images: Tensor, seed: int) -> dict[str, Tensor]:
        """Return what the module computes with parameters drawn in this order from a seed (see `probe.py`)."""

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
        """Return what the module computes with drawn weights in place of its parameters (see `outputs.py`)."""

    def train(self, recipe: Recipe, seed: int, images: Tensor, labels: Tensor, judged: Tensor) -> OwnCurve:
        """Train the module in the student's process.

        Args:
            recipe: how to train.
            seed: of the training.
            images: (n, 28, 28) uint8.
            labels: (n,) int64.
            judged: images to predict after the training, (m, 28, 28) uint8.
        """


class Student(Protocol):
    """One state of a student's notebook, in a process of its own.

    Attributes:
        used: whether another test used the same process before, or calls were made ahead. A test that fails in such a
            process must run again in a fresh one.
    """

    used: bool

    def __getattr__(self, name: str) -> Any:
        """Return the function, class or model of that name, which must be a name that some item asks for.

        Variables are in `recorded()`. Raises StudentFault if the name is not defined.
        """

    def read(self, name: str) -> Any:
        """Return the value of any name: Python's own values as such, everything else as a Remote.

        A variable has a definition if rubric.toml lists it in `variables`.
        """

    def layer(self, kind: str, *args: Any, **kwargs: Any) -> Remote:
        """Build a layer of torch.nn in the student's process, for example `layer("Conv2d", 1, 1, kernel_size=3)`.

        Torch's generator is seeded with 0 first, so that the same code draws the same numbers next.
        """

    def ahead(self, calls: Sequence[tuple[Any, ...]]) -> None:
        """Announce calls, each as (name, *arguments), so that all can be made in one round trip.

        Raises StudentFault if one fails. The fault does not say which one.
        """

    def recorded(self) -> Sequence[Recorded]:
        """Return the small values that names had after each cell, in order of the cells."""

    def rerun(self, wanted: Sequence[Recorded], substitutions: Sequence[Substitution], entries: int = 0) -> Rerun:
        """Run the cells of a notebook again with other data, in a process of its own.

        What was computed follows the data, and what was typed in stays.

        Args:
            wanted: recorded values of one notebook; it is run up to the last of their cells, and their names' values
                in their cells are returned.
            substitutions: the data and what takes its place.
            entries: how many entries the tensors have that are listed in `Rerun.returned`.

        Raises StudentFault if nothing can be run.
        """

    def mark_earning(self) -> None:
        """Note that an item earns points by what was asked here."""


class Work(Protocol):
    """A submission whose cells have run."""

    def definitions(self, names: Sequence[str]) -> Sequence[Definition]:
        """Return the points at which one of these names was bound to something that the student wrote, in order."""

    def imported_from(self, name: str) -> str | None:
        """Return the package from which a name was only imported ("d2l.torch"), or None."""

    def candidates(self) -> Sequence[Candidate]:
        """Return the student's own models, classes and functions, in the order in which names were bound to them.

        One that is still there at the end of its notebook comes as it stands there. If something that it may call was
        bound again since it was made, it comes a second time, as it stood then.
        """

    def trainings(self) -> Sequence[OwnTraining]:
        """Return the trainings of the notebooks' own loops, in order. Return none if trainings are left out."""

    def trained(self, training: OwnTraining, seconds: float | None = None) -> AbstractContextManager[Remote]:
        """Open the model that a training produced, in a fresh process that may live for `seconds`.

        Raises StudentFault if it does not exist: trainings that are cut to a few steps leave no model.
        """

    def open(
        self,
        definition: Definition | None,
        aliases: Mapping[str, str] | None = None,
        seconds: float | None = None,
        *,
        shared: bool = False,
        at_most: float | None = None,
    ) -> AbstractContextManager[Student]:
        """Open a state in a fresh process.

        Args:
            definition: the state; None opens one that offers recorded values only.
            aliases: maps the name that a test asks for to the student's own name.
            seconds: how long the process may live if it trains. The time limit of all tests together stands still
                meanwhile.
            shared: whether the process of an earlier shared opening of the same state may be used, if nothing failed
                and no model changed in it.
            at_most: the seconds of a test that only tries a candidate. The time limit of all tests together stands
                still meanwhile.
        """
