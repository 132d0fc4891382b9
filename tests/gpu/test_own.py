"""Which GPU a process uses: CUDA_VISIBLE_DEVICES, and the selection of `grader worker --devices`."""

from __future__ import annotations

import pytest

from grader.errors import InputError
from grader.gpu.device import GPU
from grader.gpu.own import find_own_gpu, list_selected, list_visible
from tests.support.gpus import StandInDriver, make_gpu, make_slice

FIRST, SECOND = make_gpu(0), make_gpu(1)
SLICES = (make_slice(0, index=2), make_slice(1, index=2))
TWO = StandInDriver((FIRST, SECOND))
MIXED = StandInDriver((FIRST, make_gpu(1, "NVIDIA L4", 24)))
DIVIDED = StandInDriver((FIRST, *SLICES))


def own(driver: StandInDriver, visible: str | None, **environ: str) -> GPU | None:
    return find_own_gpu(driver, environ if visible is None else {"CUDA_VISIBLE_DEVICES": visible, **environ})


# CUDA_VISIBLE_DEVICES


@pytest.mark.parametrize("environ", [{}, {"NVIDIA_VISIBLE_DEVICES": "all"}, {"NVIDIA_VISIBLE_DEVICES": "1"}])
def test_the_only_gpu_is_ours_if_nothing_is_said(environ: dict[str, str]) -> None:
    assert find_own_gpu(StandInDriver((SECOND,)), environ) == SECOND


def test_no_driver_and_no_gpu_are_none() -> None:
    assert find_own_gpu(None, {"CUDA_VISIBLE_DEVICES": "0"}) is None
    assert find_own_gpu(StandInDriver(()), {}) is None


@pytest.mark.parametrize("text", ["", " ", "-1", "-1,0", "NoDevFiles", "none", "void"])
def test_a_list_without_gpus_is_none(text: str) -> None:
    assert own(TWO, text) is None


@pytest.mark.parametrize("text", [SECOND.uuid, f" {SECOND.uuid} ", SECOND.uuid[:12], "1", f"{SECOND.uuid},-1,0"])
def test_a_uuid_its_beginning_and_a_number_name_a_gpu(text: str) -> None:
    assert own(TWO, text) == SECOND


def test_a_slice_is_named_by_its_whole_uuid() -> None:
    assert own(DIVIDED, SLICES[1].uuid) == SLICES[1]
    with pytest.raises(InputError, match="no GPU 'MIG-00000002'"):
        own(DIVIDED, "MIG-00000002")


def test_the_number_of_a_divided_gpu_names_no_slice_if_there_are_several() -> None:
    with pytest.raises(InputError, match=r"GPU 2 is divided into slices, name one by its whole UUID:\n.*MIG-"):
        own(DIVIDED, "2")
    assert own(StandInDriver(SLICES[:1]), "2") == SLICES[0]


def test_several_gpus_are_refused_with_what_to_do() -> None:
    for text in (None, "0,1", f"{FIRST.uuid},{SECOND.uuid}"):
        with pytest.raises(InputError, match="grader worker --devices all") as caught:
            own(TWO, text)
        assert FIRST.uuid in str(caught.value)
    assert own(TWO, "1,1") == SECOND


def test_a_name_that_cuda_would_take_for_none_is_refused_with_a_proposal() -> None:
    with pytest.raises(InputError) as caught:
        own(TWO, FIRST.uuid.replace("GPU-00000000-1111", "GPU-00000000-1112"))
    assert f"did you mean {FIRST.uuid}" in str(caught.value)
    with pytest.raises(InputError, match="no GPU '7'"):
        own(TWO, "7")
    with pytest.raises(InputError, match="no GPU ''"):
        own(TWO, "0,,1")
    with pytest.raises(InputError, match="the driver lists none"):
        own(StandInDriver(()), "0")


def test_the_beginning_of_several_uuids_is_refused() -> None:
    with pytest.raises(InputError, match="'GPU-0000000' begins several UUIDs"):
        own(TWO, "GPU-0000000")
    with pytest.raises(InputError, match="no GPU 'GPU-'"):
        own(TWO, "GPU-")


def test_a_number_needs_an_order_if_there_are_several_kinds() -> None:
    with pytest.raises(InputError, match="CUDA_DEVICE_ORDER=PCI_BUS_ID"):
        own(MIXED, "1")
    with pytest.raises(InputError, match="CUDA_DEVICE_ORDER=PCI_BUS_ID"):
        own(MIXED, "1", CUDA_DEVICE_ORDER="FASTEST_FIRST")
    assert own(MIXED, "1", CUDA_DEVICE_ORDER="PCI_BUS_ID") == MIXED.gpus[1]
    assert own(MIXED, MIXED.gpus[1].uuid) == MIXED.gpus[1]


def test_a_lost_gpu_is_named_in_the_refusal() -> None:
    with pytest.raises(InputError, match="GPU 1: it is lost"):
        own(StandInDriver((FIRST, SECOND), lost={SECOND.uuid}), SECOND.uuid)


def test_this_process_s_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert find_own_gpu(TWO) == SECOND


# --devices


def test_all_are_those_that_are_visible() -> None:
    assert list_selected(TWO, "all", {}) == (FIRST, SECOND)
    assert list_selected(TWO, " all ", {"CUDA_VISIBLE_DEVICES": "1"}) == (SECOND,)
    assert list_selected(DIVIDED, "all", {}) == (FIRST, *SLICES)
    assert list_visible(TWO, {"CUDA_VISIBLE_DEVICES": "1,0"}) == (SECOND, FIRST)


def test_numbers_and_uuids_are_selected_once_each_in_their_order() -> None:
    assert list_selected(TWO, f"1, 0,{SECOND.uuid}", {}) == (SECOND, FIRST)
    assert list_selected(MIXED, "1", {}) == (MIXED.gpus[1],)


def test_the_number_of_a_divided_gpu_selects_its_slices() -> None:
    assert list_selected(DIVIDED, "2", {}) == SLICES
    assert list_selected(DIVIDED, f"0,{SLICES[1].uuid}", {}) == (FIRST, SLICES[1])


def test_a_selection_that_names_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="--devices: no GPU 'al'; give one of 0, 1, GPU-"):
        list_selected(TWO, "al", {})
    with pytest.raises(InputError, match="no GPU to use; `grader doctor --gpu` says more\nGPU 0: in MIG mode"):
        list_selected(StandInDriver((), problems=("GPU 0: in MIG mode",)), "all", {})
    with pytest.raises(InputError, match="CUDA_VISIBLE_DEVICES hides them"):
        list_selected(TWO, "all", {"CUDA_VISIBLE_DEVICES": ""})
    with pytest.raises(InputError, match="no GPU to use"):
        list_selected(TWO, ",", {})
