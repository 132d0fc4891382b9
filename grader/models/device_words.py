"""What PyTorch's errors about a GPU mean, in words that a student understands, without addresses and settings.

The texts are those of torch 2.14's sources.
"""

from __future__ import annotations

import re

__all__ = ["explain_device_error"]

_RULES = tuple(
    (re.compile(pattern, re.DOTALL), words)
    for pattern, words in (
        (
            r"CUDA out of memory\. Tried to allocate ([\d.]+ \w+)",
            "the GPU's memory is used up, {1} more do not fit: use smaller batches, or delete what is no longer needed",
        ),
        (
            r"CUDA (?:error: )?out of memory|CU\w+_STATUS_ALLOC_FAILED",
            "the GPU's memory is used up: use smaller batches, or delete what is no longer needed",
        ),
        (
            r"device-side assert triggered",
            "an operation on the GPU got a number that it cannot take, most often a label or an index that is too "
            "large, perhaps in a line above; nothing on the GPU can be used after that",
        ),
        (
            r"found at least two devices, ([\w:]+?)(?:\(\w+\))? and ([\w:]+)",
            "tensors on two devices, {1} and {2}, are combined: move one of them with .to(device)",
        ),
        (
            r"Input type \(torch\.cuda\.\w+\) and (?:bias|weight) type \(torch\.(?!cuda)\w+\)",
            "the input is on the GPU and the layer is not: move the model with .to(device)",
        ),
        (
            r"Input type \(torch\.(?!cuda)\w+\) and (?:bias|weight) type \(torch\.cuda\.\w+\)",
            "the layer is on the GPU and its input is not: move the input with .to(device)",
        ),
        (
            r"Cannot re-initialize CUDA in forked subprocess",
            "a process that was forked, such as a worker of a DataLoader, uses the GPU: load on the CPU, and move what "
            "was loaded to the GPU afterwards",
        ),
        (
            r"can't convert ([\w:]+) device type tensor to numpy",
            "a tensor on {1} has no array: copy it with .cpu() first",
        ),
        (r"CUDA error: ([^\n.]+)", "the GPU ended an operation with an error: {1}"),
    )
)


def explain_device_error(text: str) -> str:
    """Return what a message of PyTorch's about a device means, or "" if it is none that is known."""
    for pattern, words in _RULES:
        if found := pattern.search(text):
            return words.format(found[0], *found.groups())
    return ""
