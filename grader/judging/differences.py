"""Say in plain English in which kind, type, length, shape or names a response differs from the right one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from grader.judging.responses import Kept, ParameterShapes, Response, are_alike
from grader.student import Fault

__all__ = ["differ_in_value", "find_difference"]

_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_MOST_NAMES = 8  # in one message
_LONGEST_NAME = 40


def find_difference(found: Sequence[Response], right: Sequence[Response]) -> str:
    """Return a sentence on a response that is of another kind than the right one. Return "" if there is none.

    A test mostly breaks over the last response that it got, so that one is looked at first, and names of parameters, in
    which right models differ too, last.

    Args:
        found: the responses of a student's code to a test, up to where the test broke.
        right: those of the model solution to the same test.
    """
    pairs = list(zip(found, right, strict=False))
    last = pairs[-1:] if len(found) <= len(right) else []
    ordered = sorted(pairs, key=lambda pair: isinstance(pair[1].value, ParameterShapes))
    return next((sentence for pair in (*last, *ordered) if (sentence := _compare(*pair))), "")


def differ_in_value(found: Sequence[Response], right: Sequence[Response]) -> bool:
    """Tell whether some response has other numbers, texts or names than the right one."""
    return not all(are_alike(mine.value, other.value) for mine, other in zip(found, right, strict=False))


def _compare(found: Response, right: Response) -> str:
    difference = _find(found.value, right.value)
    return f"{found.subject} {difference}" if difference else ""


def _find(found: Any, right: Any) -> str:
    """Return the difference as the rest of a sentence, or ""."""
    if isinstance(found, tuple) and found and isinstance(found[0], Fault):
        return ""  # its sentence has been told in another way
    if isinstance(found, ParameterShapes) and isinstance(right, ParameterShapes):
        return _find_in_parameters(found, right)
    if isinstance(found, Mapping) and isinstance(right, Mapping):
        if found.keys() != right.keys():
            return _contrast(found, right)
        parts = [(f"whose {_clip(name)} is", found[name], right[name]) for name in right]
    elif isinstance(found, tuple) and isinstance(right, tuple):
        if len(found) != len(right):
            return _contrast(found, right)
        parts = [(f"of which value {i} is", *pair) for i, pair in enumerate(zip(found, right, strict=True), start=1)]
    else:
        return "" if _describe(found) == _describe(right) else _contrast(found, right)
    differences = ((where, _find(mine, other)) for where, mine, other in parts)
    first = next((entry for entry in differences if entry[1]), None)
    return f"{_describe(found)}, {first[0]} {first[1]}" if first else ""


def _find_in_parameters(found: ParameterShapes, right: ParameterShapes) -> str:
    if found.keys() != right.keys():
        return f"{_describe(found)}; {_describe(right)} are expected"
    name = next((name for name in right if found[name] != right[name]), None)
    return "" if name is None else f"a {_clip(name)} of shape {found[name]}; shape {right[name]} is expected"


def _contrast(found: Any, right: Any) -> str:
    are = "are" if isinstance(right, tuple) and len(right) > 1 else "is"
    mine = _describe(found)
    # Two values come back from a function as a tuple, and what was not meant as several values is a list or tuple.
    if isinstance(found, tuple) and not isinstance(right, tuple):
        mine = f"a list or tuple of {_count(len(found), 'value')}"
    return f"{mine}; {_describe(right)} {are} expected"


def _describe(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case Kept():
            return _add_article(value.kind)
        case bool():
            return "True or False"
        case int():
            return "a whole number"
        case float():
            return "a number"
        case complex():
            return "a complex number"
        case str():
            return "a text"
        case Tensor():
            return f"a tensor{_describe_dtype(value)} of shape {tuple(value.shape)}"
        case tuple():
            return _count(len(value), "value")
        case ParameterShapes():
            return f"the parameters {_list(value)}" if value else "no parameters"
        case Mapping():
            return f"a dict with the keys {_list(value)}" if value else "an empty dict"
    return _add_article(type(value).__name__)


def _describe_dtype(value: Tensor) -> str:
    """Name the kind of numbers if they are not real ones. Of which precision they are makes no difference."""
    if value.dtype.is_floating_point:
        return ""
    kind = "complex numbers" if value.dtype.is_complex else "whole numbers"
    return f" of {'True and False' if str(value.dtype) == 'torch.bool' else kind},"


def _add_article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def _count(number: int, noun: str) -> str:
    word = _WORDS[number] if number < len(_WORDS) else f"{number:,}"
    return f"{word} {noun}{'' if number == 1 else 's'}"


def _list(names: Mapping[str, Any]) -> str:
    shown = ", ".join(_clip(str(name)) for name in list(names)[:_MOST_NAMES])
    return f"{shown}, …" if len(names) > _MOST_NAMES else shown


def _clip(name: Any) -> str:
    text = str(name)
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}…"
