"""What a service is told by its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from grader.errors import InputError

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """Where a service keeps things, and its bounds; each field is read from GRADER_<NAME>.

    Attributes:
        database: SQLAlchemy's URL of SQLite or PostgreSQL (`postgresql+psycopg://...`).
        blobs: fsspec's URL of the folder of notebooks and reports (`file:///...`, `s3://bucket/prefix`).
        broker: Celery's URL of Redis; losing it loses nothing.
        assignments: names of, or paths to, the assignments offered, separated by commas.
        lease_seconds: for how long a worker has a stage without renewing its claim.
        republish_seconds: after how long a message that nobody took up is sent again, and a fault of ours tried again.
        attempts: of a stage, after which it is a system error.
        share: how many gradings of one submitter are published at once; at least twice the number of worker processes.
        upload_bytes: of one request's body.
        requests_per_minute: for each token.
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
            InputError: a variable is no number, or a number that makes no sense.
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
