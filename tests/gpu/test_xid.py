"""Which Xids are a GPU's fault."""

from __future__ import annotations

import pytest

from grader.gpu.xid import DEVICE_XIDS, PROGRAM_XIDS, Xid, describe_xid
from tests.support.gpus import make_gpu, make_slice


@pytest.mark.parametrize("number", [13, 31, 43, 45, 68, 109])
def test_what_nvidia_s_device_plugin_ignores_is_no_fault(number: int) -> None:
    assert not Xid(number).is_fault


@pytest.mark.parametrize("number", [46, 48, 62, 63, 64, 74, 79, 94, 95, 110, 119, 120, 140, 143, 154, 158])
def test_what_needs_a_reset_is_a_fault(number: int) -> None:
    assert Xid(number).is_fault


def test_a_number_that_is_not_known_is_a_fault_and_says_so() -> None:
    assert Xid(9999).is_fault
    assert describe_xid(Xid(9999)) == "Xid 9999: not known here, taken for a fault"


def test_no_number_is_both() -> None:
    assert not PROGRAM_XIDS.keys() & DEVICE_XIDS.keys()


def test_an_event_of_a_slice_concerns_that_slice_and_the_whole_gpu() -> None:
    ours, neighbour = make_slice(0), make_slice(1)
    event = Xid(94, ours.gpu_instance or 0, 0)
    assert event.concerns(ours)
    assert not event.concerns(neighbour)
    assert event.concerns(make_gpu())
    assert Xid(94).concerns(neighbour)
    assert not Xid(94, ours.gpu_instance or 0, 3).concerns(ours)
