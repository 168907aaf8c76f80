"""Modules that hold the shapes of their parameters: `torch.nn.Module`, what holds others, and pretrained models."""

import re
from collections.abc import Iterator
from itertools import cycle
from typing import Any

from weigh.errors import NotConstructed
from weigh.models.constructors.shapes import Tensor, bounded
from weigh.models.constructors.unknown import Unknown

MOST_MODULES = 60_000
"""The most modules of a model, four times as many as any has."""


class Budget:
    """How many modules the model that is made has so far."""

    made = 0


class Parameter(Tensor):
    """A parameter: a shape that belongs to a module."""

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        if isinstance(data, Unknown):
            data._refuse()
        super().__init__(*(() if data is None else data.shape if isinstance(data, Tensor) else data))
        self.requires_grad = requires_grad


class Module:
    """A module: parameters and other modules under the names that they are set as."""

    def __init__(self, *given: Any, **named: Any) -> None:
        Budget.made = bounded(Budget.made + 1, MOST_MODULES, "modules")
        self.__dict__.update(_parameters={}, _modules={}, training=True)

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if "_modules" in own:
            for kind, held in ((Parameter, own["_parameters"]), (Module, own["_modules"])):
                if isinstance(value, kind):
                    own.pop(name, None)
                    other = own["_modules"] if kind is Parameter else own["_parameters"]
                    other.pop(name, None)
                    held[name] = value
                    return
                if name in held:
                    if value is None:
                        held[name] = None
                        return
                    if isinstance(value, Tensor) and kind is Parameter:
                        held.pop(name)
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        for held in ("_parameters", "_modules"):
            if name in own.get(held, ()):
                return own[held][name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name}")

    def __delattr__(self, name: str) -> None:
        own = self.__dict__
        for held in (own["_parameters"], own["_modules"], own):
            if name in held:
                del held[name]
                return
        raise AttributeError(name)

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """A tensor that is no parameter."""
        self.__dict__[name] = tensor

    def register_parameter(self, name: str, parameter: Any) -> None:
        """A parameter, or `None` for one that is left out."""
        if parameter is None:
            self._parameters[name] = None
        else:
            setattr(self, name, parameter)

    def add_module(self, name: str, module: Any) -> None:
        """A module under a name."""
        if isinstance(module, Unknown):
            module._refuse()
        self._modules[name] = module

    register_module = add_module

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """The modules set on this one."""
        return ((name, module) for name, module in self._modules.items() if module is not None)

    def children(self) -> Iterator["Module"]:
        """The modules set on this one."""
        return (module for _, module in self.named_children())

    def named_modules(self, prefix: str = "", **named: Any) -> Iterator[tuple[str, "Module"]]:
        """This module and all in it, by their dotted names."""
        yield prefix, self
        for name, module in self.named_children():
            yield from module.named_modules(f"{prefix}.{name}" if prefix else name)

    def modules(self) -> Iterator["Module"]:
        """This module and all in it."""
        return (module for _, module in self.named_modules())

    def named_parameters(self, **named: Any) -> Iterator[tuple[str, Parameter]]:
        """The parameters of this module and of all in it, under every dotted name that they have."""
        for prefix, module in self.named_modules():
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    yield f"{prefix}.{name}" if prefix else name, parameter

    def parameters(self, **named: Any) -> Iterator[Parameter]:
        """The parameters of this module and of all in it."""
        return (parameter for _, parameter in self.named_parameters())

    def get_submodule(self, target: str) -> "Module":
        """The module of a dotted name."""
        found = self
        for part in target.split(".") if target else ():
            found = getattr(found, part)
        return found

    def _itself(self, *given: Any, **named: Any) -> "Module":
        return self

    to = train = eval = apply = requires_grad_ = float = half = bfloat16 = cuda = cpu = _itself
    _register_load_state_dict_pre_hook = register_load_state_dict_post_hook = register_forward_hook = _itself
    register_forward_pre_hook = load_state_dict = _init_weights = init_weights = _itself

    def __call__(self, *given: Any, **named: Any) -> Unknown:
        return Unknown("what a module gives")


