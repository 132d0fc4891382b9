"""Environments of the other graders, each with the versions that it needs: `python -m benchmarks.peers.environments`.

torch, torchvision and d2l take 5.5 GB and are the same for all, so they are not installed again: a path file adds the
packages of the current environment after the peer's own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

__all__ = ["NBGRADER", "OTTER", "Environment"]


@dataclass(frozen=True)
class Environment:
    """A virtual environment of one package in one version."""

    package: str
    version: str

    @property
    def folder(self) -> Path:
        """The environment's folder, which may not exist yet."""
        caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(caches, "notebook-grader-bench", f"{self.package}-{self.version}")

    def command(self, program: str, *arguments: str) -> list[str]:
        """Return a command that runs a program of this environment, which is created if it is missing."""
        done = self.folder / ".done"
        if not done.exists():
            self._make()
            done.touch()
        programs = self.folder / "bin"
        return ["env", f"PATH={programs}:{os.environ.get('PATH', os.defpath)}", str(programs / program), *arguments]

    def versions(self, packages: list[str]) -> dict[str, str]:
        """Return the versions of packages in this environment."""
        script = "import sys, importlib.metadata as m\nfor name in sys.argv[1:]: print(name, m.version(name))"
        command = self.command("python", "-c", script, *packages)
        found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return dict(line.split() for line in found.splitlines())

    def _make(self) -> None:
        print(f"installing {self.package} {self.version} in {self.folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", self.folder], check=True)
        pip = [str(self.folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        installed = subprocess.run(
            [*pip, f"{self.package}=={self.version}", "ipykernel"], capture_output=True, text=True
        )
        if installed.returncode:
            raise RuntimeError(f"{self.package} {self.version} cannot be installed:\n{installed.stderr}")
        own = Path(sysconfig.get_path("purelib", vars={"base": str(self.folder), "platbase": str(self.folder)}))
        (own / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")


OTTER = Environment("otter-grader", "7.0.0")
NBGRADER = Environment("nbgrader", "0.9.6")

if __name__ == "__main__":
    for environment in (OTTER, NBGRADER):
        print(environment.versions([environment.package, "torch", "nbclient"]))
