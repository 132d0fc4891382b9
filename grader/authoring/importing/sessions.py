"""Turn an interpreter session into statements that compare the output of each example."""

from __future__ import annotations

import ast
import doctest

__all__ = ["SHOW", "translate_session"]

SHOW = "show"  # the function that receives the value of each example


def translate_session(session: str) -> list[ast.stmt]:
    """Return statements that run a session's examples, each in `with Shown(...)` if it shows something.

    Raises:
        SyntaxError, ValueError: it is not a session.
    """
    return [
        statement
        for example in doctest.DocTestParser().get_examples(session)
        for statement in _translate_example(example)
    ]


def _translate_example(example: doctest.Example) -> list[ast.stmt]:
    body = ast.parse(example.source).body
    if any(isinstance(node, ast.Name) and node.id == SHOW for statement in body for node in ast.walk(statement)):
        raise ValueError(f"it uses the name {SHOW!r}")
    shown = [_ShowCalls().visit(statement) for statement in body]
    nodes = (node for statement in shown for node in ast.walk(statement))
    shows = any(isinstance(node, ast.Name) and node.id in (SHOW, "print") for node in nodes)
    if not (example.want or example.exc_msg or shows):
        return body
    options = [name for name, flag in doctest.OPTIONFLAGS_BY_NAME.items() if example.options.get(flag)]
    if "SKIP" in options:
        return []
    expected = "" if example.exc_msg else example.want.rstrip("\n")
    arguments: list[ast.expr] = [ast.Constant(text) for text in (expected, *options)]
    raises = [ast.keyword("raises", ast.Constant(example.exc_msg.rstrip("\n")))] if example.exc_msg else []
    context = ast.withitem(ast.Call(ast.Name("Shown", ast.Load()), arguments, raises), ast.Name(SHOW, ast.Store()))
    return [ast.fix_missing_locations(ast.With([context], shown))]


class _ShowCalls(ast.NodeTransformer):
    """Pass the value of each expression statement to `show`, as an interpreter echoes it."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return ast.Expr(ast.Call(ast.Name(SHOW, ast.Load()), [node.value], []))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node
