"""How the sandbox gets the one device that it may use, and what it is told of the driver."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grader.gpu.device import DeviceAccess

__all__ = ["DESCRIPTIONS", "pack_access", "read_descriptions", "unpack_access"]

# Here the driver tells of itself and of every GPU of the machine, also in the /proc of a sandbox.
DESCRIPTIONS = Path("/proc/driver/nvidia")
# If set, CUDA makes device files anew whose owner is not root, as in a user namespace, and gives up if it may not.
_MAKE_DEVICE_FILES = re.compile(r"^((?:ModifyDeviceFiles|DeviceFileModify): *)1$", re.MULTILINE)


def pack_access(access: DeviceAccess | None) -> dict[str, Any]:
    """Return what crosses to the warm process; {} without a device."""
    if access is None:
        return {}
    paths = {"nodes": access.nodes, "files": access.files, "library_folders": access.library_folders}
    return {"uuid": access.uuid, **{name: [str(path) for path in value] for name, value in paths.items()}}


def unpack_access(packed: Mapping[str, Any]) -> DeviceAccess | None:
    """Return what `pack_access` has packed."""
    if not packed:
        return None
    paths = {name: tuple(Path(path) for path in packed[name]) for name in ("nodes", "files", "library_folders")}
    return DeviceAccess(packed["uuid"], **paths)


def read_descriptions(access: DeviceAccess | None) -> dict[Path, dict[Path, str]]:
    """Return what the sandbox sees of the folders in which the driver describes itself: their files with the text.

    The texts say that device files are not made by those who use them.

    Args:
        access: what the sandbox may use; without it, the driver's own folder is empty.
    """
    folders: dict[Path, dict[Path, str]] = {DESCRIPTIONS: {}}
    for path in access.files if access else ():
        if path.is_relative_to("/proc"):
            folder = Path(*path.parts[:4])
            text = path.read_text(errors="replace")
            folders.setdefault(folder, {})[path] = _MAKE_DEVICE_FILES.sub(r"\g<1>0", text)
    return folders
