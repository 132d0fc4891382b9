"""The trusted end of one object in a student's process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import torch
from torch import Tensor

from grader.models.recipe import Recipe
from grader.sandbox.host.decoding import read_tensors, reject_malformed
from grader.sandbox.protocol.encoding import Failure, Handle
from grader.sandbox.protocol.tensors import tensor_to_array
from grader.sandbox.protocol.values import pack_value, unpack_value
from grader.student import Operation, OwnCurve, OwnTraining, Parameter

__all__ = ["SnapshotRemote", "encode_argument", "require_remote"]

_IMAGES_AT_ONCE = 1000


class _Asks(Protocol):
    """What an object needs of the student that it belongs to."""

    def ask(self, request: dict[str, Any]) -> Any: ...

    def take_result(self, target: Handle, args: tuple[Any, ...]) -> tuple[Any] | None: ...


def encode_argument(value: Any) -> Any:
    """Return an argument that a test passes to the student as plain data.

    Raises:
        TypeError: a tensor's dtype is not plain data.
    """
    if isinstance(value, Tensor):
        array = tensor_to_array(value)
        if isinstance(array, Failure):
            raise TypeError(array.message)
        return array
    if isinstance(value, SnapshotRemote):
        return value.handle
    if isinstance(value, tuple | list):
        return tuple(encode_argument(entry) for entry in value)
    if isinstance(value, Mapping):
        return {key: encode_argument(entry) for key, entry in value.items()}
    return value


class SnapshotRemote:
    """An object that stays in the student's process."""

    def __init__(self, student: _Asks, handle: Handle) -> None:
        self._student = student
        self.handle = handle
        self.kind = handle.kind
        self._signature: tuple[Parameter, ...] | None = None

    def __repr__(self) -> str:
        return f"a {self.handle.type_name} object"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not kwargs and (result := self._student.take_result(self.handle, args)):
            return result[0]
        return self._ask("call", args=encode_argument(args), kwargs=encode_argument(kwargs))

    def apply(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, Any]:
        """Call it with values of Python's own types. Return the result, and the arguments if the call changed them."""
        response = self._ask("apply", given=pack_value((args, kwargs), unwrap_handle))
        with reject_malformed():
            result, after = response
            return unpack_value(result, require_remote), unpack_value(after, require_remote)

    def attribute(self, name: str) -> Any:
        """Return an attribute in Python's own types."""
        with reject_malformed():
            return unpack_value(self._ask("attribute", name=name), require_remote)

    def sketch(self, *args: Any, **kwargs: Any) -> Any:
        """Build a model that has shapes but no numbers."""
        return self._ask("sketch", args=encode_argument(args), kwargs=encode_argument(kwargs))

    def signature(self) -> tuple[Parameter, ...]:
        """Return the parameters of its signature."""
        if self._signature is None:
            with reject_malformed():
                self._signature = tuple(
                    Parameter(str(name), bool(required), bool(keyword_only))
                    for name, required, keyword_only in self._ask("signature")
                )
        return self._signature

    def parameters(self) -> dict[str, Tensor]:
        """Return a module's learnable parameters by name, in order."""
        return read_tensors(self._ask("parameters"))

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of a module's learnable parameters by name, in order."""
        response = self._ask("parameter_shapes")
        with reject_malformed():
            return {str(name): tuple(int(n) for n in shape) for name, shape in response.items()}

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Fill the named parameters of a module."""
        self._ask("load", values=encode_argument(values))

    def gradients(self, *inputs: Tensor, cotangent: Tensor | None = None) -> dict[str, Tensor | None]:
        """Return d(sum(output * cotangent))/d(parameter) by name."""
        response = self._ask("gradients", inputs=encode_argument(inputs), cotangent=encode_argument(cotangent))
        with reject_malformed():
            gradients = read_tensors({name: value for name, value in response.items() if value is not None})
            return {name: gradients.get(name) for name in response}

    def operations(self, *inputs: Tensor) -> tuple[Operation, ...]:
        """Return the tensor operations of one forward pass."""
        response = self._ask("operations", inputs=encode_argument(inputs))
        with reject_malformed():
            return tuple(
                Operation(str(name), tuple(int(n) for n in shape), tuple(map(str, parameters)))
                for name, shape, parameters in response
            )

    def predict_classes(self, images: Tensor, like: OwnTraining) -> Tensor:
        """Return the class that a model predicts for each image."""
        classes = [torch.empty(0, dtype=torch.int64)]
        for part in images.split(_IMAGES_AT_ONCE):
            response = self._ask("predict_classes", images=encode_argument(part), size=like.size, pixels=like.pixels)
            with reject_malformed():
                if response.shape != (len(part),) or response.dtype != torch.int64:
                    raise ValueError("not one class for each image")
            classes.append(response)
        return torch.cat(classes)

    def graph(self, image: tuple[int, ...]) -> Any:
        """Return the module's description of its forward pass, which is only a claim."""
        return self._ask("graph", image=image)

    def probe(self, names: Sequence[str], images: Tensor, seed: int) -> dict[str, Tensor]:
        """Return the outputs of the module with parameters drawn from a seed."""
        return read_tensors(self._ask("probe", names=tuple(names), images=encode_argument(images), seed=seed))

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
        response = self._ask(
            "outputs",
            names=tuple(names),
            shapes=tuple(shapes),
            images=encode_argument(images),
            seed=seed,
            gain=gain,
            training=training,
        )
        return read_tensors({"outputs": response})["outputs"]

    def train(self, recipe: Recipe, seed: int, images: Tensor, labels: Tensor, judged: Tensor) -> OwnCurve:
        """Train the module in the student's process."""
        tensors = {
            "images": encode_argument(images),
            "labels": encode_argument(labels),
            "judged": encode_argument(judged),
        }
        response = self._ask("train", recipe=asdict(recipe), seed=seed, **tensors)
        with reject_malformed():
            classes = read_tensors({"classes": response["classes"]})["classes"]
            if classes.shape != (len(judged),):
                raise ValueError("not one class for each image")
            points = tuple((float(x), float(loss), float(right)) for x, loss, right in response["points"][:100])
            return OwnCurve(response["finite"] is True, classes.long(), points)

    def _ask(self, operation: str, **details: Any) -> Any:
        return self._student.ask({"operation": operation, "target": self.handle, **details})


def unwrap_handle(thing: Any) -> Handle:
    """Return the handle of an object that a test passes back to the student's process.

    Raises:
        TypeError: the object does not stand for one of the student's.
    """
    while not isinstance(thing, SnapshotRemote):
        if not hasattr(thing, "remote"):
            raise TypeError(f"a {type(thing).__name__} cannot be given to the student's code")
        thing = thing.remote
    return thing.handle


def require_remote(thing: Any) -> SnapshotRemote:
    if not isinstance(thing, SnapshotRemote):
        raise TypeError("no object of the student's")
    return thing
