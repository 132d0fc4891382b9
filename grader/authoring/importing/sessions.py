"""Turns an interpreter's session into statements that compare what each example shows."""

from __future__ import annotations

import ast
import doctest

__all__ = ["SHOW", "translate_session"]

SHOW = "show"  # what an example's value is given to


def translate_session(session: str) -> list[ast.stmt]:
    """Return the statements that run a session's examples, each in `with Shown(...)` where it shows something.

    Raises:
        SyntaxError, ValueError: it is no session.
    """
    return [
        statement for example in doctest.DocTestParser().get_examples(session) for statement in _statements(example)
    ]


def _statements(example: doctest.Example) -> list[ast.stmt]:
    body = ast.parse(example.source).body
    if any(isinstance(node, ast.Name) and node.id == SHOW for each in body for node in ast.walk(each)):
        raise ValueError(f"it has a name {SHOW!r} of its own")
    shown = [_Showing().visit(each) for each in body]
    shows = any(isinstance(node, ast.Name) and node.id in (SHOW, "print") for each in shown for node in ast.walk(each))
    if not (example.want or example.exc_msg or shows):
        return body
    options = [name for name, flag in doctest.OPTIONFLAGS_BY_NAME.items() if example.options.get(flag)]
    if "SKIP" in options:
        return []
    given: list[ast.expr] = [
        ast.Constant(each) for each in ("" if example.exc_msg else example.want.rstrip("\n"), *options)
    ]
    raises = [ast.keyword("raises", ast.Constant(example.exc_msg.rstrip("\n")))] if example.exc_msg else []
    context = ast.withitem(ast.Call(ast.Name("Shown", ast.Load()), given, raises), ast.Name(SHOW, ast.Store()))
    return [ast.fix_missing_locations(ast.With([context], shown))]


class _Showing(ast.NodeTransformer):
    """Shows the value of each expression that stands alone, as an interpreter does."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return ast.Expr(ast.Call(ast.Name(SHOW, ast.Load()), [node.value], []))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node
