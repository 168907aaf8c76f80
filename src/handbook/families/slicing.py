"""Slices of the Python modules of transformers: what a constructor runs before it asks torch for a tensor.

From the classes of configs and models, names are followed as long as they lead to code of transformers. Of a class
stay its constructors, and the methods, properties and class attributes that these name; of a function its body without
annotations, messages and logging. A name that leads out of transformers is looked up in the stand-ins of
`weigh.models.constructors`. What is sliced stays under the licence of transformers, Apache 2.0.
"""

import ast
import builtins
import copy
import inspect
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import torch
from transformers import PreTrainedModel

ALWAYS = {"__init__", "__post_init__", "__new__", "__init_subclass__", "__setattr__", "__getattr__",
          "make_preprocessor_external"}
"""The methods that run whenever an object of a class is made."""

NEVER = {
    "forward", "_init_weights", "generate", "validate_architecture", "validate_token_ids", "validate_layer_type",
    "extra_repr", "from_pretrained", "save_pretrained", "to_dict", "from_dict", "post_init", "dtype", "device",
    "set_input_embeddings", "set_output_embeddings", "resize_token_embeddings", "tie_weights", "validate_rope",
    "convert_rope_params_to_dict", "standardize_rope_params", "get_text_config", "get_expanded_tied_weights_keys",
}  # fmt: skip
"""Methods that constructors never need, or that the stand-ins have."""

ATTRIBUTES = {
    "model_type", "attribute_map", "sub_configs_defaults", "config_class", "base_model_prefix", "_tied_weights_keys",
    "is_composition",
}  # fmt: skip
"""Class attributes that stay whether or not a constructor names them."""

SILENT = ("logger", "logging", "warnings", "init", "nn.init", "torch._dynamo", "torch.fx", "hub_kernels")
"""What is called for its effect on numbers or on the screen."""

STAND_INS = {
    "PreTrainedConfig", "PreTrainedModel", "PretrainedConfig", "GenerationMixin", "SubConfigSpec", "ACT2FN", "ACT2CLS",
    "AutoConfig", "CONFIG_MAPPING", "GradientCheckpointingLayer", "logger", "PushToHubMixin", "EmbeddingAccessMixin",
    "RotaryEmbeddingConfigMixin", "ModelOutput", "get_activation", "classproperty", "is_torch_available",
    "strict", "BackboneMixin", "interval", "remap_legacy_layer_types",
}  # fmt: skip
"""Names of transformers that `weigh.models.constructors` has of its own."""


SLICED = tuple(f"transformers.{each}" for each in (
    "models.", "backbone_utils", "pytorch_utils", "modeling_layers", "activations", "integrations.hub_kernels",
))  # fmt: skip
"""Where code lies that decides shapes. All else of transformers is unknown."""


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
        if isinstance(node.value, ast.Constant):
            return None
        if isinstance(node.value, ast.Call):
            name = written(node.value.func)
            if any(name == each or name.startswith(f"{each}.") for each in SILENT):
                return None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self.generic_visit(node)
        return None if node.value is None else ast.Assign([node.target], node.value)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        name = written(node.exc.func if isinstance(node.exc, ast.Call) else node.exc) if node.exc else ""
        return ast.Raise(ast.Name(name, ast.Load())) if name and hasattr(builtins, name) else ast.Raise(
            ast.Name("ValueError", ast.Load()))  # fmt: skip

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
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

    visit_If = visit_For = visit_With = visit_While = visit_Try = visit_ExceptHandler = _block

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """A class keeps its bases, and nothing that decorates it."""
        node.decorator_list, node.keywords = [], []
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        """An import inside of a function is left to the names above the module."""
        return None

    visit_Import = visit_ImportFrom


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


