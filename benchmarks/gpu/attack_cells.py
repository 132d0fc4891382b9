"""What hostile cells do. Each prints TRIED with what it tried, and LOOT with what it got."""

from __future__ import annotations

__all__ = [
    "ASKS_THE_DRIVER",
    "EXHAUSTS",
    "FILLS_MEMORY",
    "FORKS",
    "LOOKS_AT_PROCESSES",
    "LOOKS_FOR_PATTERN",
    "MAKES_NODES",
    "NEVER_ENDS",
    "OPENS_HANDLE",
    "OPENS_NODES",
    "PATTERN",
    "READS_DRIVER_FILES",
    "TRACES",
]

PATTERN = 0x5EC2E7ED  # what a submission leaves in memory

# ALLOWED: the device files that the sandbox is to have.
OPENS_NODES = """
import glob, os
wanted = [f"/dev/nvidia{number}" for number in range(16)] + ["/dev/nvidia-modeset", "/dev/mem", "/dev/kmsg", "/dev/kvm",
    "/dev/port", "/dev/vfio/vfio", "/dev/nvidia-nvlink", "/dev/nvidia-nvswitchctl", "/dev/fuse", "/dev/vda", "/dev/sda"]
wanted += [f"/dev/nvidia-caps/nvidia-cap{number}" for number in range(256)]
for folder, _, names in os.walk("/dev"):
    wanted += [os.path.join(folder, name) for name in names]
harmless = {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts/ptmx")}
opened = []
for path in sorted(set(wanted) - set(ALLOWED) - harmless):
    for flags in (os.O_RDWR, os.O_RDONLY):
        try:
            descriptor = os.open(path, flags | os.O_NONBLOCK)
        except OSError:
            continue
        import stat
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            opened.append(path)
        os.close(descriptor)
print("TRIED", len(set(wanted)), "device files")
if opened:
    print("LOOT", sorted(set(opened)))
"""
MAKES_NODES = """
import os, stat
made = []
for major, minor in ((195, 0), (195, 1), (195, 255), (1, 1), (1, 11), (253, 0)):
    for folder in (".", "/tmp", "/dev/shm"):
        path = f"{folder}/node-{major}-{minor}"
        try:
            os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(major, minor))
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
            made.append((major, minor))
        except OSError:
            pass
print("TRIED 18 new device files")
if made:
    print("LOOT", sorted(set(made)))
"""
# SECRET stands in the environment of a process outside.
LOOKS_AT_PROCESSES = """
import os
found, seen = [], 0
try:
    names = sorted(os.listdir("/proc"))
except OSError:
    names = []
for name in filter(str.isdecimal, names):
    seen += 1
    for file in ("environ", "cmdline", "maps"):
        try:
            with open(f"/proc/{name}/{file}", "rb") as opened:
                text = opened.read(1 << 20)
        except OSError:
            continue
        if SECRET.encode() in text:
            found.append((name, file))
for number in range(1, 100_000):
    try:
        if SECRET in open(f"/proc/{number}/environ", errors="replace").read():
            found.append((number, "environ"))
    except OSError:
        pass
print("TRIED", seen, "processes")
if found:
    print("LOOT", found)
"""
READS_DRIVER_FILES = """
import os
gpus = "/proc/driver/nvidia/gpus"
listed = sorted(os.listdir(gpus)) if os.path.isdir(gpus) else []
written = []
for path in ("/proc/driver/nvidia/params", "/proc/driver/nvidia/suspend", "/proc/driver/nvidia/registry",
             "/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/sys/bus/pci/rescan"):
    try:
        os.close(os.open(path, os.O_WRONLY))
        written.append(path)
    except OSError:
        pass
print("TRIED", len(listed), "GPUs in /proc, 6 files to write")
if written:
    print("LOOT", written)
"""
TRACES = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
got = []
parent = os.getppid()
PTRACE_ATTACH, SYS_process_vm_readv, SYS_pidfd_open, SYS_pidfd_getfd = 16, 310, 434, 438
for pid in {1, parent, *range(2, 40)} - {os.getpid()}:
    if libc.ptrace(PTRACE_ATTACH, pid, None, None) == 0:
        got.append(("ptrace", pid))
    buffer = ctypes.create_string_buffer(8)
    vector = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
    if libc.syscall(SYS_process_vm_readv, pid, vector, 1, vector, 1, 0) > 0:
        got.append(("process_vm_readv", pid))
    descriptor = libc.syscall(SYS_pidfd_open, pid, 0)
    if descriptor >= 0 and libc.syscall(SYS_pidfd_getfd, descriptor, 0, 0) >= 0:
        got.append(("pidfd_getfd", pid))
