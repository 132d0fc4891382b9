"""Colab's own modules. What homework uses does nothing; everything else of google.colab can be imported."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from typing import Any

__all__ = ["offer_colab"]

_COLAB = "google.colab."


class _ColabModule(types.ModuleType):
    """A module of Colab. What is not listed here is a function that does nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"{self.__name__} has no {name} here")
        return _do_nothing


class _ColabFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds every other part of google.colab."""

    def find_spec(self, name: str, _path: Any, _target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a part of google.colab. All other finders have been asked before."""
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if name.startswith(_COLAB) else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """Return a module in which everything does nothing."""
        return _ColabModule(spec.name)

    def exec_module(self, _module: types.ModuleType) -> None:
        """Do nothing."""


def offer_colab() -> None:
    """Put google.colab where `import` finds it, beside an installed google.protobuf."""
    try:
        google: Any = importlib.import_module("google")
    except ImportError:
        google = sys.modules.setdefault("google", types.ModuleType("google"))
        google.__path__ = []
    parts: dict[str, dict[str, Any]] = {
        "": {"__path__": []},
        "drive": {"mount": lambda *_, **__: print("no Drive is mounted while this is graded")},
        "files": {"upload": lambda *_, **__: {}, "upload_file": lambda *_, **__: ""},
        "output": {"eval_js": lambda *_, **__: "", "no_vertical_scroll": _do_nothing},
        "userdata": {"get": lambda *_, **__: "", "SecretNotFoundError": KeyError, "NotebookAccessError": KeyError},
        "patches": {"cv2_imshow": _show_image},
        "auth": {},
        "data_table": {},
        "runtime": {},
        "snippets": {},
        "widgets": {},
    }
    modules = {name: _ColabModule(f"{_COLAB}{name}".rstrip(".")) for name in parts}
    for name, module in modules.items():
        vars(module).update(parts[name])
        sys.modules[module.__name__] = module
    vars(modules[""]).update({name: module for name, module in modules.items() if name})
    google.colab = modules[""]
    sys.meta_path.append(_ColabFinder())


def _do_nothing(*_: Any, **__: Any) -> None:
    """Do nothing, for any arguments."""


def _show_image(image: Any) -> None:
    """Show an image of OpenCV, whose channels are blue, green and red."""
    from IPython.display import display
    from PIL import Image

    if getattr(image, "ndim", 0) == 3 and image.shape[2] >= 3:
        image = image[..., [2, 1, 0, *range(3, image.shape[2])]]
    display(Image.fromarray(image.clip(0, 255).astype("uint8")))
