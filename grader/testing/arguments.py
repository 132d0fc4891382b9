"""Call a student's code with arguments of known meaning, whatever its parameters are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from grader.student import Fault, Parameter, Remote, StudentFault

__all__ = [
    "Argument",
    "call_anyway",
    "fit_arguments",
    "input_channels",
    "learning_rate",
    "number_of_classes",
    "output_channels",
]


@dataclass(frozen=True)
class Argument:
    """A value, and the names that a parameter for it may have. Case and underscores do not matter.

    Attributes:
        when: "always" passes it, by position if no parameter has one of the names; "usually" passes it by position only
            if a parameter is left over; "named" passes it only to a parameter with one of the names; "needed" does so
            unless the parameter has a default; "required" only to a required parameter with one of the names.
    """

    value: Any
    names: tuple[str, ...]
    when: Literal["always", "usually", "named", "needed", "required"] = "always"

    def matches(self, parameter: Parameter) -> bool:
        """Tell whether a parameter has one of the names."""
        plain = parameter.name.replace("_", "").lower()
        return plain in {name.replace("_", "").lower() for name in self.names}


def input_channels(value: int) -> Argument:
    """The number of an image's channels. Passed only to a parameter of such a name: most layers do not need it."""
    names = """
        in_channels in_channel input_channels input_channel channels_in c_in in_c in_ch in_chans num_in n_in inp
        in_planes inplanes in_dim in_filters in_features
    """
    return Argument(value, tuple(names.split()), "named")


def output_channels(value: int) -> Argument:
    """The number of channels of a block's output."""
    names = """
        out_channels out_channel output_channels output_channel num_channels num_channel n_channels channels channel
        channels_out c_out out_c out_ch out_chans num_out n_out oup out_planes planes out_dim filters out_filters c
    """
    return Argument(value, tuple(names.split()))


def number_of_classes(value: int) -> Argument:
    """The number of classes. It is passed only if it is required, so that the student's own default counts."""
    names = ("num_classes", "n_classes", "classes", "num_class", "n_class", "class_num", "num_outputs", "out_features")
    return Argument(value, names, "required")


def learning_rate(value: float) -> Argument:
    """The learning rate that d2l's models take. It is passed only if it is required."""
    return Argument(value, ("lr", "learning_rate"), "required")


def call_anyway(remote: Remote, *args: Any) -> Any:
    """Call a function and return its result even if it changes its arguments, for items that do not forbid that."""
    try:
        return remote(*args)
    except StudentFault as fault:
        if fault.fault is not Fault.CHANGED_ARGUMENT:
            raise
    result, _ = remote.apply(args, {})
    return result


def fit_arguments(remote: Remote, arguments: Sequence[Argument]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the positional and keyword arguments that pass these values to a function or class.

    Args:
        remote: the function or class.
        arguments: the values, in the textbook's order.
    """
    try:
        parameters = list(remote.signature())
    except StudentFault:  # some callables have no signature; use the textbook's order
        return tuple(argument.value for argument in arguments if argument.when == "always"), {}
    named: dict[str, Any] = {}
    left = list(arguments)
    for parameter in list(parameters):
        argument = next((candidate for candidate in left if candidate.matches(parameter)), None)
        if argument is None:
            continue
        left.remove(argument)
        parameters.remove(parameter)
        if parameter.required or argument.when not in ("needed", "required"):
            named[parameter.name] = argument.value
    named.update(_assign_by_position(parameters, left))
    return (), named


def _assign_by_position(parameters: Sequence[Parameter], arguments: Sequence[Argument]) -> dict[str, Any]:
    """Assign the remaining arguments to the parameters with unknown names: the required ones first, then the others."""
    required = [parameter for parameter in parameters if parameter.required]
    others = [parameter for parameter in parameters if not parameter.required]
    needed = [argument for argument in arguments if argument.when == "always"]
    spare = [argument for argument in arguments if argument.when in ("named", "needed")]
    last = [argument for argument in arguments if argument.when == "usually"]
    if len(required) > len(needed) + len(spare):
        needed, last = [*needed, *last], []
    chosen = needed + spare[: max(0, len(required) - len(needed))]
    in_order = [argument for argument in arguments if argument in chosen] + last
    return {parameter.name: argument.value for parameter, argument in zip(required + others, in_order, strict=False)}
