"""Time the book's training cells on torch's own data path and on ours, and compare the weights.

    python -m benchmarks.training_cells [LeNet ResNet-18 VGG-11] [--steps 300]

Each cell runs in a fresh kernel under nbclient: d2l.Trainer with its 4 workers and its drawing against the same with
the data path of `--training full` underneath. Both have the same cores and threads. Prints wall and CPU seconds a step
(workers, validation and drawing included), their ratios, and whether all weights are the same, bit for bit.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from grader.training.datasets import find_data_set, make_shown_folder

ROOT = Path(__file__).parents[1]
BATCH = 128


@dataclass(frozen=True)
class BookTraining:
    """A training cell of the book: its network, the learning rate, the images' side, and the number of timed steps."""

    net: str
    lr: float
    side: int
    steps: int


TRAININGS = {
    "LeNet": BookTraining("LeNet()", 0.1, 28, 300),  # section 7.6.2
    "ResNet-18": BookTraining("ResNet18()", 0.01, 96, 6),  # section 8.6.4
    "VGG-11": BookTraining("VGG(((1, 16), (1, 32), (2, 64), (2, 128), (2, 128)))", 0.01, 224, 3),  # section 8.2.3
}
FAST = """
from grader.models.recipe import Mode
from grader.sandbox.guest import drawing
from grader.sandbox.guest.trainings import left_out, loading
loading.install_fast_loading(get_ipython(), Mode.FULL, left_out.LeftOutTrainings(Mode.FULL))
drawing.defer_drawing(get_ipython())
"""
# The book's cells with fewer images and one epoch; validated on a sixth as many, which is the book's share.
PREPARE = """
import hashlib, resource, sys, time, torch
from d2l import torch as d2l
sys.path.insert(0, {root!r})
from reference.lenet import LeNet
from reference.resnet import ResNet18
from reference.vgg import VGG
{fast}
class Model(d2l.Classifier):
    def __init__(self, net, lr):
        super().__init__()
        self.save_hyperparameters()
torch.manual_seed(0)
data = d2l.FashionMNIST(batch_size={batch}, resize=({side}, {side}))
for part, number in ((data.train, {images}), (data.val, {images} // 6)):
    part.data, part.targets = part.data[:number], part.targets[:number]
model = Model({net}, lr={lr})
model.apply_init([next(iter(data.get_dataloader(True)))[0]], d2l.init_cnn)
trainer = d2l.Trainer(max_epochs=1)
def cpu_seconds():
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
started = time.perf_counter(), cpu_seconds()
"""
FIT = "trainer.fit(model, data)"
TELL = """
wall, cpu = time.perf_counter() - started[0], cpu_seconds() - started[1]
digest = hashlib.sha256(b"".join(value.numpy().tobytes() for value in model.state_dict().values()))
print(wall / trainer.train_batch_idx, cpu / trainer.train_batch_idx, digest.hexdigest())
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(TRAININGS), help=f"of {', '.join(TRAININGS)}; default: all")
    parser.add_argument("--steps", type=int, help="how many steps; default: hundreds of LeNet, few of the others")
    arguments = parser.parse_args()
    found = find_data_set()
    if found is None:
        parser.error("Fashion-MNIST is not on this machine: `grader data fetch` gets it")
    print(f"{len(os.sched_getaffinity(0))} cores; seconds a step of {BATCH} images: torch's path, ours, ratio")
    print(f"{'cell':12}{'steps':>6}{'wall':>9}{'':9}{'':7}{'CPU':>9}{'':9}{'':7}  weights")
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "data", "FashionMNIST", "raw")
        raw.parent.mkdir(parents=True)
        raw.symlink_to(make_shown_folder(found))
        for name in arguments.names:
            training = TRAININGS[name]
            steps = arguments.steps or training.steps
            *stock, expected = timed(training, steps, Path(folder), fast=False)
            *ours, digest = timed(training, steps, Path(folder), fast=True)
            columns = [f"{a:9.4f}{b:9.4f}{a / b:7.2f}" for a, b in zip(stock, ours, strict=True)]
            same = "the same, bit for bit" if digest == expected else "DIFFERENT"
            print(f"{name:12}{steps:6}{''.join(columns)}  {same}", flush=True)


def timed(training: BookTraining, steps: int, folder: Path, *, fast: bool) -> tuple[float, float, str]:
    """Run a training in a kernel beside `folder`/data; return wall and CPU seconds a step and the weights' digest."""
    prepare = PREPARE.format(
        root=str(ROOT), fast=FAST if fast else "", net=training.net, lr=training.lr, side=training.side,
        batch=BATCH, images=steps * BATCH,
    )  # fmt: skip
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in (prepare, FIT, TELL)])
    work = folder / "work"
    work.mkdir(exist_ok=True)
    options = {"resources": {"metadata": {"path": str(work)}}, "extra_arguments": ["--log-level=ERROR"]}
    NotebookClient(notebook, timeout=None, kernel_name="python3", **options).execute()
    printed = next(output["text"] for output in notebook.cells[-1].outputs if output["output_type"] == "stream")
    wall, cpu, digest = printed.split()
    return float(wall), float(cpu), digest


if __name__ == "__main__":
    main()
