"""What PyTorch's errors mean, in words that a student understands.

Which of its messages are frequent was read from public questions; their texts are those of torch 2.14, on the CPU and
for tensors without numbers (torch's meta device).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import prod

from grader.models.device_words import explain_device_error
from grader.models.failed_layer import Shape, Spot, format_shape

__all__ = ["explain_tensor_error"]

_Match = re.Match[str]
_AXES = ("images", "channels", "height", "width")


def explain_tensor_error(text: str, spot: Spot) -> str:
    """Return what a message of PyTorch's means, or "" if it is none that is known."""
    if words := explain_device_error(text):
        return words
    for pattern, explain in _RULES:
        if found := pattern.search(text):
            return explain(found, spot)
    return ""


def _say(sentence: str) -> Callable[[_Match, Spot], str]:
    """Return a rule's words for a message that always means the same; `{1}` is its first group."""
    return lambda found, _: sentence.format(found[0], *found.groups())


def _read_shape(text: str) -> Shape:
    return tuple(int(n) for n in re.findall(r"-?\d+", text))


def _multiply(found: _Match, spot: Spot) -> str:
    rows, columns, other_rows, other_columns = (int(group) for group in found.groups())
    layer = spot.layer
    if layer is not None and layer.takes == other_rows:
        if len(layer.input) > 2:
            numbers = prod(layer.input[1:])
            shape = format_shape(layer.input[1:])
            wanted = "flatten it first" if numbers == layer.takes else f"it is not flattened, and has {numbers}"
            return f"{layer} takes {layer.takes} numbers for an image, its input is a map of {shape}: {wanted}"
        return f"{layer} takes {layer.takes} numbers, its input has {layer.describe_input()}"
    words = f"in the product, the first matrix has {columns} columns and the second {other_rows} rows"
    return f"{words}; in the other order they would fit" if other_columns == rows else words


def _convolve(found: _Match, spot: Spot) -> str:
    takes, has = int(found[4]), int(found[5])
    shape = _read_shape(found[3])
    layer = str(spot.layer or "the convolution")
    words = f"{layer} takes {_count(takes, 'channel')}, its input has {has} ({format_shape(shape[1:])})"
    if len(shape) == 4 and shape[3] == takes != has:
        return f"{words}: its channels are the last dimension, and have to be the second"
    return words


def _convolve_without_numbers(_: _Match, spot: Spot) -> str:
    layer = spot.layer
    if layer is None or layer.takes is None or len(layer.input) != 4:
        return "a convolution takes another number of channels than its input has"
    shape = layer.input[1:]
    return f"{layer} takes {_count(layer.takes, 'channel')}, its input has {shape[0]} ({format_shape(shape)})"


def _need_image(found: _Match, spot: Spot) -> str:
    shape = _read_shape(found[1])
    layer = str(spot.layer or "the convolution")
    words = f"{layer} takes images with a batch and a channel dimension, its input is {format_shape(shape)}"
    return f"{words}: reshape it to (1, 1, {shape[0]}, {shape[1]})" if len(shape) == 2 else words


def _shrink(found: _Match, spot: Spot) -> str:
    size, kernel = found[1].replace(" ", ""), found[2].replace(" ", "")
    return f"the kernel of {spot.layer or 'the convolution'} is {kernel}, larger than its padded input of {size}"


def _pool(found: _Match, spot: Spot) -> str:
    layer = str(spot.layer or "the pooling")
    return f"{layer} has no window left: its input is {found[1]} (channels, height, width)"


def _normalise(found: _Match, spot: Spot) -> str:
    layer = str(spot.layer or "the batch normalisation")
    return f"{layer} is made for {_count(int(found[2]), 'channel')}, its input has {found[1]}"


def _normalise_dimensions(found: _Match, spot: Spot) -> str:
    return f"{spot.layer or 'the layer'} takes an input of {found[1]} dimensions, it gets one of {found[2]}"


def _add(found: _Match, spot: Spot) -> str:
    first, second, axis = (int(group) for group in found.groups())
    return _tell_apart(axis, first, second, spot)


def _add_into(found: _Match, spot: Spot) -> str:
    own, both = _read_shape(found[1]), _read_shape(found[2])
    differing = [axis for axis, pair in enumerate(zip(own, both, strict=False)) if pair[0] != pair[1]]
    if len(own) != len(both) or not differing:
        return f"a result of shape {format_shape(both)} does not fit into a tensor of {format_shape(own)}"
    return _tell_apart(differing[0], own[differing[0]], both[differing[0]], spot)


def _broadcast(found: _Match, spot: Spot) -> str:
    second, first = _read_shape(found[3]), _read_shape(found[4])
    axis = int(found[2])
    if -axis > min(len(first), len(second)):
        return ""
    return _tell_apart(max(len(first), len(second)) + axis, first[axis], second[axis], spot)


