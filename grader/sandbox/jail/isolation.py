"""The layers that lock a forked process in. The process applies them itself, and reports which of them hold.

The order matters. File trees are cloned while they can still be reached, root privileges are given up before the user
namespace is made, and everything that needs capabilities happens before they are dropped. Root and an ordinary user
take the same path; root only adds a user id of its own and control groups.
"""

from __future__ import annotations

import os
import resource
import stat
from pathlib import Path

from grader.sandbox.jail import linux
from grader.sandbox.jail.control_groups import join_control_group
from grader.sandbox.jail.device_passing import read_descriptions
from grader.sandbox.jail.file_view import FileView
from grader.sandbox.jail.layer_log import LayerLog
from grader.sandbox.jail.seccomp import SystemCallFilter
from grader.sandbox.protocol.limits import Limits

__all__ = ["Confinement"]

_HOME = Path("/home/student/work")
_WRITABLE = (Path("/tmp"), Path("/home/student"), Path("/dev/shm"))
# Above every range of user ids in systemd's documentation. The pid is added to make it unique to a sandbox.
_FIRST_USER_ID = 1_879_048_192
_NAMESPACES = {
    "user namespace": linux.CLONE_NEWUSER,
    "mount namespace": linux.CLONE_NEWNS,
    "pid namespace": linux.CLONE_NEWPID,
    "net namespace": linux.CLONE_NEWNET,
    "ipc namespace": linux.CLONE_NEWIPC | linux.CLONE_NEWCGROUP,
    "uts namespace": linux.CLONE_NEWUTS,
}

# With all of these, the sandbox has no socket, process, queue or file of the host.
_HIDE_THE_HOST = ("private file system", "pid namespace", "net namespace", "ipc namespace")


