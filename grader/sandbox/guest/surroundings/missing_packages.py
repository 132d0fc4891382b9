"""Let a notebook import what is missing, and fail only where it is used.

`__import__` is replaced, and no finder added: nothing enters `sys.modules`, so code that asks whether a package is
there (`importlib.util.find_spec`, `try: import x except ImportError`, packages with optional parts) gets true answers.
"""

from __future__ import annotations

import builtins
import dis
import importlib.util
import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from grader.sandbox.guest.internals.replacement import replace_attribute
from grader.sandbox.guest.own_modules import lies_among_packages
from grader.sandbox.guest.surroundings.stand_in import StandIn
from grader.sandbox.guest.surroundings.students_code import is_handled, is_students

__all__ = ["find_missing", "offer_stand_ins"]

# Packages that notebooks about deep learning import: a missing module of this name is no file of the student's.
_KNOWN = frozenset(
    (
        *("accelerate", "albumentations", "bokeh", "captum", "catboost", "comet_ml", "cupy", "datasets", "deepspeed"),
        *("diffusers", "dgl", "evaluate", "fastai", "flax", "fvcore", "gdown", "gensim", "gradio", "gym", "gymnasium"),
        *("huggingface_hub", "ignite", "imblearn", "ipympl", "jax", "jaxtyping", "kaggle", "keras", "kornia"),
        *("lightgbm", "lightning", "mlflow", "mmcv", "monai", "moviepy", "mxnet", "nltk", "numba", "onnx"),
        *("onnxruntime", "openai", "opacus", "optuna", "peft", "pycocotools", "pytorch_lightning", "ray"),
        *("sentencepiece", "shap", "skimage", "skorch", "spacy", "statsmodels", "streamlit", "tensorflow"),
        *("tensorflow_datasets", "tensorflow_hub", "tf_keras", "thop", "tiktoken", "timm", "tokenizers", "torchaudio"),
        *("torchdata", "torch_geometric", "torchtext", "transformers", "triton", "ultralytics", "umap", "visdom"),
        *("wandb", "watermark", "xgboost", "GPUtil", "cudf", "humanize", "line_profiler", "memory_profiler"),
        *("nb_black", "pkg_resources", "prettytable", "pydot", "pynvml", "tabulate"),
        # The extra `colab`, and what it comes with.
        *("cv2", "d2l", "einops", "imageio", "ipywidgets", "koreanize_matplotlib", "matplotlib", "pandas", "PIL"),
        *("plotly", "scipy", "seaborn", "sklearn", "tensorboard", "torchinfo", "torchmetrics", "torchsummary"),
        *("torchvision", "torchviz", "tqdm"),
    )
)
_IMPORT_NAME = dis.opmap["IMPORT_NAME"]

Notify = Callable[[str, str, str], None]


def offer_stand_ins(notify: Notify) -> None:
    """Give the student's code a stand-in for each module that is missing.

    Args:
        notify: takes a notice, its kind and its subject, once for each package.
    """
    stock = builtins.__import__
    named: set[str] = set()

    def import_or_stand_in(
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Any = (),
        level: int = 0,
    ) -> Any:
        __tracebackhide__ = True  # from IPython's tracebacks
        try:
            return stock(name, globals, locals, fromlist, level)
        except ModuleNotFoundError as error:
            package = find_missing(error.name or "") if _fails_by_itself(sys._getframe(1)) else None
            if package is None:
                raise
        if package not in named:
            named.add(package)
            notify(_describe_missing(package), "missing package", package)
        # `import a.b` binds a, `from a.b import c` and `import a.b as c` need a.b or find it from a.
        return StandIn(name if fromlist else name.partition(".")[0], _explain_use(package), package)

    replace_attribute(builtins, "__import__", import_or_stand_in)


def find_missing(module: str) -> str | None:
    """Return the name of what has to be there for a module: a package, or a file of the submission.

    None if it belongs to an installed package, whose spelling or version it is a matter of.
    """
    top, _, rest = module.partition(".")
    try:
        spec = importlib.util.find_spec(top) if top else None
    except (ImportError, ValueError):  # a module that was made by hand has no spec
        return None
    if spec is None:
        return top or None
    if spec.origin is None and rest:  # a folder that packages share, as google, or a folder of the student's
        return f"{top}.{rest.partition('.')[0]}"
    return None if lies_among_packages(spec.origin or "<frozen ") else module


def _describe_missing(package: str) -> str:
    """Return the notice on a missing package or module, by its name."""
    if _is_known(package):
        return f"{package} is not installed here: code that uses it does not run"
    return (
        f"`{package}` is neither a package that is installed here nor a file of this submission, so code that uses it "
        f"does not run; if it is your own, hand in {_make_path(package)} beside the notebook"
    )


def _explain_use(package: str) -> str:
    """Return what the use of something from a missing package raises."""
    own = "" if _is_known(package) else f", and {_make_path(package)} is not in this submission"
    return f"{package} is not installed in this grader{own}"


def _is_known(package: str) -> bool:
    """Return whether a missing module is certainly no file of the student's."""
    return package in _KNOWN or package.startswith("google.")


def _make_path(module: str) -> str:
    return f"{module.replace('.', '/')}.py"


def _fails_by_itself(frame: FrameType) -> bool:
    """Return whether a frame executes an import statement of the student's that does not handle its failure."""
    is_statement = frame.f_code.co_code[frame.f_lasti] == _IMPORT_NAME
    return is_statement and is_students(frame) and not is_handled(frame, ModuleNotFoundError)
