"""What the text of an exception means, in words that a student understands.

The text and what is told of the place come from the student's process. They are shown and decide nothing.
"""

from __future__ import annotations

import ast
import re
from contextlib import suppress

from grader.models.failed_layer import Spot, format_shape
from grader.models.tensor_words import explain_tensor_error

__all__ = ["explain_error"]

_LONGEST_EXPRESSION = 60
_MOST_SHAPES = 4
_ABOUT_SHAPES = ("RuntimeError", "IndexError", "ValueError")
_IMPORTS = {
    "np": "import numpy as np",
    "torch": "import torch",
    "nn": "from torch import nn",
    "F": "from torch.nn import functional as F",
    "d2l": "from d2l import torch as d2l",
    "plt": "import matplotlib.pyplot as plt",
    "torchvision": "import torchvision",
    "math": "import math",
}
_MISSING = re.compile(r"^name '(\w+)' is not defined$")
_NOTHING = re.compile(
    r"'NoneType' object (?:has no attribute|is not (?:subscriptable|callable|iterable))"
    r"|cannot unpack non-iterable NoneType|unsupported operand type\(s\) for .*'NoneType'|must be Tensor, not NoneType"
)
_RULES = (
    (
        r"'(?:torch\.Size|tuple)' object is not callable",
        "a shape or tuple is called like a function: write [...] instead of (...)",
    ),
    (
        r"'(?:builtin_function_or_method|method|function)' object is not subscriptable",
        "a function is indexed: write (...) instead of [...], or .shape[...] for a tensor's size",
    ),
    (
        r"'(\w+)' object is not callable",
        "{1} is no function: is an operator missing before the parenthesis, or has a variable taken a function's name?",
    ),
    (r"'float' object cannot be interpreted as an integer", "a whole number is needed: divide with // instead of /"),
    (
        r"cannot access local variable '(\w+)'",
        "{1} gets its value only further down in the function, or in a branch that was not taken",
    ),
    (
        r"(\w+\.\w+)\(\) takes (\d+) positional arguments? but (\d+) (?:was|were) given",
        "{1} takes {2} with self, and gets {3}: is self missing, or another parameter?",
    ),
    (r"maximum recursion depth exceeded", "it calls itself without an end"),
)


def explain_error(raised: str, text: str, spot: Spot) -> tuple[str, str]:
    """Return what an exception means, or "" if its own text is as clear, and what may help, or "".

    Args:
        raised: the name of its class.
        text: its text.
        spot: where it was raised.
    """
    words = explain_tensor_error(text, spot) or _explain_nothing(text, spot)
    advice = f"did you mean {spot.near}?" if spot.near else ""
    if words:
        shapes = _describe_shapes(spot) if raised in _ABOUT_SHAPES and spot.layer is None else ""
        return words, "; ".join(filter(None, (shapes, advice)))
    for pattern, meaning in _RULES:
        if found := re.search(pattern, text):
            return "", advice or meaning.format(found[0], *found.groups())
    missing = _MISSING.search(text)
    if missing and not spot.near and missing[1] in _IMPORTS:
        return "", f"is `{_IMPORTS[missing[1]]}` missing?"
    if not advice and raised in _ABOUT_SHAPES:
        return "", _describe_shapes(spot)
    return "", advice


def _describe_shapes(spot: Spot) -> str:
    shown = [f"{name} is {format_shape(shape)}" for name, shape in list(spot.shapes.items())[:_MOST_SHAPES]]
    return f"here {', '.join(shown)}" if shown else ""


def _explain_nothing(text: str, spot: Spot) -> str:
    """Return which value is None by mistake, or "" if the text speaks of something else."""
    if not _NOTHING.search(text):
        return ""
    if "for -=: 'NoneType'" in text or ".grad" in spot.code:
        return "a gradient is None: backward() has not reached this parameter"
    nothing = _find_nothing(text, spot.code)
    if nothing is None:
        return "a value is None: does every function return its result?"
    shown = ast.unparse(nothing)
    shown = shown if len(shown) <= _LONGEST_EXPRESSION else "the value"
    if isinstance(nothing, ast.Call):
        name = ast.unparse(nothing.func)
        return f"{shown} is None: does {name} return its result?"
    return f"{shown} is None"


def _find_nothing(text: str, code: str) -> ast.expr | None:
    """Return the expression that was None, if the code that was running shows it."""
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        node = ast.parse(code.strip(), mode="eval").body
        match node:
            case ast.Attribute(value=value) if "has no attribute" in text:
                return value
            case ast.Subscript(value=value) if "subscriptable" in text:
                return value
            case ast.Call(func=function) if "not callable" in text:
                return function
            case ast.BinOp(left=left, right=right) if "unsupported operand" in text:
                first = re.search(r": '(\w+)' and '(\w+)'", text)
                if first and first[1] != first[2]:
                    return left if first[1] == "NoneType" else right
    return None
