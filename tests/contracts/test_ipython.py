"""What grader/sandbox/guest/internals/ipython.py relies on in IPython."""

from __future__ import annotations

import inspect

import pytest

from tests.support.library_contracts import Library

IPYTHON = Library("ipython")


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("IPython.core.interactiveshell:InteractiveShell.run_code", "self code_obj result async_"),
        ("IPython.core.interactiveshell:InteractiveShell.set_custom_exc", "self exc_tuple handler"),
        (
            "IPython.core.interactiveshell:InteractiveShell.run_ast_nodes",
            "self nodelist cell_name interactivity compiler result",
        ),
        ("IPython.core.interactiveshell:InteractiveShell.transform_cell", "self raw_cell"),
        ("IPython.core.interactiveshell:InteractiveShell.transform_ast", "self node"),
        ("IPython.core.interactiveshell:InteractiveShell.showsyntaxerror", "self filename running_compiled_code"),
        ("IPython.core.interactiveshell:InteractiveShell.find_cell_magic", "self magic_name"),
        (
            "IPython.core.interactiveshell:InteractiveShell.register_magic_function",
            "self func magic_kind magic_name",
        ),
        ("IPython.core.compilerop:CachingCompiler.ast_parse", "self source filename symbol"),
        ("IPython.core.magics.execution:ExecutionMagics.time", "self line cell local_ns"),
        ("IPython.core.magics.execution:ExecutionMagics.prun", "self parameter_s cell"),
        ("IPython.core.inputtransformer2:TransformerManager.do_token_transforms", "self lines"),
        ("IPython.core.formatters:DisplayFormatter.format", "self obj include exclude"),
        ("IPython.core.displaypub:DisplayPublisher.publish", "self data metadata source transient update kwargs"),
        ("IPython.core.displaypub:DisplayPublisher.clear_output", "self wait"),
        ("IPython.core.interactiveshell:InteractiveShell.enable_matplotlib", "self gui"),
        ("IPython.core.interactiveshell:InteractiveShell.run_line_magic", "self magic_name line _stack_depth"),
        ("IPython.core.interactiveshell:InteractiveShell.run_cell_magic", "self magic_name line cell"),
        ("IPython.core.extensions:ExtensionManager.load_extension", "self module_str"),
        ("IPython.core.ultratb:AutoFormattedTB.get_records", "self etb context tb_offset"),
        ("IPython.core.ultratb:AutoFormattedTB.set_mode", "self mode"),
        ("IPython.core.debugger:Pdb.interaction", "self frame tb_or_exc"),
        ("IPython.core.debugger:OldPdb.set_continue", "self"),
    ],
)
def test_a_method_is_there_with_its_parameters(path: str, parameters: str) -> None:
    IPYTHON.check_parameters(path, parameters)


@pytest.mark.parametrize(
    ("path", "uses"),
    [
        # Once for each statement of a cell; what it returns tells whether the statement failed.
        ("IPython.core.interactiveshell:InteractiveShell.run_ast_nodes", ["if await self.run_code(code, result"]),
        ("IPython.core.interactiveshell:InteractiveShell.run_code", ["result.error_in_exec ="]),
        # What is parsed is run, and the result tells how; a statement that does not compile is told as well.
        (
            "IPython.core.interactiveshell:InteractiveShell.run_cell_async",
            ["compiler.ast_parse(cell, filename=cell_name)", "await self.run_ast_nodes(code_ast.body"],
        ),
        ("IPython.core.interactiveshell:InteractiveShell.run_ast_nodes", ["result.error_before_exec ="]),
        ("IPython.core.interactiveshell:ExecutionInfo.__init__", ["self.raw_cell =", "self.transformed_cell ="]),
        ("IPython.core.interactiveshell:InteractiveShell.run_cell_magic", ["fn(*args, **kwargs)"]),
        ("IPython.core.magics.execution:ExecutionMagics.time", ["self.shell.transform_cell(cell)", "eval(code, glob"]),
        ("IPython.core.magics.execution:ExecutionMagics.capture", ["self.shell.run_cell(cell)"]),
        ("IPython.core.inputtransformer2:TransformerManager.transform_cell", ["self.do_token_transforms("]),
        ("IPython.core.inputtransformer2:TransformerManager.do_one_token_transform", ["self.token_transformers"]),
        ("IPython.core.displayhook:DisplayHook.compute_format_data", ["self.shell.display_formatter.format("]),
        ("IPython.core.ultratb:AutoFormattedTB.format_exception_as_a_whole", ["self.get_records("]),
        ("IPython.extensions.storemagic:StoreMagics.store", [".db"]),
    ],
)
def test_ipython_itself_uses_what_is_replaced(path: str, uses: list[str]) -> None:
    source = inspect.getsource(IPYTHON.find(path))
    for use in uses:
        IPYTHON.check(use in source, f"{path} uses {use}")


@pytest.mark.parametrize(
    ("path", "option"),
    [
        ("IPython.core.history:HistoryManager", "enabled"),
        ("IPython.core.interactiveshell:InteractiveShell", "xmode"),
        ("IPython.core.interactiveshell:InteractiveShell", "colors"),
        ("IPython.core.application:BaseIPythonApplication", "ipython_dir"),
    ],
)
def test_an_option_is_there(path: str, option: str) -> None:
    IPYTHON.check(option in IPYTHON.find(path).class_trait_names(config=True), f"{path} has the option {option}")


def test_the_transformers_of_tokens_are_those_that_were_looked_at() -> None:
    known = ["MagicAssign", "SystemAssign", "EscapedCommand", "HelpEnd"]  # what LIKE_A_MAGIC stands for
    found = [
        kind.__name__ for kind in IPYTHON.find("IPython.core.inputtransformer2:TransformerManager")().token_transformers
    ]
    IPYTHON.check(found == known, f"the token transformers are {', '.join(known)}")


def test_stored_values_are_kept_where_they_are_looked_for() -> None:
    shell = IPYTHON.find("IPython.core.interactiveshell:InteractiveShell")
    IPYTHON.check(shell._db is None, "InteractiveShell._db is made when it is first needed")
    IPYTHON.check("self._db" in inspect.getsource(shell.db.fget), "InteractiveShell.db reads _db")
    IPYTHON.find("IPython.external.pickleshare:PickleShareDB")
