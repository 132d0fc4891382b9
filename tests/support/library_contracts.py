"""Looking up parts of libraries that are not documented: a test that fails names the library and its version."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import pytest

__all__ = ["Library"]


@dataclass(frozen=True)
class Library:
    """A library, by the name of its distribution."""

    name: str

    def __str__(self) -> str:
        return f"{self.name} {metadata.version(self.name)}"

    def find(self, path: str) -> Any:
        """Return what "module:name.name" leads to, or fail."""
        module, _, names = path.partition(":")
        try:
            value: Any = importlib.import_module(module)
            for name in names.split(".") if names else ():
                value = getattr(value, name)
        except (ImportError, AttributeError) as error:
            pytest.fail(f"{self} has no {path} any more: {error}")
        return value

    def check_parameters(self, path: str, parameters: str) -> None:
        """Fail if a function does not take these parameters, named in order and separated by spaces."""
        found = " ".join(inspect.signature(self.find(path)).parameters)
        assert found == parameters, f"{self} changed the parameters of {path}"

    def check(self, holds: Any, what: str) -> None:
        """Fail if something does not hold any more."""
        assert holds, f"{self}: {what} does not hold any more"
