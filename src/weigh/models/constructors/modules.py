"""Modules that hold the shapes of their parameters, in place of `torch.nn.Module`."""

from collections.abc import Iterator
from typing import Any

from weigh.models.constructors.shapes import Tensor, bounded
from weigh.models.constructors.unknown import Unknown

MOST_MODULES = 40_000
"""The most modules of a model, three times as many as any has."""


MOST_STEPS = 500_000
"""The most steps of all loops of a constructor. Some list every pair of places in an image."""


class Budget:
    """How many modules the model that is made has so far, and how many steps its loops have taken."""

    made = 0
    steps = 0

    @classmethod
    def reset(cls) -> None:
        """Begin with another model."""
        cls.made = cls.steps = 0

    @classmethod
    def step(cls) -> None:
        """One step of a loop more."""
        cls.steps = bounded(cls.steps + 1, MOST_STEPS, "steps of loops")

    @classmethod
    def counted(cls, items: Any) -> Any:
        """The items that a loop goes through, each a step."""
        if not isinstance(items, list | tuple | range):
            return cls._each(items)
        cls.steps = bounded(cls.steps + len(items), MOST_STEPS, "steps of loops")
        return items

    @classmethod
    def _each(cls, items: Any) -> Iterator[Any]:
        for item in items:
            cls.step()
            yield item


class Parameter(Tensor):
    """A parameter: a shape that belongs to a module."""

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        if data is None or isinstance(data, Tensor):
            self.shape = () if data is None else data.shape
        else:
            super().__init__(*(data._refuse() if isinstance(data, Unknown) else data))
        self.requires_grad = requires_grad


class Module:
    """A module: parameters and other modules under the names that they are set as."""

    def __init__(self, *given: Any, **named: Any) -> None:
        Budget.made = bounded(Budget.made + 1, MOST_MODULES, "modules")
        self.__dict__.update(_parameters={}, _modules={}, training=True)

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if "_modules" in own:
            parameters, modules = own["_parameters"], own["_modules"]
            if isinstance(value, Parameter | Module):
                held, other = (parameters, modules) if isinstance(value, Parameter) else (modules, parameters)
                own.pop(name, None)
                other.pop(name, None)
                held[name] = value
                return
            if value is None and (name in parameters or name in modules):
                (parameters if name in parameters else modules)[name] = None
                return
            if name in parameters and isinstance(value, Tensor):
                del parameters[name]
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        for held in ("_modules", "_parameters"):
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

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """The modules set on this one."""
        return ((name, module) for name, module in self._modules.items() if module is not None)

    def children(self) -> Iterator["Module"]:
        """The modules set on this one."""
        return (module for _, module in self.named_children())

    def named_modules(self, prefix: str = "", **named: Any) -> Iterator[tuple[str, "Module"]]:
        """This module and all in it, by their dotted names."""
        left: list[tuple[str, Module]] = [(prefix, self)]
        while left:
            path, module = left.pop()
            yield path, module
            left += [(f"{path}.{name}" if path else name, inner) for name, inner in reversed(module._modules.items())
                     if inner is not None]  # fmt: skip

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
    _register_load_state_dict_pre_hook = register_forward_hook = _itself
    register_forward_pre_hook = load_state_dict = _init_weights = init_weights = _itself

    def __call__(self, *given: Any, **named: Any) -> Unknown:
        """What it computes, which nobody here does."""
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


class Unread(type):
    """The class of classes of which nothing is known but their name."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Unknown(f"{cls.__name__}.{name}")


class Mixin(metaclass=Unread):
    """A class that adds methods and no parameter."""
