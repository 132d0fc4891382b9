"""Judge the mutants of an assignment in processes of their own, which are ended if a mutant loops for ever."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch

from grader.assignment import Assignment, load_assignment
from grader.authoring.mutation.mutants import Mutant, make_mutants
from grader.authoring.mutation.trials import MutantJudge, describe_mutant
from grader.errors import AssignmentError
from grader.judging.loading import load_rubric
from grader.memory_limit import allow_memory
from grader.results.mutation import JudgedMutant, MutationTable

__all__ = ["mutate"]

_SECONDS = 120.0  # for one mutant with all its items, before its process is ended
_STARTING_SECONDS = 60.0  # for a process to import what it needs
_MOST_MEMORY = 4 * 2**30


def mutate(
    assignment: Assignment,
    *,
    only: Collection[str] = (),
    limit: int | None = None,
    held_out: bool = False,
    jobs: int = 2,
    progress: Callable[[str], None] = lambda _: None,
) -> MutationTable:
    """Judge single-point mutants of the model solution and of the alternatives.

    Args:
        assignment: an assignment with a reference.
        only: names of definitions; if there are none, all that decide items are changed.
        limit: how many mutants to judge, as many of each definition and operator as there are.
        held_out: whether a mutant is judged as if the right notebook that it comes from were not known.
        jobs: how many mutants are judged at once.
        progress: called with a few words about the current step.

    Raises:
        AssignmentError: the rubric contradicts itself or has no reference, or there is nothing to change.
    """
    progress("writing mutants")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        mutants = make_mutants(load_rubric(assignment), only, limit)
    if not mutants:
        raise AssignmentError(f"{', '.join(only) or 'the solution'} has no mutants: name a definition that items judge")
    judged: dict[int, JudgedMutant] = {}
    waiting = deque(enumerate(mutants))
    workers = [_Worker(assignment, held_out) for _ in range(min(jobs, len(mutants)))]
    try:
        while len(judged) < len(mutants):
            for worker in workers:
                if worker.current is None and waiting:
                    worker.give(*waiting.popleft())
            for number, result in _collect(workers):
                judged[number] = result
                progress(f"{len(judged)} of {len(mutants)} mutants: {result.judged or 'statements'}")
    finally:
        for worker in workers:
            worker.end()
    return MutationTable(assignment.name, assignment.revision, tuple(judged[number] for number in sorted(judged)))


def _collect(workers: list[_Worker]) -> list[tuple[int, JudgedMutant]]:
    """Wait for results. A worker that has ended or takes too long is started again."""
    ready = wait([worker.connection for worker in workers], timeout=1.0)
    found = []
    for worker in workers:
        if worker.current is None:
            continue
        number, mutant = worker.current
        if worker.connection in ready:
            try:
                found.append((number, worker.connection.recv()))
                worker.current = None
                continue
            except EOFError:
                why = "it ends its process"
        elif time.monotonic() < worker.until:
            continue
        else:
            why = "it does not come to an end"
        found.append((number, replace(describe_mutant(mutant), caught=True, why=why)))
        worker.restart()
    return found


class _Worker:
    """A process that judges one mutant after another."""

    def __init__(self, assignment: Assignment, held_out: bool) -> None:
        self._assignment = assignment
        self._held_out = held_out
        self._start()

    def _start(self) -> None:
        # Spawned, because a fork would lack the threads of torch.
        context = multiprocessing.get_context("spawn")
        self.connection, far_end = context.Pipe()
        self.current: tuple[int, Mutant] | None = None
        self.until = time.monotonic() + _STARTING_SECONDS
        arguments = (far_end, self._assignment.folder, self._assignment.revision, self._held_out)
        self._process = context.Process(target=_serve, args=arguments)
        self._process.start()
        far_end.close()

    def give(self, number: int, mutant: Mutant) -> None:
        """Have a mutant judged."""
        self.current = number, mutant
        self.until = max(self.until, time.monotonic()) + _SECONDS
        with contextlib.suppress(BrokenPipeError):
            self.connection.send(mutant)

    def restart(self) -> None:
        """End the process, and start another."""
        self.end()
        self._start()

    def end(self) -> None:
        """End the process."""
        self.connection.close()
        self._process.kill()
        self._process.join()


def _serve(connection: Connection[JudgedMutant, Mutant], folder: Path, revision: str, held_out: bool) -> None:
    """Judge mutants until there are no more. What they print goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.dup2(nowhere, sys.stderr.fileno())
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    assignment = load_assignment(folder)
    if assignment.revision != revision:
        raise AssignmentError(f"{folder} has changed while its mutants were judged: start again")
    judge: Any = MutantJudge(assignment, held_out=held_out)
    allow_memory(_MOST_MEMORY)
    while True:
        try:
            mutant = connection.recv()
        except EOFError:
            return
        connection.send(judge.judge(mutant))
