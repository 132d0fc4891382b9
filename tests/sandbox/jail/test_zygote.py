"""The warm process leaves CUDA alone, so that a kernel that is forked from it can use it."""

from __future__ import annotations

import pytest

from grader.sandbox.host.sandbox import Zygote
from tests.support.sandbox_runs import ran

# Noted in the kernel itself: a fork of it may be spoilt, which uses no CUDA.
ASK = """
import torch, os
noted = int(torch.cuda._is_in_bad_fork()), os.environ["CUDA_VISIBLE_DEVICES"]
def f(): return noted
"""


def test_cuda_can_start_in_a_kernel_because_no_package_has_asked_for_devices_before(zygote: Zygote) -> None:
    assert zygote.missing == {}
    with ran(zygote, ASK) as made:
        assert made.call("f") == (0, "")


@pytest.mark.parametrize(
    ("package", "is_spoilt"), [("asks_for_devices", 0), ("asks_the_driver", 1)], ids=["politely", "directly"]
)
def test_a_package_that_asks_for_devices_at_its_import_spoils_no_kernel_unless_it_goes_around_torch(
    package: str, is_spoilt: int
) -> None:
    with Zygote(("torch", f"tests.support.packages.{package}")) as warm:
        assert warm.missing == {}
        with ran(warm, ASK) as made:
            assert made.call("f") == (is_spoilt, "")
