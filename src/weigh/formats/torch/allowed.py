"""What training libraries import from their own files of state, though `torch.load` alone refuses it: no trap.

The Trainer of transformers loads its random states with NumPy's arrays allowed (`safe_globals` in
`transformers/trainer_pt_utils.py`), and accelerate all that it loads by itself (`TORCH_SAFE_GLOBALS` in
`accelerate/utils/other.py`): an array is numbers. The Trainer's arguments are written in `training_args.bin` and never
loaded again by it, which holds objects of a few classes of its own: they are allowed if each is made with nothing, or a
member of an enumeration by its text, so that no code runs with arguments of the file's choice.
"""

import re
from collections.abc import Iterable
from fnmatch import fnmatch
from typing import NamedTuple

from weigh.formats.opcodes import Call, Global
from weigh.formats.torch.rebuilding import SAFE

_ARRAYS = {
    *(f"numpy.{core}.multiarray._reconstruct" for core in ("core", "_core")),
    "numpy.ndarray",
    "numpy.dtype",
    "numpy.dtypes.UInt32DType",
}
_LOADED = {
    "transformers": ("rng_state*.pth",),
    "accelerate": (
        "random_states_*.pkl", "optimizer*.bin", "scheduler*.bin", "sampler*.bin", "dl_state_dict*.bin", "scaler.pt",
    ),
}  # fmt: skip
_ARGUMENTS = "training_args.bin"
_RECORD = re.compile(
    r"transformers\.training_args(_seq2seq)?\.(Seq2Seq)?TrainingArguments|"
    r"transformers\.trainer_pt_utils\.AcceleratorConfig|accelerate\.state\.PartialState|"
    r"trl\.trainer\.\w+_config\.\w+Config"
)
_ENUMERATION = re.compile(
    r"transformers\.training_args\.OptimizerNames|transformers\.debug_utils\.DebugOption|"
    r"transformers\.trainer_utils\.(SchedulerType|IntervalStrategy|SaveStrategy|HubStrategy|FSDPOption)|"
    r"accelerate\.utils\.dataclasses\.DistributedType"
)


class Imports(NamedTuple):
    """What a safe loader refuses of a file's imports.

    Attributes:
        refused: What nobody allows.
        allowed: What the library that writes files of this name allows, or makes nothing of.
    """

    refused: tuple[str, ...]
    allowed: tuple[str, ...] = ()


def split(name: str, imports: tuple[str, ...], calls: Iterable[Call]) -> Imports:
    """Tell what the library that writes a file allows from what nobody does.

    Args:
        name: The name of the file, without its folder.
        imports: What `torch.load(weights_only=True)` refuses.
        calls: The calls that its pickles would make.
    """
    if name == _ARGUMENTS:
        known = all(_RECORD.fullmatch(each) or _ENUMERATION.fullmatch(each) for each in imports)
        return Imports((), imports) if known and all(_is_plain(call) for call in calls) else Imports(imports)
    if not loader(name):
        return Imports(imports)
    return Imports(
        tuple(each for each in imports if each not in _ARRAYS), tuple(each for each in imports if each in _ARRAYS)
    )


def loader(name: str) -> str:
    """The library that loads files of a name with NumPy's arrays allowed; empty if none does."""
    return next((library for library, names in _LOADED.items() if any(fnmatch(name, each) for each in names)), "")


def note(name: str, imports: Imports) -> str:
    """What to know of a file with imports that are allowed."""
    named = ", ".join(imports.allowed[:3]) + (" …" if len(imports.allowed) > 3 else "")
    if name == _ARGUMENTS:
        return f"{name}: a record that the Trainer never loads; its classes ({named}) need torch.load without safety"
    return f"{name}: {loader(name)} allows {named} when it loads this; torch.load by itself refuses them"


def _is_plain(call: Call) -> bool:
    """Whether a call makes an object with nothing, a member of an enumeration, or what a safe loader lets it."""
    name = str(call.function) if isinstance(call.function, Global) else ""
    if _ENUMERATION.fullmatch(name):
        return isinstance(call.args, tuple) and len(call.args) == 1 and isinstance(call.args[0], str)
    return name in SAFE or (bool(name) and call.args == ())