class Buffers(Module):
    """A module without parameters, such as one of rotary angles."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__()

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name.startswith("__"):
                raise
            return Unknown(f"the {name} of {type(self).__name__}")


class ModuleList(Module):
    """Modules by number."""

    def __init__(self, modules: Any = ()) -> None:
        super().__init__()
        self.extend(modules or ())

    def append(self, module: Any) -> "ModuleList":
        """One more at the end."""
        self.add_module(str(len(self._modules)), module)
        return self

    def extend(self, modules: Any) -> "ModuleList":
        """More at the end."""
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Any) -> None:
        """One more, before another."""
        modules = list(self._modules.values())
        modules.insert(index, module)
        self._modules.clear()
        self.extend(modules)

    __iadd__ = extend

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._modules.values()))

    def __getitem__(self, index: Any) -> Any:
        modules = list(self._modules.values())
        return type(self)(modules[index]) if isinstance(index, slice) else modules[index]

    def __setitem__(self, index: int, module: Any) -> None:
        self._modules[list(self._modules)[index]] = module

    def __delitem__(self, index: Any) -> None:
        modules = list(self._modules.values())
        del modules[index]
        self._modules.clear()
        self.extend(modules)


class Sequential(ModuleList):
    """Modules by number, or by the names of a dictionary."""

    def __init__(self, *modules: Any) -> None:
        Module.__init__(self)
        if len(modules) == 1 and isinstance(modules[0], dict):
            for name, module in modules[0].items():
                self.add_module(name, module)
        elif len(modules) == 1 and isinstance(modules[0], list):
            self.extend(modules[0])
        else:
            self.extend(modules)


class ModuleDict(Module):
    """Modules by name."""

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        self.update(modules or {})

    def update(self, modules: Any) -> None:
        """More modules, from a dictionary or from pairs."""
        for name, module in modules.items() if hasattr(modules, "items") else modules:
            self.add_module(name, module)

    def __setitem__(self, name: str, module: Any) -> None:
        self.add_module(name, module)

    def __getitem__(self, name: str) -> Any:
        return self._modules[name]

    def __contains__(self, name: str) -> bool:
        return name in self._modules

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def keys(self) -> Any:
        """The names."""
        return self._modules.keys()

    def values(self) -> Any:
        """The modules."""
        return self._modules.values()

    def items(self) -> Any:
        """Both."""
        return self._modules.items()


class ParameterList(Module):
    """Parameters by number."""

    def __init__(self, parameters: Any = ()) -> None:
        super().__init__()
        for parameter in parameters or ():
            self.append(parameter)

    def append(self, parameter: Any) -> "ParameterList":
        """One more at the end."""
        self._parameters[str(len(self._parameters))] = (
            parameter if isinstance(parameter, Parameter) else Parameter(parameter)
        )
        return self

    def __len__(self) -> int:
        return len(self._parameters)

    def __getitem__(self, index: int) -> Any:
        return list(self._parameters.values())[index]


class ParameterDict(Module):
    """Parameters by name."""

    def __init__(self, parameters: Any = None) -> None:
        super().__init__()
        for name, parameter in (parameters or {}).items():
            self[name] = parameter

    def __setitem__(self, name: str, parameter: Any) -> None:
        self._parameters[name] = parameter if isinstance(parameter, Parameter) else Parameter(parameter)

    def __getitem__(self, name: str) -> Any:
        return self._parameters[name]


class Unread(type):
    """The class of classes of which nothing is known but their name."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Unknown(f"{cls.__name__}.{name}")


class Mixin(metaclass=Unread):
    """A class that adds methods and no parameter."""


class PreTrainedModel(Module):
    """A model made of a config, which ties some of its parameters in the end."""

    config_class: Any = None
    base_model_prefix = ""
    _tied_weights_keys: Any = None

    def __init__(self, config: Any, *given: Any, **named: Any) -> None:
        super().__init__()
        self.config = config

    @classmethod
    def _from_config(cls, config: Any, **named: Any) -> "PreTrainedModel":
        return cls(config)

    from_config = _from_config

    def get_input_embeddings(self) -> Any:
        """The table of word embeddings, under one of its usual names."""
        for name in ("embed_tokens", "word_embeddings", "wte", "shared"):
            if name in self._modules:
                return self._modules[name]
        inner = self._modules.get(self.base_model_prefix or "model") or self._modules.get("language_model")
        if isinstance(inner, PreTrainedModel) and inner is not self:
            return inner.get_input_embeddings()
        raise NotConstructed(type(self).__name__, "asks for its embedding, which weigh does not find")

    def get_output_embeddings(self) -> Any:
        """The head, if there is one."""
        return self._modules.get("lm_head")

    def post_init(self) -> None:
        """Tie the parameters of this model and of those in it."""
        self.__dict__["tied"] = tied = dict(self._expanded())
        for name, module in self.named_children():
            tied |= {f"{name}.{one}": f"{name}.{other}" for one, other in module.__dict__.get("tied", {}).items()}
        for target, source in tied.items():
            parent, _, last = target.rpartition(".")
            home, _, name = source.rpartition(".")
            shared = getattr(self.get_submodule(home), name)
            module = self.get_submodule(parent)
            setattr(module, last, shared)
            bias = module._parameters.get("bias")
            if bias is not None and last == "weight" and len(bias.shape) == 1:
                bias.shape = (shared.shape[0],)

    def _expanded(self) -> dict[str, str]:
        """The names to tie, each with the name of what it is tied to; patterns are matched with all names."""
        mapping = self._tied_weights_keys
        if not getattr(self.config, "tie_word_embeddings", False) or not mapping:
            return {}
        plain = re.compile(r"^[A-Za-z0-9_\.]+(weight)|(bias)$")
        if all(plain.match(name) for name in mapping.keys() | mapping.values()):
            return dict(mapping)
        names = sorted({name for name, _ in self.named_parameters()})
        found: dict[str, str] = {}
        for target, source in mapping.items():
            sources = [name for name in names if re.search(f"^{source}", name)]
            targets = [name for name in names if re.search(f"^{target}", name)]
            if not sources or not targets or len(targets) % len(sources):
                raise NotConstructed(type(self).__name__, f"ties {target} to {source}, which do not match")
            for one, other in zip(targets, cycle(sources), strict=False):
                found[one] = found.get(other, other)
        return found

    def __getattr__(self, name: str) -> Any:
        if name in ("dtype", "device", "forward"):
            return Unknown(f"the {name}")
        if name.startswith(("_can_", "_supports_", "supports_")):
            return False
        return super().__getattr__(name)
