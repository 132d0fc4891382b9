"""Run the statements of a cell one by one, so that one which raises costs only itself (issue 15).

Jupyter ends a cell with its first exception. Most exceptions in homework come from what stands around the code: a
package that is not installed, a GPU, a plot. The definitions below such a line are right, and are run here as well.

The bodies of `if` statements and of cell magics are run in the same way, and each name of an import on its own. A
`with`, a `try` or a loop stays one statement, because it may handle an exception of its own statements.
"""

from __future__ import annotations

import ast
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from IPython.core.interactiveshell import ExecutionResult

from grader.sandbox.guest.blocks import Block
from grader.sandbox.guest.cell_files import CellFiles
from grader.sandbox.guest.exceptions import classify_exception, describe_exception, find_extent, find_line
from grader.sandbox.guest.internals.ipython import (
    parse_body,
    replace_parser,
    replace_statement_loop,
    run_bodies_of_magics,
    run_without_loop,
)
from grader.sandbox.guest.parsing import Unparsed, parse_statements
from grader.sandbox.protocol.stops import MOST_STOPS, StatementStop, StopKind

__all__ = ["StatementRunner"]

_MOST_FAILURES = 200  # of a cell, which then ends
_MAGICS = ("prun", "time")  # those that run the statements of their body in the notebook
_VALUE = "_ value"  # no notebook can use this name
_ENDINGS = (StopKind.INTERRUPTED, StopKind.FLOODED)


@dataclass
class _Run:
    """A run of one block, with IPython's loop and result for it.

    `error` is what ended it, or else the first exception of its statements that is more than a training left out.
    """

    block: Block
    result: Any
    run_nodes: Callable[..., Awaitable[Any]]
    error: BaseException | None = None
    kind: StopKind | None = None

    @property
    def has_ended(self) -> bool:
        return self.kind in _ENDINGS

    def fail(self, error: BaseException, kind: StopKind) -> None:
        is_first = self.kind is None or (self.kind is StopKind.LEFT_OUT and kind is not StopKind.LEFT_OUT)
        if is_first or (kind in _ENDINGS and not self.has_ended):
            self.error, self.kind = error, kind


