"""Calling what a student wrote with arguments of known meaning, whatever its parameters are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from grader.student import Parameter, Remote, StudentFault

__all__ = ["Argument", "fit_arguments", "input_channels", "learning_rate", "number_of_classes", "output_channels"]


@dataclass(frozen=True)
class Argument:
    """A value, and the names under which a signature may ask for it; case and underscores do not matter.

    It is passed `always` (by position where no parameter has one of its names), `usually` (by position where parameters
    are left over that nothing asks for), only where a parameter is `named` so, or only where such a one is `required`.
    """

    value: Any
    names: tuple[str, ...]
    when: Literal["always", "usually", "named", "required"] = "always"

    def is_asked_for_by(self, parameter: Parameter) -> bool:
        """Tell whether a parameter has one of its names."""
        plain = parameter.name.replace("_", "").lower()
        return plain in {name.replace("_", "").lower() for name in self.names}


def input_channels(value: int) -> Argument:
    """How many channels an image has: passed where a parameter is named so, because most layers find out themselves."""
    names = """
        in_channels in_channel input_channels input_channel channels_in c_in in_c in_ch in_chans num_in n_in inp
        in_planes inplanes in_dim in_filters in_features
    """
    return Argument(value, tuple(names.split()), "named")


def output_channels(value: int) -> Argument:
    """How many channels a block gives."""
    names = """
        out_channels out_channel output_channels output_channel num_channels num_channel n_channels channels channel
        channels_out c_out out_c out_ch out_chans num_out n_out oup out_planes planes out_dim filters out_filters c
    """
    return Argument(value, tuple(names.split()))


def number_of_classes(value: int) -> Argument:
    """How many classes a model tells apart: passed where it is required, so that the student's own default counts."""
    names = ("num_classes", "n_classes", "classes", "num_class", "n_class", "class_num", "num_outputs", "out_features")
    return Argument(value, names, "required")


def learning_rate(value: float) -> Argument:
    """The learning rate that d2l's models are made with: passed where it is required."""
    return Argument(value, ("lr", "learning_rate"), "required")


def fit_arguments(remote: Remote, arguments: Sequence[Argument]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the positional and keyword arguments with which a function or class takes these values.

    Args:
        remote: what is to be called.
        arguments: in the order in which the textbook has them.
    """
    try:
        parameters = list(remote.signature())
    except StudentFault:  # some callables have none; then the textbook's order is all there is
        return tuple(argument.value for argument in arguments if argument.when == "always"), {}
    named: dict[str, Any] = {}
    left = list(arguments)
    for parameter in list(parameters):
        argument = next((each for each in left if each.is_asked_for_by(parameter)), None)
        if argument is None:
            continue
        left.remove(argument)
        parameters.remove(parameter)
        if parameter.required or argument.when != "required":
            named[parameter.name] = argument.value
    named.update(_by_position(parameters, left))
    return (), named


def _by_position(parameters: Sequence[Parameter], arguments: Sequence[Argument]) -> dict[str, Any]:
    """Give what is left to the parameters whose names say nothing: to the required ones, then to the others."""
    required = [parameter for parameter in parameters if parameter.required]
    others = [parameter for parameter in parameters if not parameter.required]
    needed = [argument for argument in arguments if argument.when == "always"]
    spare = [argument for argument in arguments if argument.when == "named"]
    last = [argument for argument in arguments if argument.when == "usually"]
    if len(required) > len(needed) + len(spare):
        needed, last = [*needed, *last], []
    chosen = needed + spare[: max(0, len(required) - len(needed))]
    in_order = [argument for argument in arguments if argument in chosen] + last
    return {parameter.name: argument.value for parameter, argument in zip(required + others, in_order, strict=False)}
