"""Words for the steps of a forward pass."""

from __future__ import annotations

from collections.abc import Sequence

from grader.training.steps import Step

__all__ = [
    "count_layers",
    "describe_layer",
    "describe_step",
    "format_shape",
    "list_modules",
    "list_names",
    "name_function",
    "name_settings",
]

_ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]
_FUNCTIONS = {"relu": "ReLU", "gelu": "GELU", "elu": "ELU", "silu": "SiLU", "leaky_relu": "leaky ReLU"}
_JOINS = {"add": "sum", "cat": "concatenation", "mul": "product", "sub": "difference", "div": "quotient"}
_MOST_NAMES = 4
_LONGEST_NAME = 40


def format_shape(shape: Sequence[int]) -> str:
    """Format a shape as the textbook does: 64x112x112."""
    return "x".join(str(n) for n in shape) or "one number"


def name_function(variant: str) -> str:
    """Return the name of an activation function."""
    return _FUNCTIONS.get(variant, variant)


def list_names(steps: Sequence[Step], names: Sequence[str]) -> dict[int, str]:
    """Return a name for each layer with weights by its number; without names, "the first convolution"."""
    weighted = [number for number, step in enumerate(steps) if step.has_weights]
    if len(names) == len(weighted):
        return dict(zip(weighted, names, strict=True))
    words = [_name_kind(steps[number]) for number in weighted]
    named = {}
    for place, number in enumerate(weighted):
        word, count = words[place], words[: place + 1].count(words[place])
        if words.count(word) == 1:
            named[number] = f"the {word}"
        else:
            named[number] = f"the {_ORDINALS[count - 1]} {word}" if count <= len(_ORDINALS) else f"{word} {count}"
    if weighted and steps[weighted[-1]].kind == "linear":
        named[weighted[-1]] = "the output layer"
    return named


def _name_kind(step: Step) -> str:
    word = "fully connected layer" if step.kind == "linear" else "convolution"
    return f"{format_shape(step.kernel)} {word} of the shortcut" if step.on_shortcut else word


def describe_step(step: Step, with_variant: bool = True) -> str:
    """Describe a step without its place: "ReLU", "3x3 convolution", "average pooling"."""
    match step.kind:
        case "convolution":
            return f"{format_shape(step.kernel)} convolution{' on the shortcut' * step.on_shortcut}"
        case "linear":
            return "fully connected layer"
        case "activation":
            return name_function(step.variant)
        case "join":
            return _JOINS.get(step.variant, step.variant)
        case "pooling" if with_variant:
            return f"{step.variant} pooling"
    return step.kind


def describe_layer(step: Step) -> str:
    """Describe a layer with weights that the book does not have."""
    article = "a " if not step.on_shortcut else "on the shortcut a "
    if step.kind == "linear":
        return f"{article}fully connected layer of {step.width} units"
    return f"{article}{format_shape(step.kernel)} convolution of {step.width} channels"


def count_layers(names: Sequence[str]) -> str:
    """Return a sentence on layers that are missing."""
    if len(names) == 1:
        return f"{names[0]} is missing"
    shown = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
    return f"{len(names)} layers are missing: {shown}"


def list_modules(parameters: Sequence[str]) -> str:
    """List the modules that hold parameters of these names: "conv1, bn1"."""
    modules = list(dict.fromkeys(name.rpartition(".")[0] or name for name in parameters))
    return ", ".join(name[:_LONGEST_NAME] for name in modules[:_MOST_NAMES]) + (", …" * (len(modules) > _MOST_NAMES))


def name_settings(step: Step, right: Step, with_width: bool = True) -> str:
    """Name the settings of a layer that differ from the book's, as the rest of a sentence after "has"."""
    parts = []
    if with_width and step.width != right.width:
        parts.append((f"{step.width} {'units' if step.kind == 'linear' else 'output channels'}", str(right.width)))
    if step.kernel and right.kernel:
        word = "windows" if step.kind == "pooling" else "kernels"
        if step.kernel != right.kernel:
            parts.append((f"{word} of {format_shape(step.kernel)}", format_shape(right.kernel)))
        if step.stride != right.stride:
            parts.append((f"stride {_format_pair(step.stride)}", _format_pair(right.stride)))
        if step.padding != right.padding:
            parts.append((f"padding {_format_pair(step.padding)}", _format_pair(right.padding)))
    elif step.kernel != right.kernel:
        mine, other = (f"windows of {format_shape(s.kernel)}" if s.kernel else "the whole map" for s in (step, right))
        parts.append((mine, other))
    return " and ".join(f"{mine} (the book's: {other})" for mine, other in parts)


def _format_pair(pair: Sequence[int]) -> str:
    return str(pair[0]) if len(set(pair)) == 1 else format_shape(pair)
