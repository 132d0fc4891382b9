"""Let a right function take the arguments that a student's own takes.

Older editions of the book give a block its input channels first, and students choose names and orders of their own. The
arguments that a rubric's test can pass (`grader.testing.Argument`) tell which parameter means what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from grader.judging.local import LocalRemote
from grader.student import Parameter, Remote, StudentFault
from grader.testing.arguments import Argument, fit_arguments

__all__ = ["adapt"]


def adapt(right: Callable[..., Any], own: Remote, arguments: Sequence[Argument]) -> Callable[..., Any]:
    """Return the right function, to be called as the student's own is. Parameters that it lacks are left out.

    If it is not known what each of the student's parameters means, the right function is returned as it is.

    Args:
        right: a function or class of the model solution.
        own: the student's, of which only the signature is asked.
        arguments: those that the rubric's test can pass to it.
    """
    try:
        parameters = own.signature()
    except StudentFault:
        return right
    meanings = _find_meanings(own, arguments)
    names = {meaning: name for name, meaning in _find_meanings(LocalRemote(right), arguments).items()}
    if not arguments or any(parameter.name not in meanings for parameter in parameters):
        return right
    return _reorder(right, parameters, {own_name: names.get(meaning, "") for own_name, meaning in meanings.items()})


def _find_meanings(remote: Remote, arguments: Sequence[Argument]) -> dict[str, int]:
    """Return which of the arguments each parameter takes."""
    numbered = [replace(argument, value=number) for number, argument in enumerate(arguments)]
    _, named = fit_arguments(remote, numbered)
    return named


def _reorder(
    right: Callable[..., Any], parameters: Sequence[Parameter], names: Mapping[str, str]
) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        positional = [parameter.name for parameter in parameters if not parameter.keyword_only]
        if len(args) > len(positional):
            raise TypeError("too many arguments")
        given = dict(zip(positional, args, strict=False)) | kwargs
        return right(**{names[name]: value for name, value in given.items() if names[name]})

    return call
