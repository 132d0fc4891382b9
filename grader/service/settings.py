"""Settings of the service, read from environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from grader.errors import InputError

__all__ = ["Settings"]


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
        share: how many jobs of one submitter may be enqueued or running at once; at least twice the number of worker
            processes.
        upload_bytes: the largest request body.
        requests_per_minute: the rate limit of each token.
    """

    database: str = "sqlite:///grader.sqlite"
    blobs: str = "file://grader-blobs"
    broker: str = "redis://127.0.0.1:6379/0"
    assignments: str = "hw2"
    lease_seconds: float = 60.0
    republish_seconds: float = 120.0
    attempts: int = 3
    share: int = 16
    upload_bytes: int = 256 * 2**20
    requests_per_minute: int = 600

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings.

        Raises:
            InputError: a variable is not a number, or not a number above 0.
        """
        values: dict[str, Any] = {}
        for field in fields(cls):
            name = f"GRADER_{field.name.upper()}"
            if (text := variables.get(name, "")) == "":
                continue
            kind: Any = type(field.default)
            try:
                values[field.name] = kind(text)
            except ValueError:
                raise InputError(f"{name} is {text!r}: give a number") from None
            if kind is not str and values[field.name] <= 0:
                raise InputError(f"{name} is {text}: give a number above 0")
        return cls(**values)
