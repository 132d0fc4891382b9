"""A GPU, or a slice of one, that a worker has for itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["GPU", "DeviceAccess"]


@dataclass(frozen=True)
class GPU:
    """A whole GPU or a slice of one (a MIG instance), as the driver describes it.

    Attributes:
        uuid: the driver's name for it, also in CUDA_VISIBLE_DEVICES: "GPU-..." or, for a slice, "MIG-...".
        name: the product's name, such as "NVIDIA H200".
        memory_bytes: its memory.
        index: the number of the physical GPU, from 0, in the driver's order.
        minor: the number of its device file, /dev/nvidia<minor>.
        gpu_instance: the id of the slice's GPU instance; None for a whole GPU.
        compute_instance: the id of the slice's compute instance; None for a whole GPU.
    """

    uuid: str
    name: str
    memory_bytes: int
    index: int = 0
    minor: int = 0
    gpu_instance: int | None = None
    compute_instance: int | None = None

    @property
    def is_slice(self) -> bool:
        """Whether this is a part of a GPU."""
        return self.gpu_instance is not None


@dataclass(frozen=True)
class DeviceAccess:
    """What a process needs to use one GPU, and no other.

    Attributes:
        uuid: the GPU's, for CUDA_VISIBLE_DEVICES.
        nodes: its device files and those that all GPUs share.
        files: the files and folders of the driver that are read at the same path.
        library_folders: folders with the driver's libraries that the dynamic linker does not search by itself.
    """

    uuid: str
    nodes: tuple[Path, ...]
    files: tuple[Path, ...] = field(default=())
    library_folders: tuple[Path, ...] = field(default=())