def _tell_apart(axis: int, first: int, second: int, spot: Spot) -> str:
    are_maps = spot.shapes and all(len(shape) == 4 for shape in spot.shapes.values())
    name = f" ({_AXES[axis]})" if are_maps and axis < len(_AXES) else ""
    return f"two tensors that are combined differ in dimension {axis}{name}: {first} and {second}"


def _join(found: _Match, _: Spot) -> str:
    return (
        f"torch.cat joins along dimension {found[1]}, all others must be equal: "
        f"tensor {int(found[4]) + 1} has {found[3]} where the first has {found[2]}"
    )


def _stack(found: _Match, _: Spot) -> str:
    first, other = format_shape(_read_shape(found[1])), format_shape(_read_shape(found[3]))
    return f"the tensors to stack differ in shape: the first is {first}, number {int(found[4]) + 1} is {other}"


def _reshape(found: _Match, _: Spot) -> str:
    shape, numbers = _read_shape(found[1]), int(found[2])
    known = prod(n for n in shape if n != -1)
    if -1 in shape:
        return f"{numbers} numbers cannot be divided into rows of {known}"
    return f"a tensor of {numbers} numbers cannot take the shape {format_shape(shape)}, which has {known}"


def _assign(found: _Match, _: Spot) -> str:
    shape, target = _read_shape(found[1]), _read_shape(found[2])
    where = "one entry" if not target else f"a place of shape {format_shape(target)}"
    question = ": is a sum (or max, mean) missing?" if not target else ""
    return f"a tensor of shape {format_shape(shape)} is assigned to {where}{question}"


def _expand(found: _Match, _: Spot) -> str:
    target, shape = format_shape(_read_shape(found[1])), format_shape(_read_shape(found[2]))
    return f"a tensor of shape {shape} does not fit into one of shape {target}"


def _index(found: _Match, _: Spot) -> str:
    size = int(found[3])
    entries = f"{size} entries, 0 to {size - 1}" if size > 1 else f"{_count(size, 'entry', 'entries')}"
    return f"index {found[1]} is past the end: dimension {found[2]} has {entries}"


def _count(number: int, noun: str, plural: str = "") -> str:
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


