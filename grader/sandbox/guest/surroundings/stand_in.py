"""Stand-ins for modules that are missing: they can be imported, and say their name when they are used."""

from __future__ import annotations

from types import ModuleType
from typing import Any, NoReturn

__all__ = ["StandIn", "find_missing_package"]

_KEPT = frozenset({"__version__"})  # read and printed at the top of many notebooks
_USES = (
    *("__call__", "__iter__", "__next__", "__len__", "__contains__", "__await__", "__aiter__", "__anext__"),
    *("__enter__", "__exit__", "__aenter__", "__aexit__", "__instancecheck__", "__subclasscheck__", "__mro_entries__"),
    *("__lt__", "__le__", "__gt__", "__ge__", "__setitem__", "__delitem__", "__int__", "__float__", "__index__"),
    *("__neg__", "__pos__", "__abs__", "__invert__", "__round__"),
    *(f"__{side}{name}__" for name in ("add", "sub", "mul", "matmul", "truediv", "floordiv") for side in ("", "r")),
    *(f"__{side}{name}__" for name in ("mod", "divmod", "pow", "and", "xor", "lshift", "rshift") for side in ("", "r")),
)


class StandIn(ModuleType):
    """Stand in for a missing module, for what is imported from it, and for what that leads to.

    Attributes, items and `|` (in annotations) lead to further stand-ins. Any other use raises.

    Args:
        name: what it stands for, with dots.
        reason: why that is missing: what a use raises.
        package: the missing package, or the missing module of the submission.
    """

    def __init__(self, name: str, reason: str, package: str) -> None:
        super().__init__(name)
        # Not under names that a notebook could mean.
        self.__dict__.update(__reason__=reason, __missing__=package, __all__=[], __path__=[])

    def __getattr__(self, name: str) -> StandIn:
        if name.startswith("_") and name not in _KEPT:
            raise AttributeError(f"{self.__name__} is missing, and so is its {name}")
        return self._derive(f"{self.__name__}.{name}")

    def __getitem__(self, _: object) -> StandIn:
        return self._derive(f"{self.__name__}[...]")

    def __or__(self, _: object) -> StandIn:
        return self

    __ror__ = __or__

    def __repr__(self) -> str:
        return f"<{self.__name__} is not here>"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return True

    def __hash__(self) -> int:
        return id(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return StandIn, (self.__name__, self.__dict__["__reason__"], self.__dict__["__missing__"])

    def _derive(self, name: str) -> StandIn:
        return StandIn(name[:200], self.__dict__["__reason__"], self.__dict__["__missing__"])


def find_missing_package(value: Any) -> str | None:
    """Return the package or module that a stand-in stands for, or None if the value is no stand-in."""
    return str(value.__dict__["__missing__"]) if type(value) is StandIn else None


def _refuse(self: StandIn, *_: Any, **__: Any) -> NoReturn:
    raise ModuleNotFoundError(self.__dict__["__reason__"], name=self.__dict__["__missing__"])


for _name in _USES:
    setattr(StandIn, _name, _refuse)
