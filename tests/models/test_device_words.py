"""What PyTorch says of a GPU, in plain words."""

from __future__ import annotations

import pytest

from grader.models.device_words import explain_device_error

MESSAGES = {
    "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 139.80 GiB of which 7 MiB is free. "
    "If reserved but unallocated memory is large try setting PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True": (
        "the GPU's memory is used up, 20.00 MiB more do not fit"
    ),
    "CUDA error: out of memory": "the GPU's memory is used up: use smaller batches",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`": "the GPU's memory is used up",
    "CUDA error: device-side assert triggered\nCUDA kernel errors might be asynchronously reported": (
        "most often a label or an index that is too large"
    ),
    "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! (when checking": (
        "tensors on two devices, cuda:0 and cpu, are combined"
    ),
    "Input type (torch.cuda.FloatTensor) and weight type (torch.FloatTensor) should be the same": (
        "the input is on the GPU and the layer is not"
    ),
    "Input type (torch.FloatTensor) and weight type (torch.cuda.FloatTensor) should be the same": (
        "the layer is on the GPU and its input is not"
    ),
    "Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, you must use": (
        "such as a worker of a DataLoader"
    ),
    "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy": "a tensor on cuda:0 has no array",
    "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be": (
        "the GPU ended an operation with an error: an illegal memory access was encountered"
    ),
}


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_explained_without_settings(message: str) -> None:
    words = explain_device_error(message)
    assert MESSAGES[message] in words
    assert "PYTORCH" not in words
    assert "asynchronously" not in words


def test_other_messages_are_left_to_others() -> None:
    assert explain_device_error("Input type (double) and bias type (float) should be the same") == ""
