"""What Docker's own program makes of a compose file, without an engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT

__all__ = ["Services", "configure"]

Services = Mapping[str, Any]
_COMPOSE = Path(sys.executable).parent / "docker-compose"


def configure(file: str, settings: str, *profiles: str) -> Services:
    """Return the services of a compose file in the root of this repository.

    Args:
        file: its name.
        settings: the text of `.env`.
        profiles: the profiles to start.

    Raises:
        ValueError: compose refuses them. The message is its own.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".env") as env:
        env.write(settings)
        env.flush()
        command = [str(_COMPOSE), "--file", file, "--env-file", env.name]
        command += [part for profile in profiles for part in ("--profile", profile)]
        done = subprocess.run(
            [*command, "config", "--format", "json"],
            cwd=ROOT,
            env={"PATH": os.defpath, "HOME": "/nonexistent"},
            capture_output=True,
            check=False,
        )
    if done.returncode:
        raise ValueError(done.stderr.decode())
    services: Services = json.loads(done.stdout)["services"]
    return services
