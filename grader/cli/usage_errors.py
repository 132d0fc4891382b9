"""What is wrong with a command line, in our words, and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterator

from grader.cli.help_pages import get_path
from grader.cli.typer_internals import (
    BadOptionUsage,
    BadParameter,
    ClickException,
    Context,
    MissingParameter,
    NoSuchOption,
    TyperGroup,
    UsageError,
    list_options,
    list_parameters,
    name_parameter,
    read_rejected_value,
)
from grader.spelling import did_you_mean, find_near

__all__ = ["describe_unknown_command", "describe_usage_error"]


def describe_usage_error(error: ClickException) -> str:
    """Return what is wrong, and on a second line where to read more."""
    context = error.ctx if isinstance(error, UsageError) else None
    message = _describe(error, context)
    return f"{message}\nSee '{get_path(context)} --help'." if context else message


def describe_unknown_command(context: Context, name: str) -> str:
    """Return that there is no such command, and which one was probably meant."""
    commands = list(_list_commands(context))
    near = find_near(name, [command for command, _ in commands])
    # A command of a group may have been given without the group: `bundle` for `assignment bundle`.
    inner = [path for command, path in commands if command == name]
    meant = inner or [dict(commands)[command] for command in near]
    question = f" Did you mean {' or '.join(dict.fromkeys(meant))}?" if meant else ""
    return f"No such command '{name}'.{question}"


def _list_commands(context: Context) -> Iterator[tuple[str, str]]:
    """Yield each command of a group and of the groups in it, by its name and by its path."""
    assert isinstance(context.command, TyperGroup)
    for name, command in context.command.commands.items():
        yield name, name
        if isinstance(command, TyperGroup):
            yield from ((inner, f"{name} {inner}") for inner in command.commands)


def _describe(error: ClickException, context: Context | None) -> str:
    if isinstance(error, NoSuchOption) and context:
        return _describe_unknown_option(error.option_name, context)
    if isinstance(error, MissingParameter) and error.param and context:
        return _describe_missing(error, context)
    if isinstance(error, BadOptionUsage) and context:
        names = {option: each.name for each in list_parameters(context) for option in each.name.split()}
        form = next((name for option, name in names.items() if option.strip(",") == error.option_name), "")
        if form == error.option_name:
            return f"Option {error.option_name} takes no value."
        return f"Option {error.option_name} needs a value: {form}."
    if isinstance(error, BadParameter):
        return _describe_bad_value(error)
    return error.format_message()


def _describe_unknown_option(name: str, context: Context) -> str:
    question = did_you_mean(name, list_options(context))
    if not question and isinstance(context.command, TyperGroup):
        having = [
            f"{get_path(context)} {command_name} {name}"
            for command_name, command in context.command.commands.items()
            if any(name in option.opts for option in command.params)
        ]
        question = f"did you mean {having[0]}?" if having else ""
    return f"No such option '{name}'.{f' {_capitalise(question)}' if question else ''}"


def _describe_missing(error: MissingParameter, context: Context) -> str:
    assert error.param
    kind = error.param.param_type_name
    name = name_parameter(error.param)
    (text,) = [each.help for each in list_parameters(context) if each.name == name]
    return f"Missing {kind} {name}: {text.removesuffix(' [required]')}"


def _describe_bad_value(error: BadParameter) -> str:
    value, choices, parameter = read_rejected_value(error)
    if parameter is None:
        return error.format_message()
    name = name_parameter(parameter).split()[0].rstrip(",")
    if value is None:
        return f"{name}: {error.message}"
    if choices:
        question = did_you_mean(value, choices)
        return f"{name}: '{value}' is not one of {', '.join(choices)}.{f' {_capitalise(question)}' if question else ''}"
    return f"{name}: '{value}' is not {_describe_number(parameter)}."


def _describe_number(parameter: object) -> str:
    least, most = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if least is not None and most is not None:
        return f"a whole number from {least} to {most}"
    return f"a whole number of at least {least}" if least is not None else "what this option takes"


def _capitalise(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