def is_table(name: str) -> bool:
    """Whether a function computes a table of sines, whose elements take longer than all else and decide no shape."""
    return "sinusoid" in name and name == name.lower()


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, with those that stand under a condition, as whether a package is installed."""
    for node in body:
        yield node
        for branch in ("body", "orelse") if isinstance(node, ast.If | ast.Try) else ():
            yield from statements(getattr(node, branch))


@dataclass
class Part:
    """A statement of a module or of a class body, stripped, with what it names.

    Attributes:
        node: The statement.
        name: The name of a method; empty for what always stays.
        names: The names that it loads.
        attributes: The attribute names in it.
        imports: What it imports when it runs.
    """

    node: ast.stmt
    name: str
    names: set[str]
    attributes: set[str]
    imports: dict[str, Any]
    kept: bool = False

    @classmethod
    def of(cls, node: ast.stmt, module: ModuleType, name: str = "") -> "Part | None":
        imports = local_imports(node, module)
        stripped = Stripped().visit(copy.deepcopy(node))
        if stripped is None:
            return None
        names, attributes = set(), set()
        for each in ast.walk(ast.fix_missing_locations(stripped)):
            if isinstance(each, ast.Attribute):
                attributes.add(each.attr)
            elif isinstance(each, ast.Constant) and isinstance(each.value, str) and each.value.isidentifier():
                attributes.add(each.value)
            elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load):
                names.add(each.id)
        return cls(stripped, name, names, attributes, imports)


@dataclass
class Slice:
    """What is kept of one module.

    Attributes:
        module: The module.
        nodes: What it defines, by name.
        kept: The parts of each name that is kept.
        attributes: The attribute names that kept parts mention.
        outside: What names lead out of it, and to what.
    """

    module: ModuleType
    nodes: dict[str, ast.stmt]
    kept: dict[str, list[Part]] = field(default_factory=dict)
    attributes: set[str] = field(default_factory=set)
    outside: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str) -> "Slice":
        """A module of which nothing is kept yet."""
        module = import_module(name)
        nodes: dict[str, ast.stmt] = {}
        for node in statements(ast.parse(inspect.getsource(module)).body):
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                nodes[node.name] = node
            elif isinstance(node, ast.Assign):
                nodes |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
        return cls(module, nodes)

    def is_buffers(self, name: str) -> bool:
        """Whether a class computes rotary angles, which are no parameters."""
        real = getattr(self.module, name)
        return "Rotary" in name and isinstance(real, type) and issubclass(real, torch.nn.Module)

    def parts(self, name: str) -> list[Part]:
        """The parts of a definition that may stay: a class has one for its bases and one for each of its statements."""
        node = self.nodes[name]
        if not isinstance(node, ast.ClassDef):
            return [part for part in [Part.of(node, self.module)] if part]
        if self.is_buffers(name):
            return [Part(ast.parse(f"class {name}(Buffers):\n    pass").body[0], "", set(), set(), {})]
        shell = ast.ClassDef(node.name, node.bases, [], [], [])
        found = [Part.of(shell, self.module)]
        fields = []
        for each in node.body:
            if isinstance(each, ast.FunctionDef):
                if each.name not in NEVER and not each.name.startswith("validate_"):
                    found.append(Part.of(each, self.module, each.name))
            elif isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
                if each.target.id.startswith("base_model_"):
                    continue
                if "ClassVar" not in ast.unparse(each.annotation):
                    fields.append(each.target.id)
                found.append(Part.of(each, self.module))
            elif isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name):
                target = each.targets[0].id
                if not target.startswith(("base_model_t", "keys_to_ignore")):
                    always = target in ATTRIBUTES or "configuration" in self.module.__name__
                    found.append(Part.of(each, self.module, "" if always else target))
        if fields and "configuration" in self.module.__name__:
            found.append(Part(ast.parse(f"FIELDS = {tuple(fields)!r}").body[0], "", set(), set(), {}))
        return [part for part in found if part]

    def definition(self, name: str) -> ast.stmt:
        """What is kept of a definition."""
        first, *rest = [part for part in self.kept[name] if part.kept]
        if isinstance(first.node, ast.ClassDef) and not self.is_buffers(name):
            first.node.body = [part.node for part in rest] or [ast.Pass()]
        return first.node


class Slicer:
    """Follows names from some classes to all that their constructors run."""

    def __init__(self) -> None:
        self.slices: dict[str, Slice] = {}
        self.imports: dict[str, set[str]] = defaultdict(set)

    def sliced(self, module: str) -> Slice:
        """The slice of a module."""
        if module not in self.slices:
            self.slices[module] = Slice.of(module)
        return self.slices[module]

    def want(self, module: str, name: str) -> None:
        """Keep a name of a module."""
        piece = self.sliced(module)
        if name in piece.nodes and name not in piece.kept:
            piece.kept[name] = piece.parts(name)

    def run(self) -> None:
        """Follow all names, until nothing more is kept."""
        changed = True
        while changed:
            changed = False
            for module, piece in list(self.slices.items()):
                for part in [part for parts in list(piece.kept.values()) for part in parts]:
                    if not part.kept and (not part.name or part.name in ALWAYS or part.name in piece.attributes):
                        part.kept = changed = True
                        piece.attributes |= part.attributes
                        for name in part.names:
                            self.follow(module, name, part.imports)
            for module, imported in list(self.imports.items()):
                for other in imported:
                    self.sliced(other).attributes |= self.sliced(module).attributes

    def follow(self, module: str, name: str, local: dict[str, Any]) -> None:
        """Follow one name."""
        piece = self.slices[module]
        if name in piece.nodes and name not in STAND_INS and not is_table(name):
            self.want(module, name)
        elif name in local:
            piece.outside[name] = self.outside(module, name, local[name])
        elif hasattr(piece.module, name):
            piece.outside[name] = self.outside(module, name, getattr(piece.module, name))

    def outside(self, module: str, name: str, real: Any) -> str:
        """What a name stands for that leads out of a module, as an expression over the stand-ins."""
        if isinstance(real, ModuleType):
            return f"given({real.__name__!r})"
        home, called = getattr(real, "__module__", "") or "", getattr(real, "__qualname__", name)
        if called in STAND_INS or name in STAND_INS:
            return f"given({(called if called in STAND_INS else name)!r})"
        if isinstance(real, type | FunctionType) and home.startswith("transformers.models.auto"):
            return f"given({called!r})"
        if is_table(name):
            return f"given({f'{home}.{called}'!r})"
        if isinstance(real, type | FunctionType) and home.startswith(SLICED):
            if called in self.sliced(home).nodes:
                self.want(home, called)
                self.imports[module].add(home)
                return f"bring({home.removeprefix('transformers.')!r}, {called!r})"
        if isinstance(real, type) and home.startswith("transformers."):
            if issubclass(real, PreTrainedModel):
                return "given('PreTrainedModel')"
            if not issubclass(real, torch.nn.Module):
                return "given('Mixin')"
        if name.startswith("MODEL_") and name.endswith("_NAMES"):
            return f"given({name!r})"
        if isinstance(real, bool | int | float | str | None) or (
            isinstance(real, list | tuple | dict) and len(repr(real)) < 2000 and "<" not in repr(real)
        ):
            return repr(real)
        if isinstance(real, type) and issubclass(real, torch.nn.Module) and not home.startswith("torch."):
            return f"missing({called!r})"
        return f"given({f'{home}.{called}' if home not in ('builtins', '') else called!r})"

    def text(self, module: str) -> str:
        """What is kept of a module, as Python."""
        piece = self.slices[module]
        lines = [f"{name} = {what}" for name, what in sorted(piece.outside.items())]
        seen: set[int] = set()
        for name, node in piece.nodes.items():
            if name in piece.kept and id(node) not in seen:
                seen.add(id(node))
                lines.append(ast.unparse(ast.fix_missing_locations(piece.definition(name))))
        return "\n".join(lines) + "\n"


def model_classes() -> dict[str, tuple[str, str]]:
    """The model classes of transformers by name, with their module and their config's `model_type`."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    found: dict[str, tuple[str, str]] = {}
    seen: list[type] = [PreTrainedModel]
    for name in sorted(sys.modules):
        if name.startswith("transformers.models.") and ".modeling_" in name:
            seen += [each for each in vars(sys.modules[name]).values() if isinstance(each, type)
                     and issubclass(each, PreTrainedModel) and each.__module__ == name]  # fmt: skip
    for each in seen:
        kind = getattr(each.config_class, "model_type", None)
        if kind in CONFIG_MAPPING_NAMES and "__init__" in dir(each) and not each.__name__.endswith("PreTrainedModel"):
            found[each.__name__] = (each.__module__, kind)
    return found


