"""Xids: the driver's numbers for what goes wrong on a GPU, and which of them are the GPU's fault.

From NVIDIA's "Analyzing Xid Errors with the Xid Catalog" (docs.nvidia.com/deploy/xid-errors, Ampere and newer), which
gives each number a first action, and from NVIDIA's device plugin for Kubernetes (internal/rm/health.go), which takes a
GPU out of use for all but 13, 31, 43, 45, 68 and 109. A number that neither explains is taken for a fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from grader.gpu.device import GPU

__all__ = ["DEVICE_XIDS", "PROGRAM_XIDS", "Xid", "describe_xid"]


def _explain(numbers: Iterable[int], text: str) -> dict[int, str]:
    return dict.fromkeys(numbers, text)


# What a program does to itself, and what does no harm: the first action is to restart the program, or none. A student's
# code has the device files open, so it can cause each of them at will, and no GPU may be taken out of use for it.
PROGRAM_XIDS: Mapping[int, str] = {
    8: "a program's kernel did not end in time",
    13: "an exception in a program's kernel, such as an access out of bounds",
    31: "an access to memory that is not the program's",
    **_explain((25, 32, 69, 80), "a program's commands to the GPU were not valid"),
    **_explain((37, 38, 44, 66, 67, 141), "an error in a program's context, without further effect"),
    **_explain(
        (39, 40, 41, 70, 71, 72, 75, 76, 77, 85, *range(126, 136)), "an exception while a program copied memory"
    ),
    43: "a program made an error and was stopped",
    45: "a program ended, or was killed, while it used the GPU",
    **_explain(
        (60, 68, 82, 83, 84, 86, 88, 89, *range(96, 106), 139), "an exception in a program's use of video or images"
    ),
    **_explain((92, 121), "many errors that were corrected"),
    93: "the GPU's own records could not be written",
    **_explain((106, 107), "a test message"),
    # The catalog asks for a reset, the device plugin does not. If a reset is needed, the driver says so (`recovery`).
    109: "a program's kernel did not let another one run in time",
    137: "an access over NVLink that was not allowed",
}

# What a GPU needs a reset, a restart or a technician for, or what makes results doubtful.
DEVICE_XIDS: Mapping[int, str] = {
    46: "it stopped processing",
    48: "an error in its memory that could not be corrected",
    62: "its internal controller halted",
    # Programs may go on after these two, but what ran when it happened was not the student's fault.
    63: "a part of its memory is to be replaced by a spare one at the next reset",
    94: "an error in its memory that could not be corrected, confined to one program",
    64: "a part of its memory could not be replaced by a spare one",
    74: "an error on NVLink",
    79: "it has fallen off the bus",
    95: "an error in its memory that could not be corrected or confined",
    110: "a security fault",
    119: "its system processor (GSP) did not answer in time",
    120: "an error of its system processor (GSP)",
    140: "an error in its memory that was not recovered from",
    143: "it could not be initialised",
    154: "the driver asks for a reset or a restart",
    158: "it did not answer in time",
    **_explain((171, 172), "an error in its memory that could not be corrected"),
}

_ALL = 0xFFFFFFFF  # an event's instance if it concerns the whole GPU


@dataclass(frozen=True)
class Xid:
    """What the driver reported once.

    Attributes:
        number: the Xid.
        gpu_instance: the slice that it concerns; all of them if it is 0xFFFFFFFF.
        compute_instance: the slice's compute instance; all of them if it is 0xFFFFFFFF.
    """

    number: int
    gpu_instance: int = _ALL
    compute_instance: int = _ALL

    @property
    def is_fault(self) -> bool:
        """Whether the GPU has to be taken out of use."""
        return self.number not in PROGRAM_XIDS

    def concerns(self, gpu: GPU) -> bool:
        """Return whether it concerns this GPU or slice, if it was reported for this physical GPU."""
        if not gpu.is_slice or self.gpu_instance == _ALL:
            return True
        return self.gpu_instance == gpu.gpu_instance and self.compute_instance in (_ALL, gpu.compute_instance)


def describe_xid(xid: Xid) -> str:
    """Return an Xid as text."""
    meaning = PROGRAM_XIDS.get(xid.number) or DEVICE_XIDS.get(xid.number, "not known here, taken for a fault")
    return f"Xid {xid.number}: {meaning}"