class Confinement:
    """The steps by which one process enters the sandbox: `leave_host`, a fork, `settle_as_first_process`, `confine`.

    Its forks inherit all layers. Each fork calls `confine_files` before it runs any of a student's code.
    """

    def __init__(
        self,
        layers: LayerLog,
        view: FileView,
        limits: Limits,
        control_groups: dict[str, str],
        compiled: SystemCallFilter | str,
        fallback_folder: Path,
    ) -> None:
        self._layers = layers
        self._view = view
        self._limits = limits
        self._control_groups = control_groups
        self._filter = compiled
        self._fallback_folder = fallback_folder
        self._trees: list[tuple[Path, int]] = []
        self._descriptions: dict[Path, dict[Path, str]] = {}
        self._first = os.getpid() == 1

    @property
    def first(self) -> bool:
        """Whether this process is already the first of its pid namespace; if not, its next fork becomes the first."""
        return self._first

    @property
    def has_device(self) -> bool:
        """Whether a GPU can be used."""
        return self._view.device is not None

    @property
    def _is_exposed(self) -> bool:
        """Whether something of the host can be reached that only the system call filter can keep away."""
        return not all(self._layers.holds(name) for name in _HIDE_THE_HOST)

    @property
    def home(self) -> Path:
        """The folder that notebooks run in."""
        return _HOME if self._layers.holds("private file system") else self._fallback_folder

    @property
    def scratch(self) -> Path:
        """The folder for temporary files."""
        return Path("/tmp") if self._layers.holds("private file system") else self._fallback_folder

    @property
    def writable(self) -> tuple[Path, ...]:
        """The folders that notebooks can write to."""
        return _WRITABLE if self._layers.holds("private file system") else (self._fallback_folder,)

    def leave_host(self) -> None:
        """Join the control groups, give up root, and unshare the namespaces."""
        for kind, folder in self._control_groups.items():
            with self._layers.layer(f"{kind} cgroup") as applies:
                if applies and not folder.startswith("/"):
                    raise OSError(folder)
                if applies:
                    join_control_group(folder)
        root = os.geteuid() == 0
        namespaces = self._layers.applies("user namespace") and self._layers.applies("mount namespace")
        if root and namespaces:
            self._clone_trees()
        with self._layers.layer("unprivileged user") as applies:
            if applies and not root:
                raise OSError("only root can give each submission a user id of its own")
            if applies:
                # Use the pid that the host's /proc shows: the pid of a first process in its own namespace is always 1.
                self._change_user(_FIRST_USER_ID + int(Path("/proc/self").readlink().name))
        user, group = os.geteuid(), os.getegid()
        for name, flag in _NAMESPACES.items():
            with self._layers.layer(name) as applies:
                if applies and not (name == "pid namespace" and self._first):
                    linux.unshare(flag)
                    if name == "user namespace":
                        _map_user(user, group)
            if name == "user namespace" and not self._layers.holds(name):
                for other in _NAMESPACES.keys() - {name, *(("pid namespace",) if self._first else ())}:
                    self._layers.fail(other, "needs the user namespace")
        if not root and self._layers.holds("mount namespace"):
            self._clone_trees()

    @staticmethod
    def _change_user(identity: int) -> None:
        os.setgroups([])
        os.setresgid(identity, identity, identity)
        os.setresuid(identity, identity, identity)
        # After giving up root, /proc/self belongs to root, and the id maps must be written there.
        linux.set_dumpable(True)

    def _clone_trees(self) -> None:
        with self._layers.layer("private file system") as applies:
            if not applies:
                return
            self._descriptions = read_descriptions(self._view.device)
            for path in (*self._view.bound, *self._view.nodes):
                if not path.is_symlink():
                    tree = linux.clone_tree(path)
                    device = path in self._view.nodes
                    linux.restrict_mount(tree, read_only=not device, devices=device)
                    self._trees.append((path, tree))
            for inside, path in self._view.shown.items():
                tree = linux.clone_tree(path)
                linux.restrict_mount(tree, read_only=True)
                self._trees.append((inside, tree))
            if self._first:
                # The next user namespace will have no rights over this pid namespace, which is older.
                self._make_proc()

    def _make_proc(self) -> None:
        try:
            self._trees.append((Path("/proc"), linux.make_proc()))
        except OSError as error:
            # It needs a pid namespace of its own, and many containers forbid it.
            self._layers.add_remark("private file system", f"without /proc: {error.strerror}")

    def settle_as_first_process(self) -> None:
        """Build the file system, then drop the privileges that were needed to build it."""
        with self._layers.layer("private file system") as applies:
            if applies:
                if not self._layers.holds("mount namespace"):
                    raise OSError("needs the mount namespace")
                self._build_file_system()
        if not self._layers.holds("private file system"):
            self._fallback_folder.mkdir(mode=0o700)
        os.chdir(self.home)
        with self._layers.layer("uts namespace") as applies:
            if applies:
                linux.set_host_name("grader")
        with self._layers.layer("capabilities") as applies:
            if applies:
                linux.drop_capabilities()
        with self._layers.layer("no new privileges") as applies:
            if applies:
                linux.forbid_new_privileges()
        linux.set_dumpable(False)

    def _build_file_system(self) -> None:
        linux.make_private()
        if not self._first:
            self._make_proc()
        root = Path("/tmp")
        linux.mount("tmpfs", root, "size=16m,mode=755")
        # Before the other mounts, because Python's environment may lie below /tmp or /home.
        self._mount_scratch(root)
        for path, tree in self._trees:
            target = root / path.relative_to("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            # Ask the tree and not the path, because the host's /tmp is no longer visible.
            target.mkdir() if stat.S_ISDIR(os.fstat(tree).st_mode) else target.touch()
            linux.move_mount(tree, target)
            os.close(tree)
        self._copy_links(root)
        self._cover_hidden(root)
        self._cover_descriptions(root)
        self._write_settings(root)
        (root / "proc").mkdir(exist_ok=True)
        old = root / "old"
        old.mkdir()
        self._mount_terminals(root / "dev")
        self._link_descriptors(root / "dev")
        linux.pivot_root(root, old)
        os.chdir("/")
        linux.unmount(Path("/old"))
        Path("/old").rmdir()
        root_descriptor = os.open("/", os.O_PATH | os.O_CLOEXEC)
        linux.restrict_mount(root_descriptor, read_only=True, recursive=False)
        os.close(root_descriptor)

    @staticmethod
    def _mount_terminals(devices: Path) -> None:
        # IPython runs `!command` on a pseudo-terminal.
        (devices / "pts").mkdir(parents=True)
        linux.mount("devpts", devices / "pts", "newinstance,ptmxmode=0666,mode=600")
        (devices / "ptmx").symlink_to("pts/ptmx")

    @staticmethod
    def _link_descriptors(devices: Path) -> None:
        # Shell scripts write to /dev/stderr, and bash's <(...) opens /dev/fd.
        (devices / "fd").symlink_to("/proc/self/fd")
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            (devices / name).symlink_to(f"/proc/self/fd/{number}")

    def _copy_links(self, root: Path) -> None:
        for path in self._view.bound:
            if path.is_symlink():
                target = root / path.relative_to("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(path.readlink())

    def _cover_hidden(self, root: Path) -> None:
        for path in self._view.hidden:
            covered = root / path.relative_to("/")
            if covered.is_dir():
                linux.mount("tmpfs", covered, "size=4k,mode=555,ro")
            elif covered.is_file():
                linux.move_mount(linux.clone_tree(root / "dev" / "null"), covered)

    def _cover_descriptions(self, root: Path) -> None:
        # Drivers describe all devices of the machine here, and CUDA reads of its own.
        for folder, texts in self._descriptions.items():
            covered = root / folder.relative_to("/")
            if not covered.is_dir():
                continue
            linux.mount("tmpfs", covered, "size=256k,mode=755")
            for path, text in texts.items():
                target = root / path.relative_to("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                linux.write_file(str(target), text)
            made = os.open(covered, os.O_PATH | os.O_CLOEXEC)
            linux.restrict_mount(made, read_only=True)
            os.close(made)

    @staticmethod
    def _write_settings(root: Path) -> None:
        settings = {
            "passwd": "student:x:1000:1000:student:/home/student:/bin/sh\n",
            "group": "student:x:1000:\n",
            "hosts": "127.0.0.1 localhost grader\n",
            "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
        }
        (root / "etc").mkdir(exist_ok=True)
        for name, text in settings.items():
            linux.write_file(f"{root}/etc/{name}", text)

    def _mount_scratch(self, root: Path) -> None:
        # All writable folders share one file system, so that one limit holds for all of them together.
        scratch = root / "scratch"
        scratch.mkdir()
        linux.mount("tmpfs", scratch, f"size={self._limits.written_bytes},nr_inodes=100k,mode=755")
        for path in _WRITABLE:
            inside, target = scratch / path.name, root / path.relative_to("/")
            inside.mkdir(mode=0o777)
            target.mkdir(parents=True, exist_ok=True)
            tree = linux.clone_tree(inside)
            linux.move_mount(tree, target)
            os.close(tree)
        linux.unmount(scratch)
        scratch.rmdir()
        (root / _HOME.relative_to("/")).mkdir()

    def confine(self) -> None:
        """Lock the first process and all its forks in for good: resource limits, Landlock, seccomp."""
        with self._layers.layer("resource limits") as applies:
            if applies:
                _limit_resources(self._limits, with_device=self.has_device)
        with self._layers.layer("landlock") as applies:
            if applies:
                # Allow every file for now, because forks write to /proc before they restrict their files.
                linux.restrict_by_landlock(linux.PathRules(writable=(Path("/"),)), scoped=True)
        with self._layers.layer("seccomp") as applies:
            if applies:
                if isinstance(self._filter, str):
                    raise OSError(self._filter)
                (SystemCallFilter(exposed=True) if self._is_exposed else self._filter).load()

    def confine_files(self, *, scoped: bool) -> None:
        """Restrict the files that a fork of the first process can reach, for good, if Landlock holds.

        Args:
            scoped: whether to forbid signals and abstract sockets to all processes except its own children, too.

        Raises:
            OSError: the fork could not be restricted and must not run.
        """
        if self._layers.holds("landlock"):
            private = self._layers.holds("private file system")
            rules = self._view.rules_inside if private else self._view.rules_outside
            linux.restrict_by_landlock(rules(self.writable), scoped=scoped)
            _require_landlock()


def _require_landlock() -> None:
    """Make sure that Landlock has an effect: no rule allows the root folder itself.

    Raises:
        OSError: this process is not restricted.
    """
    try:
        os.close(os.open("/", os.O_RDONLY | os.O_DIRECTORY))
    except PermissionError:
        return
    raise OSError("Landlock restricts nothing on this machine")


def _map_user(user: int, group: int) -> None:
    linux.write_file("/proc/self/setgroups", "deny")
    linux.write_file("/proc/self/uid_map", f"1000 {user} 1")
    linux.write_file("/proc/self/gid_map", f"1000 {group} 1")


def _limit_resources(limits: Limits, *, with_device: bool) -> None:
    bounds = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: limits.written_bytes,
        resource.RLIMIT_DATA: limits.memory_bytes,
        resource.RLIMIT_NPROC: limits.processes,
        resource.RLIMIT_NOFILE: 1024,
        # What a library locks for copies to a device is counted by the group for memory, too.
        resource.RLIMIT_MEMLOCK: limits.memory_bytes if with_device else 64 * 2**20,
    }
    if with_device:
        # CUDA reserves addresses for all memory of the machine and of the device.
        bounds[resource.RLIMIT_AS] = resource.RLIM_INFINITY
    for kind, value in bounds.items():
        _, hard = resource.getrlimit(kind)
        bound = (
            hard if value == resource.RLIM_INFINITY else value if hard == resource.RLIM_INFINITY else min(value, hard)
        )
        resource.setrlimit(kind, (bound, bound))
