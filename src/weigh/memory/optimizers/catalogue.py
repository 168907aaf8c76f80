"""Which optimizers there are: the libraries with their modules, and the short names that people give."""

from collections.abc import Iterator, Mapping
from importlib import import_module

from weigh.memory.optimizers.entries import Library, Optimizer

LIBRARIES = {
    "torch": "pytorch",
    "torchao": "torchao",
    "bitsandbytes": "bitsandbytes",
    "trainer": "trainer",
    "lion-pytorch": "lion",
    "schedulefree": "schedulefree",
    "prodigyopt": "prodigy",
    "dadaptation": "dadaptation",
    "came-pytorch": "came",
    "adam-mini": "adam_mini",
    "galore-torch": "galore",
    "apollo-torch": "apollo",
    "pytorch_optimizer": "pytorch_optimizer",
    "heavyball": "heavyball",
    "optax": "optax",
    "optimi": "optimi",
}
"""The libraries, each with its module, in which `LIBRARY` is: in the order in which people use them."""

OPTIMIZER_ALIASES = {
    "sgd": "torch:SGD",
    "momentum": "torch:SGD:momentum=0.9",
    "adam": "torch:Adam",
    "adamw": "torch:AdamW",
    "amsgrad": "torch:Adam:amsgrad",
    "nadam": "torch:NAdam",
    "radam": "torch:RAdam",
    "adamax": "torch:Adamax",
    "sparse-adam": "torch:SparseAdam",
    "rmsprop": "torch:RMSprop",
    "rmsprop-momentum": "torch:RMSprop:momentum=0.9",
    "rmsprop-centered": "torch:RMSprop:centered",
    "adagrad": "torch:Adagrad",
    "adadelta": "torch:Adadelta",
    "adafactor": "torch:Adafactor",
    "asgd": "torch:ASGD",
    "rprop": "torch:Rprop",
    "lbfgs": "torch:LBFGS",
    "lion": "lion-pytorch:Lion",
    "muon": "torch:Muon",
    "adamw-8bit": "torchao:AdamW8bit",
    "schedule-free": "schedulefree:AdamWScheduleFree",
    "prodigy": "prodigyopt:Prodigy",
    "came": "came-pytorch:CAME",
    "adam-mini": "adam-mini:Adam_mini",
    "galore": "galore-torch:GaLoreAdamW",
    "apollo": "apollo-torch:APOLLOAdamW",
    "adamw-4bit": "torchao:AdamW4bit",
    "adamw-fp8": "torchao:AdamWFp8",
    "soap": "pytorch_optimizer:SOAP",
    "shampoo": "pytorch_optimizer:Shampoo",
    "kron": "pytorch_optimizer:Kron",
    "ademamix": "pytorch_optimizer:AdEMAMix",
    "adopt": "pytorch_optimizer:ADOPT",
    "ademamix-8bit": "bitsandbytes:AdEMAMix8bit",
    "lamb": "bitsandbytes:LAMB",
    "lars": "bitsandbytes:LARS",
    "lion-8bit": "bitsandbytes:Lion8bit",
    "paged-adamw": "bitsandbytes:PagedAdamW",
    "paged-adamw-8bit": "bitsandbytes:PagedAdamW8bit",
    "paged-lion-8bit": "bitsandbytes:PagedLion8bit",
}
"""What short names mean."""


class _Optimizers(Mapping[str, Optimizer]):
    """The optimizers of all libraries by `LIBRARY:NAME`; a library's module is read when it is asked for."""

    def __getitem__(self, key: str) -> Optimizer:
        library, _, name = key.partition(":")
        return self.of(library).optimizers[name]

    def __iter__(self) -> Iterator[str]:
        return (f"{library}:{name}" for library in LIBRARIES for name in self.of(library).optimizers)

    def __len__(self) -> int:
        return sum(len(self.of(library).optimizers) for library in LIBRARIES)

    def of(self, library: str) -> Library:
        """The optimizers of a library. Raises `KeyError` if there is none of that name."""
        found: Library = import_module(f"weigh.memory.optimizers.{LIBRARIES[library]}").LIBRARY
        return found


OPTIMIZERS = _Optimizers()
"""The optimizers that weigh knows, by `LIBRARY:NAME`."""