def auto_classes() -> dict[str, dict[str, str]]:
    """The model class of each `model_type` for each of the Auto classes."""
    from transformers.models.auto import modeling_auto

    found = {}
    for name, auto in vars(modeling_auto).items():
        mapping = getattr(auto, "_model_mapping", None)
        if mapping is not None and isinstance(auto, type):
            models = {kind: each if isinstance(each, str) else each[0] for kind, each in mapping._model_mapping.items()}
            found[name] = {kind: each for kind, each in models.items() if each}
    return found


def activations() -> dict[str, dict[str, Any]]:
    """The activation functions by name, each with its class and the parameters that it learns."""
    from transformers.activations import ACT2FN

    return {
        name: {
            "class": type(ACT2FN[name]).__name__,
            "parameters": {each: list(tensor.shape) for each, tensor in ACT2FN[name].named_parameters()},
        }
        for name in ACT2FN.keys()
    }


def load_everything() -> None:
    """Import the configs and models of every model type that can be imported here."""
    import transformers.models

    for path in sorted(Path(transformers.models.__path__[0]).glob("*/*.py")):
        if path.stem.startswith(("configuration_", "modeling_")):
            try:
                import_module(f"transformers.models.{path.parent.name}.{path.stem}")
            except (ImportError, RuntimeError):
                continue


