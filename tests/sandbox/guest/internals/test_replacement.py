"""Replacing what is not there is an error."""

from __future__ import annotations

import types

import pytest

from grader.sandbox.guest.internals.ipython import set_option
from grader.sandbox.guest.internals.replacement import call_after_init, overriding, replace_attribute


class Owner:
    def __init__(self, size: int = 1) -> None:
        self.size = size

    def method(self) -> int:
        return self.size


def test_an_attribute_is_replaced_and_its_former_value_returned() -> None:
    owner = Owner()
    assert replace_attribute(owner, "size", 5) == 1
    assert owner.method() == 5


@pytest.mark.parametrize(
    ("owner", "name"),
    [(Owner(), f"{Owner.__module__}.Owner"), (Owner, f"{Owner.__module__}.Owner"), (types, "types")],
)
def test_replacing_an_attribute_that_is_missing_is_an_error(owner: object, name: str) -> None:
    with pytest.raises(AttributeError, match=f"cannot replace 'gone': {name} does not have it"):
        replace_attribute(owner, "gone", 1)
    assert not hasattr(owner, "gone")


def test_a_class_says_what_it_overrides() -> None:
    @overriding("method")
    class Own(Owner):
        def method(self) -> int:
            return 2

    assert Own().method() == 2


def test_overriding_a_method_that_is_missing_is_an_error() -> None:
    class Own(Owner):
        def gone(self) -> None: ...

    with pytest.raises(AttributeError, match=r"Own overrides 'gone', and .*Owner does not have it"):
        overriding("gone")(Own)
    with pytest.raises(AttributeError, match="Own does not override 'method'"):
        overriding("method")(Own)


def test_an_option_that_is_missing_is_an_error() -> None:
    from IPython.core.history import HistoryManager
    from traitlets.config import Config

    config = Config()
    set_option(config, HistoryManager, "enabled", False)
    assert config.HistoryManager.enabled is False
    with pytest.raises(AttributeError, match="HistoryManager has no option 'gone'"):
        set_option(config, HistoryManager, "gone", 1)


def test_new_objects_are_noticed_once_they_are_initialised() -> None:
    class Own(Owner):
        pass

    sizes: list[int] = []
    call_after_init(Own, lambda made: sizes.append(made.size))
    Own(3)
    assert sizes == [3]
