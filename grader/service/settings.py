"""Settings of the service, read from environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from grader.errors import InputError

__all__ = ["Settings"]

_SWITCHES = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True)
class Settings:
    """Where the service stores its data, and its limits. Each field is read from the variable GRADER_<NAME>.

    Attributes:
        database: SQLAlchemy URL of SQLite or PostgreSQL (`postgresql+psycopg://...`).
        blobs: fsspec URL of the folder for notebooks and reports (`file:///...`, `s3://bucket/prefix`).
        broker: Celery URL of Redis. Losing what is in Redis loses no work.
        assignments: names or paths of the assignments on offer, separated by commas.
        lease_seconds: how long a worker holds a stage before it has to renew its lease.
        republish_seconds: how long to wait before a message that no worker picked up is sent again, and before a job
            is retried after a system fault.
        attempts: how many attempts a stage gets before it ends as a system error.
        device_faults: how many GPUs may fail over a stage before it ends as a system error.
        share: how many jobs of one submitter may be enqueued or running at once; at least twice the number of worker
            processes.
        upload_bytes: the largest request body.
        requests_per_minute: the rate limit of each token.
        key_file: the file of the installation key for all workers; empty for a key in the database. It is made if it is
            missing.
        lend_gpu: 1 for workers to let cells use their GPU if the assignment says so, 0 for trainings of ours alone.
        unsafe: 1 for workers to grade without layers of the sandbox that strangers' work needs, else 0.
    """

    database: str = "sqlite:///grader.sqlite"
    blobs: str = "file://grader-blobs"
    broker: str = "redis://127.0.0.1:6379/0"
    assignments: str = "hw2"
    lease_seconds: float = 60.0
    republish_seconds: float = 120.0
    attempts: int = 3
    device_faults: int = 3
    share: int = 16
    upload_bytes: int = 256 * 2**20
    requests_per_minute: int = 600
    key_file: str = ""
    lend_gpu: bool = True
    unsafe: bool = False

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings.

        Raises:
            InputError: a variable is not a number above 0, or not the 0 or 1 of a switch.
        """
        values: dict[str, Any] = {}
        for field in fields(cls):
            name = f"GRADER_{field.name.upper()}"
            if (text := variables.get(name, "")) == "":
                continue
            kind: Any = type(field.default)
            if kind is bool:
                values[field.name] = _read_switch(name, text)
                continue
            try:
                values[field.name] = kind(text)
            except ValueError:
                raise InputError(f"{name} is {text!r}: give a number") from None
            if kind is not str and values[field.name] <= 0:
                raise InputError(f"{name} is {text}: give a number above 0")
        return cls(**values)


def _read_switch(name: str, text: str) -> bool:
    if text.lower() not in _SWITCHES:
        raise InputError(f"{name} is {text!r}: give 1 for yes or 0 for no")
    return _SWITCHES[text.lower()]