def mappings() -> dict[str, dict[str, str]]:
    """The model classes of model types that constructors ask for by the name of a mapping."""
    from transformers.models.auto import modeling_auto

    return {
        name: {kind: each if isinstance(each, str) else each[0] for kind, each in mapping.items()}
        for name, mapping in vars(modeling_auto).items() if name.startswith("MODEL_") and name.endswith("_NAMES")
    }  # fmt: skip


def sliced() -> dict[str, str]:
    """Every file of the data: the slices of the modules by path, and an index in JSON."""
    import json

    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    load_everything()
    slicer, models, configs = Slicer(), model_classes(), {}
    for kind in CONFIG_MAPPING:
        try:
            config = CONFIG_MAPPING[kind]
        except (ImportError, AttributeError):
            continue
        configs[kind] = (config.__module__, config.__name__)
        slicer.want(*configs[kind])
    for name, (module, kind) in models.items():
        slicer.want(module, name)
        if kind in configs:
            slicer.imports[module].add(configs[kind][0])
    slicer.run()
    files = {f"{module.removeprefix('transformers.')}.py": slicer.text(module) for module in slicer.slices
             if slicer.slices[module].kept}  # fmt: skip
    index = {
        "transformers": transformers.__version__,
        "configs": {kind: [module.removeprefix("transformers."), name] for kind, (module, name) in configs.items()},
        "models": {name: [module.removeprefix("transformers."), kind] for name, (module, kind) in models.items()},
        "auto": auto_classes(),
        "activations": activations(),
        "mappings": {name: each for name, each in mappings().items() if any(name in text for text in files.values())},
    }
    return {**files, "index.json": json.dumps(index, sort_keys=True)}
