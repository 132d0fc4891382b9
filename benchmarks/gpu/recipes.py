"""The trusted trainer on this GPU: the recipes of `full` with learning curves, and whether a seed gives one result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from benchmarks.gpu.recipe_trainer import RecipeTrainer
from benchmarks.gpu.rows import CheckRow, RowOutcome, attempt
from benchmarks.gpu.settings import CheckSettings
from grader.assignment import find_assignment
from grader.models.recipe import Mode, Recipe

__all__ = ["run"]

_SHORT_IMAGES, _SHORT_EPOCHS = 12_800, 1  # of the trainings that are compared
_TINY_IMAGES = 256
_SECONDS_TO_START = 8.0  # of a process that trains


def run(settings: CheckSettings) -> Iterator[CheckRow]:
    """Train each item's model once, short ones twice, and all at once."""
    trains = RecipeTrainer.open(settings)
    items = {item.id: item.recipes[Mode.FULL] for item in find_assignment("hw2").trained}
    recipes = {name: _shrink(recipe) if settings.rehearse else recipe for name, recipe in items.items()}
    short = {name: _shorten(recipe) for name, recipe in recipes.items()}
    speeds: dict[str, float] = {}
    for name, recipe in short.items():
        yield attempt(f"{name}, short, twice", partial(_train_twice, trains, name, recipe, speeds))
    yield attempt("all short ones at once", partial(_train_together, trains, short))
    fastest_first = sorted(recipes, key=lambda name: -speeds.get(name, 0))
    for number, name in enumerate(fastest_first):
        seconds = settings.seconds_left() / (len(recipes) - number)
        fitting = _fit_into(recipes[name], speeds.get(name), seconds - _SECONDS_TO_START)
        yield attempt(f"{name}, as in the rubric", partial(_train_once, trains, name, recipes[name], fitting))


def _train_once(trains: RecipeTrainer, name: str, recipe: Recipe, fitting: Recipe) -> CheckRow:
    """Train with `fitting`, which is the recipe itself or, if time is short, fewer epochs of it."""
    trained = trains.train({name: fitting}, kept=True)[name]
    result, seconds = trained.result, trained.seconds
    images = fitting.images * fitting.epochs
    fewer = "" if fitting == recipe else f", only {fitting.epochs} of {recipe.epochs} epochs for lack of time"
    speed = f"{seconds:.1f} s, {images / seconds:,.0f} images/s"
    detail = f"accuracy {result.accuracy:.3f} (threshold {recipe.threshold:g}) in {speed}"
    comparable = fitting == recipe and recipe.images != _TINY_IMAGES
    good = result.finite and (result.accuracy >= recipe.threshold or not comparable)
    kept = {
        "recipe": str(fitting),
        "accuracy": result.accuracy,
        "training_seconds": seconds,
        "curve": [[point.epoch, point.loss, point.accuracy] for point in result.points],
    }
    return CheckRow("", RowOutcome.OK if good else RowOutcome.WRONG, detail + fewer, data=kept)


def _train_twice(trains: RecipeTrainer, name: str, recipe: Recipe, speeds: dict[str, float]) -> CheckRow:
    """Train twice with one seed, compare, and note the images a second."""
    first, second = (trains.train({name: recipe})[name] for _ in range(2))
    speeds[name] = recipe.images * recipe.epochs / min(first.seconds, second.seconds)
    same = first.result == second.result
    accuracies = f"accuracies {first.result.accuracy} and {second.result.accuracy}"
    words = "the same result, curve included" if same else accuracies
    outcome = RowOutcome.OK if same else RowOutcome.WRONG
    return CheckRow("", outcome, f"{words}; {first.seconds:.1f} and {second.seconds:.1f} s")


def _fit_into(recipe: Recipe, speed: float | None, seconds: float) -> Recipe:
    """Return as many epochs of a recipe as this time allows; at least one."""
    if speed is None:
        return replace(recipe, epochs=1)
    return replace(recipe, epochs=max(1, min(recipe.epochs, int(seconds * speed / recipe.images))))


def _train_together(trains: RecipeTrainer, recipes: dict[str, Recipe]) -> CheckRow:
    results = trains.train(recipes)
    reached = ", ".join(f"{name} {trained.result.accuracy:.3f}" for name, trained in results.items())
    seconds = max(trained.seconds for trained in results.values())
    return CheckRow("", detail=f"{seconds:.1f} s: {reached}")


def _shrink(recipe: Recipe) -> Recipe:
    """Return a recipe that a CPU trains in a second."""
    return replace(recipe, images=_TINY_IMAGES, epochs=1, side=min(recipe.side, 32), judged=64)


def _shorten(recipe: Recipe) -> Recipe:
    return replace(recipe, images=min(recipe.images, _SHORT_IMAGES), epochs=_SHORT_EPOCHS)
