"""The accuracy of right and wrong trainings under the recipes of HW2, and the cost of a class.

    python -m benchmarks.trainings [--seeds 20] [--items lenet.training,vgg.training]

Prints, for each training item, the distribution of the accuracy over the seeds: of the textbook's model, and of
trainings that are wrong in one way, in the model (it goes through the graph as a student's would) or in the loop
(labels that are not the images', a learning rate a hundred times off, gradients that are never cleared). No test
depends on these figures; `grader calibrate` sets the thresholds.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

import reference
from grader.assignment import find_assignment
from grader.models.fit import fit, predict
from grader.models.recipe import Mode, Recipe
from grader.training.cache import TrainingJob
from grader.training.datasets import find_data_set
from grader.training.departures import make_graph
from grader.training.graph import Graph, Node
from grader.training.graph_reader import resize
from grader.training.network import Network
from grader.training.trainer import Trainer, offer_trainer

NARROW = ((1, 16), (1, 32), (2, 64), (2, 128), (2, 128))
MODELS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "lenet.training": (reference.LeNet, 28),
    "vgg.training": (partial(reference.VGG, NARROW), 224),
    "resnet18.training": (reference.ResNet18, 96),
}
WRONG_LOOPS = ("random labels", "all frozen but the last layer", "gradients never cleared")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--items", default=",".join(MODELS))
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {arguments.seeds} seeds, one thread")
    print(f"{'item':20}{'training':38}{'lowest':>8}{'mean':>8}{'sd':>8}{'highest':>9}{'reached':>9}")
    with ProcessPoolExecutor(2) as processes, offer_trainer(Mode.QUICK) as trainer:
        assert trainer is not None, "no Fashion-MNIST on this machine: sudo apt-get install dataset-fashion-mnist"
        for item in find_assignment("hw2").trained:
            if item.id not in arguments.items.split(","):
                continue
            recipe = item.recipes[Mode.QUICK]
            for name, graph, changed in models(item.id, recipe):
                found = as_the_grader_does(trainer, graph, changed, arguments.seeds)
                print(row(item.id, name, recipe, found), flush=True)
            right = textbook(item.id, recipe).to_json()
            for way in WRONG_LOOPS:
                found = list(processes.map(partial(wrongly, right, recipe, way), range(arguments.seeds)))
                print(row(item.id, f"wrong: {way}", recipe, found), flush=True)


def textbook(item: str, recipe: Recipe) -> Graph:
    """Return the textbook's model."""
    make, side = MODELS[item]
    return resize(make_graph(make, (1, side, side)), recipe.side)


def models(item: str, recipe: Recipe) -> Iterator[tuple[str, Graph, Recipe]]:
    """Yield names, models and recipes of right trainings, and of trainings with a wrong model or learning rate."""
    right = textbook(item, recipe)
    yield "right", right, recipe
    if item == "lenet.training":
        yield "right, with ReLU and max-pooling", relu_and_max(right), recipe
    yield "wrong: softmax before the loss", with_softmax(right), recipe
    yield "wrong: learning rate / 100", right, replace(recipe, lr=recipe.lr / 100)
    yield "wrong: learning rate * 100", right, replace(recipe, lr=recipe.lr * 100)


def relu_and_max(graph: Graph) -> Graph:
    """Return LeNet with the activation and pooling that students often use."""

    def model() -> nn.Module:
        made = reference.LeNet()
        for layers in (made.features, made.classifier):
            for number, layer in enumerate(layers):
                if isinstance(layer, nn.Sigmoid):
                    layers[number] = nn.ReLU()
                elif isinstance(layer, nn.AvgPool2d):
                    layers[number] = nn.MaxPool2d(2, 2)
        return made

    return make_graph(model, graph.image)


def with_softmax(graph: Graph) -> Graph:
    """Return a model that ends with a softmax, so that the cross-entropy takes a second one."""
    softmax = Node("softmax", (len(graph.nodes) - 1,), settings=(("dim", 1),))
    return replace(graph, nodes=(*graph.nodes, softmax))


def as_the_grader_does(trainer: Trainer, graph: Graph, recipe: Recipe, seeds: int) -> list[float]:
    """Return the accuracies of trainings as the grader runs and caches them."""
    every = replace(recipe, threshold=0.0)
    runs = trainer.train({str(seed): [TrainingJob(graph, every, seed)] for seed in range(seeds)})
    return [runs[str(seed)][0].accuracy for seed in range(seeds)]


def wrongly(graph: str, recipe: Recipe, way: str, seed: int) -> float:
    """Train with a wrong loop and return the accuracy on withheld images."""
    torch.set_num_threads(1)
    data = find_data_set()
    assert data is not None
    network = Network(Graph.from_json(graph))
    network.initialise(seed)
    labels = data.train_labels
    if way == "random labels":
        labels = torch.randint(0, 10, labels.shape, generator=torch.Generator().manual_seed(seed))
    elif way == "all frozen but the last layer":
        for weight in list(network.weights)[:-2]:
            weight.requires_grad_(False)
    elif way == "gradients never cleared":
        for weight in network.weights:
            weight.register_hook(adding_to(torch.zeros_like(weight)))
    fit(network, data.train_images, labels, recipe, seed)
    answers = predict(network, data.withheld_images[: recipe.judged], recipe.side)
    return float((answers == data.withheld_labels[: recipe.judged]).double().mean())


def adding_to(total: Tensor) -> Callable[[Tensor], Tensor]:
    """Return a hook that adds all earlier gradients to each, as a loop without zero_grad does."""
    return lambda gradient: total.add_(gradient).clone()


def row(item: str, name: str, recipe: Recipe, found: list[float]) -> str:
    """Return a line of the table."""
    spread = statistics.stdev(found) if len(found) > 1 else 0.0
    reached = sum(accuracy >= recipe.threshold for accuracy in found)
    numbers = f"{min(found):8.3f}{statistics.fmean(found):8.3f}{spread:8.3f}{max(found):9.3f}"
    return f"{item:20}{name:38}{numbers}{reached:>6}/{len(found):<2}"


if __name__ == "__main__":
    main()