class StatementRunner:
    """Runs the cells of one kernel.

    Args:
        shell: IPython's.

    Attributes:
        files: the cells that code stands in.
    """

    def __init__(self, shell: Any) -> None:
        self.files = CellFiles()
        self._shell = shell
        self._runs: list[_Run] = []  # a magic may run a block inside a block
        self._stops: list[StatementStop] = []
        self._failures = 0
        self._unfinished: set[str] = set()  # the names that trainings would have bound which were left out

    def install(self) -> None:
        """Run all cells statement by statement from now on."""
        self._run_stock = replace_statement_loop(self._shell, self._run)
        replace_parser(self._shell, parse_statements)
        run_bodies_of_magics(self._shell, _MAGICS, lambda body: run_without_loop(self._run_body(body)))

    def take_stops(self) -> list[StatementStop]:
        """Return the statements of the last cell that raised, and forget them."""
        stops, self._stops, self._failures = self._stops, [], 0
        return stops

    async def _run(
        self,
        nodes: Sequence[ast.stmt],
        file: str,
        interactivity: str = "last_expr",
        compiler: Any = compile,
        result: Any = None,
    ) -> bool:
        """Take the place of IPython's `run_ast_nodes`."""
        result = result or ExecutionResult(None)
        source = result.info.raw_cell if result.info else ""
        text = (result.info and result.info.transformed_cell) or source
        with self._open(source, text, result, cell_name=file, compiler=compiler) as run:
            await self._run_all(run, nodes, interactivity)
        return run.error is not None

    async def _run_body(self, body: str) -> Any:
        """Run the body of a cell magic, and return the value of its last statement if that is an expression."""
        text, tree = parse_body(self._shell, body)
        value = None
        names = {"cell_name": "<timed exec>", "compiler": self._shell.compile}
        with self._open(body, text, ExecutionResult(None), **names) as run:
            last = tree.body[-1] if tree.body else None
            await self._run_all(run, tree.body[:-1] if isinstance(last, ast.Expr) else tree.body, "none")
            if isinstance(last, ast.Expr) and not run.has_ended:
                value = await self._evaluate(run, last, last.value)
        if run.error is not None and run.has_ended:
            raise run.error
        return value

    @contextmanager
    def _open(self, source: str, text: str, result: Any, **names: Any) -> Iterator[_Run]:
        block = Block(source, text, self._runs[-1].block if self._runs else None)
        run = _Run(block, result, partial(self._run_stock, result=result, **names))
        place = self._shell.kernel.get_parent().get("metadata", {})
        if "cell" in place:
            self.files.add(names["cell_name"], place["cell"], block)
        self._runs.append(run)
        try:
            yield run
        finally:
            self._runs.pop()
            # Of the block of a magic only what ended it is told: %run would leave out the other cells of a notebook.
            result.error_in_exec = run.error if run.has_ended or not self._runs else None

    async def _run_all(self, run: _Run, nodes: Sequence[ast.stmt], interactivity: str) -> None:
        before = "all" if interactivity == "all" else "none"
        for number, node in enumerate(nodes, 1):
            await self._run_parts(run, node, interactivity if number == len(nodes) else before)
            if run.has_ended:
                return

    async def _run_parts(self, run: _Run, node: ast.stmt, interactivity: str) -> None:
        """Run a statement, or the statements that it consists of."""
        if isinstance(node, ast.If):
            test = ast.IfExp(node.test, ast.Constant(True), ast.Constant(False))
            holds = await self._evaluate(run, node, test)
            branch = [] if holds is None else node.body if holds else node.orelse
            await self._run_all(run, branch, "all" if interactivity == "all" else "none")
        elif isinstance(node, ast.Import | ast.ImportFrom) and len(node.names) > 1:
            parts = [_import_only(node, alias) for alias in node.names]
            await self._run_all(run, [ast.copy_location(part, node) for part in parts], "none")
        else:
            await self._run_one(run, node, interactivity)

    async def _evaluate(self, run: _Run, node: ast.stmt, expression: ast.expr) -> Any:
        """Return the value of an expression in a statement, None if it raises."""
        target = ast.Assign([ast.Name(_VALUE, ast.Store())], expression)
        await self._run_one(run, ast.fix_missing_locations(ast.copy_location(target, node)))
        return self._shell.user_ns.pop(_VALUE, None)

    async def _run_one(self, run: _Run, node: ast.stmt, interactivity: str = "none") -> None:
        """Run a statement with IPython's own loop, which shows the traceback if it raises."""
        run.block.running = find_extent(node)
        if isinstance(node, Unparsed):
            self._show(node.error)
            self._note(run, node, node.error)
        elif await run.run_nodes([node], interactivity=interactivity):
            result = run.result
            # IPython sets the first for what cannot be compiled, such as a `return` outside a function.
            error = result.error_before_exec or result.error_in_exec
            result.error_before_exec = result.error_in_exec = None
            if error is not None:
                self._note(run, node, error)

    def _show(self, error: SyntaxError) -> None:
        try:
            raise error from None
        except SyntaxError:
            self._shell.showsyntaxerror()

    def _note(self, run: _Run, node: ast.stmt, error: BaseException) -> None:
        """Note that a statement raised, unless the block that it runs has noted that already."""
        if error is run.error:
            return
        kind, text = self._classify(error, node), describe_exception(error)
        self._failures += 1
        if self._failures == _MOST_FAILURES:
            kind, text = StopKind.FLOODED, f"{text}; {_MOST_FAILURES} statements raised, so the cell was ended"
        first, last = run.block.locate(*run.block.running)
        line = find_line(error, node)
        stop = StatementStop(max(first, min(run.block.locate(line, line)[0], last)), last, kind, text)
        if len(self._stops) < MOST_STOPS:
            self._stops.append(stop)
        elif kind in _ENDINGS:
            self._stops[-1] = stop
        for outer in self._runs:
            outer.fail(error, kind)

    def _classify(self, error: BaseException, node: ast.stmt) -> StopKind:
        kind = classify_exception(error)
        if isinstance(error, NameError) and error.name in self._unfinished:
            kind = StopKind.LEFT_OUT  # it needs what would have come of a training that was left out
        if kind is StopKind.LEFT_OUT:
            stored = (name for name in ast.walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store))
            self._unfinished.update(name.id for name in stored)
        return kind


def _import_only(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> ast.stmt:
    return ast.Import([alias]) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, [alias], node.level)