_RULES: tuple[tuple[re.Pattern[str], Callable[[_Match, Spot], str]], ...] = tuple(
    (re.compile(pattern), explain)
    for pattern, explain in (
        (r"mat1 and mat2 shapes cannot be multiplied \((\d+)x(\d+) and (\d+)x(\d+)\)", _multiply),
        (r"must have same reduction dim, but got \[(\d+), (\d+)\] X \[(\d+), (\d+)\]", _multiply),
        (
            r"Given (groups)=1, weight of size (\[.*?\]), expected input\[(.*?)\] to have (\d+) channels, "
            r"but got (\d+) channels",
            _convolve,
        ),
        (r"Invalid channel dimensions", _convolve_without_numbers),
        (r"\(batched\) input to conv\dd, but got input of size: \[(.*?)\]", _need_image),
        (r"padded input size per channel: \((.*?)\). Kernel size: \((.*?)\). Kernel size can't be greater", _shrink),
        (r"Given input size: \((.*?)\). Calculated output size: \((.*?)\). Output size is too small", _pool),
        (r"running_mean should contain (\d+) elements not (\d+)", _normalise),
        (r"expected (\d)D(?: or \dD)? input \(got (\d)D input\)", _normalise_dimensions),
        (
            r"Expected more than 1 value per channel when training",
            _say("batch normalisation has one number for each channel and cannot be trained with that"),
        ),
        (
            r"size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\) at non-singleton dimension (\d+)",
            _add,
        ),
        (
            r"output with shape (?:torch.Size\()?\[(.*?)\]\)? doesn't match the broadcast shape [\[(](.*?)[\])]",
            _add_into,
        ),
        (
            r"Attempting to broadcast a dimension of length (\d+) at (-\d+)!.* had torch.Size\(\[(.*?)\]\); "
            r"but expected shape should be broadcastable to \[(.*?)\]",
            _broadcast,
        ),
        (
            r"Sizes of tensors must match except in dimension (\d+). Expected (?:size )?(\d+)(?: in dimension \d+)? "
            r"but got (?:size )?(\d+) for tensor number (\d+)",
            _join,
        ),
        (
            r"expects each tensor to be equal size, but got \[(.*?)\] at entry (\d+) and \[(.*?)\] at entry (\d+)",
            _stack,
        ),
        (r"expects a non-empty TensorList", _say("the list of tensors is empty")),
        (r"must be tuple of Tensors, not (generator|map|zip)", _say("a list is needed: write [...] around it")),
        (r"expected Tensor as element (\d+) in argument 0, but got NoneType", _say("an entry of the list is None")),
        (
            r"expected Tensor as element (\d+) in argument 0, but got (\w+)",
            _say("an entry of the list is no tensor ({2})"),
        ),
        (
            r"first two dimensions of batch2 tensor to be: \[\d+, (\d+)\] but got: \[\d+, (\d+)\]",
            _say("the matrices to multiply do not fit: the first have {1} columns, the second {2} rows"),
        ),
        (r"shape '\[(.*?)\]' is invalid for input of size (\d+)", _reshape),
        (r"view size is not compatible", _say("view cannot follow a transposition or permutation: use reshape")),
        (
            r"a Tensor with (\d+) elements cannot be converted to Scalar",
            _say("a tensor of {1} numbers stands where one number is needed: is a sum (or max, mean) missing?"),
        ),
        (
            r"only one element tensors can be converted to Python scalars",
            _say("a tensor of several numbers stands where one number is needed"),
        ),
        (
            r"Boolean value of Tensor with more than one value is ambiguous",
            _say("a tensor of several numbers stands where True or False is needed (in if, and, or, max, min)"),
        ),
        (r"expand\(.*?\{\[(.*?)\]\}, size=\[(.*?)\]\)", _assign),
        (r"expanded size of the tensor .* Target sizes: \[(.*?)\].\s+Tensor sizes: \[(.*?)\]", _expand),
        (r"index (-?\d+) is out of bounds for dimension (\d+) with size (\d+)", _index),
        (
            r"too many indices for tensor of dimension (\d+)",
            _say("there are more indices than dimensions, of which it has {1}"),
        ),
        (r"invalid index of a 0-dim tensor", _say("a tensor of one number without dimensions is indexed")),
        (r"(?:len\(\) of|iteration over) a 0-d tensor", _say("a tensor of one number has no dimension to go through")),
        (
            r"expected m1 and m2 to have the same dtype, but got: (.+) != (.+)",
            _say("numbers of type {1} and of type {2} are multiplied: convert one of them, as with .float()"),
        ),
        (
            r"mat1 and mat2 must have the same dtype, but got (\w+) and (\w+)",
            _say("numbers of type {1} and of type {2} are multiplied: convert one of them, as with .float()"),
        ),
        (
            r"Input type \((.*?)\) and (?:bias|weight) type \((.*?)\) should be the same",
            _say("the input's numbers are of type {1}, the layer's of type {2}: convert one of them, as with .float()"),
        ),
        (
            r"mean\(\): could not infer output dtype",
            _say("whole numbers have no mean here: convert them with .float()"),
        ),
        (
            r"result type (\w+) can't be cast to the desired output type (\w+)",
            _say("numbers of type {1} are put into a tensor of type {2} in place: convert it first, as with .float()"),
        ),
        (
            r"element 0 of tensors does not require grad",
            _say("backward() finds nothing to learn: no parameter took part with its gradient recorded"),
        ),
        (
            r"leaf Variable that requires grad is being used in an in-place operation",
            _say("a parameter is changed in place while gradients are recorded: use .data or torch.no_grad()"),
        ),
        (
            r"grad can be implicitly created only for scalar",
            _say("backward() needs one number: take the sum or mean first"),
        ),
        (
            r"Trying to backward through the graph a second time",
            _say("backward() is called twice on one result: compute the loss anew in each turn"),
        ),
        (
            r"Attempted to use an uninitialized parameter",
            _say("a lazy layer has no weights before its first forward pass: give it one batch first"),
        ),
        (
            r"Fan in and fan out can not be computed",
            _say("Xavier's initialisation is for weights of two dimensions or more, not for a bias"),
        ),
        (
            r"(?:negative dimension|Dimension size must be non-negative)",
            _say("a size is negative: look at the formula for the shape of the output"),
        ),
        (r"input.numel\(\) == 0", _say("there is nothing to take the maximum or minimum of: the window is empty")),
        (
            r'Module \[(\w+)\] is missing the required "forward" function',
            _say("{1} has no method forward: is it indented as the other methods are?"),
        ),
        (
            r"cannot assign \w+ before Module.__init__\(\)|has no attribute '_(?:backward_hooks|parameters|modules)'",
            _say("super().__init__() has to be called first, at the beginning of __init__"),
        ),
        (
            r"^(list|tuple) is not a Module subclass",
            _say("nn.Sequential takes the layers one by one: write * before the {1}"),
        ),
        (
            r"([\w.]*functional\.\w+|\bbuilt-in\b.*) is not a Module subclass",
            _say("nn.Sequential takes modules such as nn.ReLU(), not functions"),
        ),
    )
)
