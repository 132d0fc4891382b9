"""What a trainer asks a GPU, with a stand-in for `torch.cuda`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from grader.models.stepping import CaptureFailed
from grader.training import accelerator
from grader.training.accelerator import CPU, CUDA, AcceleratorVersions, DeviceLost, FailureKind
from tests.support.stand_in_cuda import StandInCUDA, make_cuda_error

HERE = torch.device("cpu")


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore what `prepare` changes for the whole process."""
    monkeypatch.setattr(accelerator, "allow_memory", lambda most: None)
    was = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    deterministic: Any = torch.utils.deterministic
    filled, cudnn = deterministic.fill_uninitialized_memory, torch.backends.cudnn.deterministic
    reduced = torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction
    precisions: list[Any] = [torch.backends, torch.backends.cuda.matmul, torch.backends.cudnn]
    before = [owner.fp32_precision for owner in precisions]
    yield
    torch.use_deterministic_algorithms(was[0], warn_only=was[1])
    deterministic.fill_uninitialized_memory = filled
    torch.backends.cudnn.deterministic = cudnn
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = reduced
    for owner, precision in zip(precisions, before, strict=True):
        owner.fp32_precision = precision


def test_a_gpu_computes_the_same_each_time_and_in_full_float32(settings: None) -> None:
    torch.backends.cudnn.benchmark = True
    CUDA(StandInCUDA(), HERE).prepare()
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.benchmark
    assert not torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction
    assert torch.backends.cuda.matmul.fp32_precision == torch.backends.cudnn.fp32_precision == "ieee"


@pytest.mark.parametrize("gpus", [0, 2])
def test_a_process_that_does_not_see_exactly_its_gpu_trains_nothing(gpus: int, settings: None) -> None:
    cuda = CUDA(StandInCUDA(gpus=gpus), HERE)
    with pytest.raises(DeviceLost) as lost:
        cuda.prepare()
    assert cuda.classify(lost.value) is FailureKind.DEVICE


def test_what_decides_numbers_is_told_with_the_number_of_multiprocessors() -> None:
    versions = CUDA(StandInCUDA(), HERE).describe()
    cudnn = str(torch.backends.cudnn.version())
    assert versions == AcceleratorVersions("Stand-in", "9.0", 132, str(torch.version.cuda), cudnn)


def test_memory_is_given_back_and_limited() -> None:
    shares: list[float] = []
    stand_in = StandInCUDA(at_step=shares.append)
    cuda = CUDA(stand_in, HERE)
    for most in (2**30, 2**40, None):
        cuda.limit_memory(most)
        with cuda.warm_up():
            pass
    assert shares == [0.1, 1.0, 1.0]
    cuda.release()
    assert stand_in.calls[-2:] == ["synchronize", "empty_cache"]


ERRORS = {
    "torch's own": (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB"), FailureKind.MEMORY),
    "by number": (make_cuda_error("out of memory", 2), FailureKind.MEMORY),
    "by word": (make_cuda_error("out of memory"), FailureKind.MEMORY),
    "cuBLAS has no memory": (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), FailureKind.MEMORY),
    "ECC": (make_cuda_error("uncorrectable ECC error encountered", 214), FailureKind.DEVICE),
    "no number": (make_cuda_error("unknown error"), FailureKind.DEVICE),
    "of another type": (RuntimeError("CUDA driver error: device unavailable"), FailureKind.DEVICE),
    "gone": (RuntimeError("No CUDA GPUs are available"), FailureKind.DEVICE),
    "cuDNN broke": (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), FailureKind.DEVICE),
    "out of bounds": (make_cuda_error("an illegal memory access was encountered", 700), FailureKind.OURS),
    "out of bounds by word": (make_cuda_error("an illegal memory access was encountered"), FailureKind.OURS),
    "an impossible call": (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"), FailureKind.OURS),
    "an odd model": (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), FailureKind.OURS),
    "not torch's": (ValueError("CUDA error: a word in another error"), FailureKind.OURS),
}


@pytest.mark.parametrize(("error", "kind"), ERRORS.values(), ids=ERRORS)
def test_errors_say_whether_memory_the_device_or_the_training_is_to_blame(error: Exception, kind: FailureKind) -> None:
    assert CUDA(StandInCUDA(), HERE).classify(error) is kind


@pytest.mark.parametrize("error", [ERRORS["torch's own"][0], ERRORS["ECC"][0]])
def test_a_lack_of_memory_or_a_broken_device_is_no_step_that_cannot_be_recorded(error: Exception) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        CUDA(StandInCUDA(at_capture=fail), HERE).capture(lambda: None)


def test_what_cannot_be_recorded_says_so() -> None:
    def fail() -> None:
        raise make_cuda_error("operation not permitted when stream is capturing", 900)

    with pytest.raises(CaptureFailed):
        CUDA(StandInCUDA(), HERE).capture(fail)


def test_on_a_cpu_a_step_is_its_own_recording() -> None:
    taken: list[int] = []
    CPU().capture(lambda: taken.append(1))()
    assert taken == [1]
