"""The parts of typer that we use and its documentation does not promise: what it parses with, and its errors.

All such uses are in this module. `tests/contracts/test_typer.py` fails if an upgrade moves one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from typer import BadParameter
from typer._click.core import Command, Context, Parameter
from typer._click.exceptions import (
    BadOptionUsage,
    ClickException,
    MissingParameter,
    NoArgsIsHelpError,
    NoSuchOption,
    UsageError,
)
from typer._click.formatting import HelpFormatter
from typer._click.shell_completion import CompletionItem, _resolve_context, _resolve_incomplete
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

__all__ = [
    "BadOptionUsage",
    "BadParameter",
    "ClickException",
    "Command",
    "CompletionItem",
    "Context",
    "HelpFormatter",
    "MissingParameter",
    "NoArgsIsHelpError",
    "NoSuchOption",
    "ParameterText",
    "TyperCommand",
    "TyperGroup",
    "UsageError",
    "find_completions",
    "list_options",
    "list_parameters",
    "name_parameter",
    "read_rejected_value",
]

_LONGEST_CHOICE = 24  # characters of "none|quick|full" that stand beside an option


@dataclass(frozen=True)
class ParameterText:
    """An argument or an option in words.

    Attributes:
        name: its name with a word for its value, such as "--hint N".
        help: what it does, with its values and its default.
        is_argument: whether it is an argument.
        is_required: whether it must be given.
    """

    name: str
    help: str
    is_argument: bool
    is_required: bool


def list_parameters(context: Context) -> list[ParameterText]:
    """Return the arguments and options of a command that are not hidden, as help shows them."""
    found = []
    for parameter in context.command.get_params(context):
        if isinstance(parameter, TyperArgument | TyperOption) and not parameter.hidden:
            is_argument = isinstance(parameter, TyperArgument)
            name, text = name_parameter(parameter), _describe(parameter)
            found.append(ParameterText(name, text, is_argument, parameter.required))
    return found


def list_options(context: Context) -> Iterator[str]:
    """Yield the names of all options of a command."""
    for parameter in context.command.get_params(context):
        if isinstance(parameter, TyperOption):
            yield from (*parameter.opts, *parameter.secondary_opts)


def name_parameter(parameter: Parameter) -> str:
    """Return the name of a parameter with a word for its value: "FILE...", "--hint N", "-h, --help"."""
    word = _name_value(parameter)
    if isinstance(parameter, TyperArgument):
        return f"{word}..." if parameter.nargs != 1 and not word.endswith("...") else word
    names = ", ".join(sorted(parameter.opts, key=len))
    return names if _is_flag(parameter) else f"{names} {word}"


def read_rejected_value(error: BadParameter) -> tuple[str | None, Sequence[str], Parameter | None]:
    """Return what a parameter was given, the values that it takes if they are a list, and the parameter.

    The value is None if typer did not say it.
    """
    parameter = error.param
    errors = getattr(error.__cause__, "errors", None)
    details: Sequence[Any] = errors() if callable(errors) else ()
    value = details[0].get("input") if details else None
    return (value if isinstance(value, str) else None), _list_choices(parameter), parameter


def find_completions(command: Command, program: str, words: list[str], incomplete: str) -> list[CompletionItem]:
    """Return what may stand for an incomplete word after other words of a command line."""
    context = _resolve_context(command, {}, program, words)
    owner, incomplete = _resolve_incomplete(context, words, incomplete)
    return owner.shell_complete(context, incomplete)


def _describe(parameter: TyperArgument | TyperOption) -> str:
    choices = _list_choices(parameter)
    parts = [parameter.help or ""]
    if choices and "|".join(choices) not in name_parameter(parameter):
        parts.append(f"One of {', '.join(choices)}.")
    if parameter.multiple and "repeated" not in parts[0]:
        parts.append("May be repeated.")
    if default := _describe_default(parameter):
        parts.append(f"[default: {default}]")
    if parameter.envvar:
        names = parameter.envvar if isinstance(parameter.envvar, str) else ", ".join(parameter.envvar)
        parts.append(f"[variable: {names}]")
    if parameter.required and isinstance(parameter, TyperOption):
        parts.append("[required]")
    return " ".join(part for part in parts if part)


def _describe_default(parameter: TyperArgument | TyperOption) -> str:
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    default = parameter.default
    if not parameter.show_default or _is_flag(parameter) or default is None or callable(default):
        return ""
    values = default if isinstance(default, list | tuple) else [default]
    return ", ".join(str(getattr(value, "value", value)) for value in values)


def _list_choices(parameter: Parameter | None) -> Sequence[str]:
    descriptor = getattr(parameter, "type_descriptor", None)
    choices = descriptor.choices if descriptor else None
    return [str(getattr(choice, "value", choice)) for choice in choices or ()]


def _name_value(parameter: Parameter) -> str:
    """Return a word for a parameter's value."""
    if parameter.metavar:
        return parameter.metavar
    choices = "|".join(_list_choices(parameter))
    if choices and len(choices) <= _LONGEST_CHOICE:
        return choices
    if getattr(getattr(parameter, "type_descriptor", None), "annotation", None) in (int, float):
        return "N"
    return parameter.name.upper().rpartition("_")[2]


def _is_flag(parameter: Parameter) -> bool:
    return bool(getattr(parameter, "is_flag", False)) or "--help" in parameter.opts
