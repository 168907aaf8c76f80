"""Slices of the Python modules of transformers: what a constructor runs before it asks torch for a tensor.

From the classes of configs and models, names are followed as long as they lead to code of transformers. Of a class
stay its constructors, and the methods, properties and class attributes that these name; of a function its body without
annotations, messages and logging. A name that leads out of transformers is looked up in the stand-ins of
`weigh.models.constructors`. What is sliced stays under the licence of transformers, Apache 2.0.
"""

import ast
import copy
import inspect
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

import torch
from transformers import PreTrainedModel

from handbook.families.stripping import Stripped, local_imports, written

ALWAYS = {
    "__init__",
    "__post_init__",
    "__new__",
    "__init_subclass__",
    "__setattr__",
    "__getattr__",
    "make_preprocessor_external",
}
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

STAND_INS = {
    "PreTrainedConfig", "PreTrainedModel", "PretrainedConfig", "GenerationMixin", "SubConfigSpec", "ACT2FN", "ACT2CLS",
    "AutoConfig", "CONFIG_MAPPING", "GradientCheckpointingLayer", "logger", "PushToHubMixin", "EmbeddingAccessMixin",
    "RotaryEmbeddingConfigMixin", "ModelOutput", "get_activation", "classproperty", "is_torch_available",
    "strict", "BackboneMixin", "interval", "remap_legacy_layer_types",
}  # fmt: skip
"""Names of transformers that `weigh.models.constructors` has of its own."""


SLICED = tuple(f"transformers.{each}" for each in (
    "models.", "backbone_utils", "pytorch_utils", "modeling_layers", "activations",
    "integrations.hub_kernels", "time_series_utils",
))  # fmt: skip
"""Where code lies that decides shapes. All else of transformers is unknown."""


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
        """A statement, if anything of it stays."""
        imports = local_imports(node, module)
        stripped = Stripped().visit(copy.deepcopy(node))
        if stripped is None:
            return None
        names: set[str] = set()
        attributes: set[str] = set()
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
                    # The caches of a model follow from properties of its config that no constructor names.
                    named = {written(one).split(".")[-1] for one in each.decorator_list}
                    always = "configuration" in self.module.__name__ and bool(named & {"property", "setter"})
                    found.append(Part.of(each, self.module, "" if always else each.name))
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
        code = isinstance(real, type | FunctionType) and home.startswith(SLICED)
        if code and called in self.sliced(home).nodes:
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