print("TRIED ptrace, process_vm_readv and pidfd_getfd")
if got:
    print("LOOT", got)
"""
# CHUNK is the number of 32-bit words in a piece, COUNT how many pieces at most.
FILLS_MEMORY = """
import torch
pieces = []
try:
    for _ in range(COUNT):
        pieces.append(torch.full((CHUNK,), PATTERN, dtype=torch.int32, device=DEVICE))
except torch.OutOfMemoryError:
    pieces = pieces[:-1]
print("TRIED", sum(piece.numel() for piece in pieces) * 4 >> 20, "MiB filled", int(pieces[-1][-1]))
"""
LOOKS_FOR_PATTERN = """
import torch
pieces, found = [], 0
try:
    for _ in range(COUNT):
        pieces.append(torch.empty((CHUNK,), dtype=torch.int32, device=DEVICE))
except torch.OutOfMemoryError:
    pieces = pieces[:-1]
for piece in pieces:
    for part in piece.split(1 << 26):
        found += int((part == PATTERN).sum())
nonzero = sum(int((part != 0).sum()) for piece in pieces for part in piece.split(1 << 26))
print("TRIED", sum(piece.numel() for piece in pieces) * 4 >> 20, "MiB,", nonzero, "words not zero")
if found > 16:
    print("LOOT", found, "words of another submission")
"""
EXHAUSTS = """
import torch
pieces = []
try:
    while len(pieces) < COUNT:
        pieces.append(torch.empty((CHUNK,), dtype=torch.int32, device=DEVICE).fill_(1))
except torch.OutOfMemoryError:
    pass
print("TRIED", sum(piece.numel() for piece in pieces) * 4 >> 20, "MiB")
while True:
    pass
"""
NEVER_ENDS = """
import torch
A = torch.randn(SIZE, SIZE, device=DEVICE)
print("TRIED endless products", flush=True)
while True:
    for _ in range(200):
        A = A @ A
        A = A / A.abs().max()
"""
FORKS = """
import os, time
started = 0
for _ in range(24):
    try:
        pid = os.fork()
    except OSError:
        break
    if pid == 0:
        try:
            os.setsid()
            import torch
            kept = torch.ones(CHUNK, dtype=torch.int32, device=DEVICE)
        finally:
            time.sleep(600)
    started += 1
time.sleep(SECONDS)
print("TRIED", started, "processes of their own session")
"""
# HANDLE is what a process outside offers of its memory on the device, full of PATTERN: 64 bytes in hexadecimal.
OPENS_HANDLE = """
import ctypes
class Handle(ctypes.Structure):
    _fields_ = [("reserved", ctypes.c_char * 64)]
got, ended = [], []
try:
    cuda = ctypes.CDLL("libcuda.so.1")
    context, pointer, words = ctypes.c_void_p(), ctypes.c_uint64(), (ctypes.c_int32 * 4)()
    handle = Handle.from_buffer_copy(bytes.fromhex(HANDLE))
    ended.append(cuda.cuInit(0))
    ended.append(cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0))
    ended.append(cuda.cuCtxSetCurrent(context))
    ended.append(cuda.cuIpcOpenMemHandle_v2(ctypes.byref(pointer), handle, 1))
    if ended[-1] == 0:
        ended.append(cuda.cuMemcpyDtoH_v2(words, pointer, 16))
        got = list(words)
except OSError as error:
    ended.append(str(error))
print("TRIED a handle of another process, the calls gave", ended)
if PATTERN in got:
    print("LOOT", got)
"""
ASKS_THE_DRIVER = """
seen = ""
try:
    import pynvml
    pynvml.nvmlInit()
    count = pynvml.nvmlDeviceGetCount()
    seen = f"{count} GPUs"
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    seen += f", {len(pynvml.nvmlDeviceGetComputeRunningProcesses(handle))} processes"
except Exception as error:
    seen += f" {type(error).__name__}: {error}"
print("TRIED NVML:", seen)
"""
