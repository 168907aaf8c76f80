"""Statements of Python without what decides no shape: annotations, messages, logging, the start values of weights."""

import ast
import builtins
from importlib import import_module
from types import ModuleType
from typing import Any

SILENT = ("logger", "logging", "warnings", "init", "nn.init", "torch._dynamo", "torch.fx", "hub_kernels")
"""What is called for its effect on numbers or on the screen."""


def written(node: ast.AST) -> str:
    """A dotted name as it is written; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = written(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


class Stripped(ast.NodeTransformer):
    """A function or class body without annotations, messages and logging."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """A function keeps the decorators that make it a property or the like."""
        kept = [each for each in node.decorator_list if written(each).split(".")[-1] in
                ("property", "classmethod", "staticmethod", "cached_property", "setter", "classproperty")]  # fmt: skip
        node.decorator_list, node.returns = kept, None
        arguments = node.args
        for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
            if each is not None:
                each.annotation = None
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """What is called for its effect goes."""
        if isinstance(node.value, ast.Constant):
            return None
        if isinstance(node.value, ast.Call):
            name = written(node.value.func)
            if any(name == each or name.startswith(f"{each}.") for each in SILENT):
                return None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        """An annotated value becomes a plain one."""
        self.generic_visit(node)
        return None if node.value is None else ast.Assign([node.target], node.value)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """An exception keeps its class, and no message."""
        name = written(node.exc.func if isinstance(node.exc, ast.Call) else node.exc) if node.exc else ""
        return ast.Raise(ast.Name(name, ast.Load())) if name and hasattr(builtins, name) else ast.Raise(
            ast.Name("ValueError", ast.Load()))  # fmt: skip

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        """A check keeps no message."""
        return ast.Assert(node.test)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """A list times a number is written as a call, which has a limit."""
        self.generic_visit(node)
        for one, other in ((node.left, node.right), (node.right, node.left)):
            if isinstance(node.op, ast.Mult) and isinstance(one, ast.List | ast.Tuple):
                return ast.Call(ast.Name("repeated", ast.Load()), [one, other], [])
        return node

    def _block(self, node: Any) -> Any:
        self.generic_visit(node)
        if not node.body:
            node.body = [ast.Pass()]
        return node

    visit_If = visit_With = visit_Try = visit_ExceptHandler = _block

    def visit_For(self, node: ast.For) -> ast.AST:
        """The steps of a loop are counted."""
        node.iter = ast.Call(ast.Name("counted", ast.Load()), [node.iter], [])
        return self._block(node)  # type: ignore[no-any-return]

    def visit_While(self, node: ast.While) -> ast.AST:
        """So are those of a loop without an end of its own."""
        node.body.insert(0, ast.parse("step()").body[0])
        return self._block(node)  # type: ignore[no-any-return]

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        """And those inside of a list."""
        node.iter = ast.Call(ast.Name("counted", ast.Load()), [node.iter], [])
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """A class keeps its bases, and nothing that decorates it."""
        node.decorator_list, node.keywords = [], []
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        """An import inside of a function is left to the names above the module."""
        return None

    def visit_Import(self, node: ast.Import) -> ast.AST | None:
        """As one from a module."""
        return None


def local_imports(node: ast.AST, module: ModuleType) -> dict[str, Any]:
    """What functions import when they run, by its name in them."""
    found: dict[str, Any] = {}
    for each in ast.walk(node):
        if isinstance(each, ast.ImportFrom):
            name = "." * each.level + (each.module or "")
            try:
                source = import_module(name, module.__package__) if each.level else import_module(name)
                found |= {alias.asname or alias.name: getattr(source, alias.name) for alias in each.names}
            except (ImportError, AttributeError, RuntimeError):
                continue
    return found
