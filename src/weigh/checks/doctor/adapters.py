"""Whether an adapter is one for its base: the matrices that it changes, its rank, and the name of the base."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weigh.checks.cards.reading import read_card
from weigh.checks.cards.weights import ADAPTER, base_model_mismatch
from weigh.checks.doctor.directory import ModelDirectory
from weigh.checks.doctor.examination import Fault, NotExamined, counted
from weigh.checks.results import CheckResult
from weigh.errors import WeighError
from weigh.files.inspecting import inspect
from weigh.formats import read
from weigh.sources import File
from weigh.tensors import Tensor

_FILE = "adapter_model.safetensors"
_PART = re.compile(r"(?:base_model\.model\.)?(.+)\.lora_(A|B)(?:\.default)?\.weight")


def adapter(home: ModelDirectory) -> CheckResult:
    """Adapter: pairs of thin matrices that have no partner, another rank than the config says, or were left out, and
    a rank or a scale that is no number above 0.
    """
    config, pairs = home.adapter, _pairs(home)
    rank, targets = config.get("r"), config.get("target_modules")
    patterns = config.get("rank_pattern") or {}
    faults = [
        Fault(ADAPTER, name, config[name], "a number above 0")
        for name in ("r", "lora_alpha")
        if name in config and not (type(config[name]) in (int, float) and config[name] > 0)
    ]
    for module, pair in pairs.items():
        if len(pair) < 2:
            faults.append(Fault(_FILE, module, f"lora_{'AB'['A' in pair]} is missing", "both"))
            continue
        inner = pair["A"].shape[0], pair["B"].shape[-1]
        named = patterns or type(rank) is not int
        if inner[0] != inner[1] or (not named and inner[0] != rank):
            faults.append(Fault(_FILE, module, f"rank {inner[0]} and {inner[1]}", f"{rank}, as in {ADAPTER}"))
    if isinstance(targets, list):
        adapted = {module.rpartition(".")[2] for module in pairs}
        faults += [
            Fault(ADAPTER, "target_modules", f"{name}, which has no matrices", "in the file too")
            for name in targets
            if isinstance(name, str) and not any(f".{module}".endswith(f".{name}") for module in pairs)
        ]
        faults += [
            Fault(_FILE, name, "adapted", f"not, by target_modules of {ADAPTER}")
            for name in sorted(adapted)
            if not any(isinstance(each, str) and each.endswith(name) for each in targets)
        ]
    return counted(
        "matrices of the adapter that its own config contradicts",
        faults,
        "PEFT builds what the config says, and leaves at zero what the file does not have; save the adapter again",
        cost={"adapted matrices": len(pairs)},
    )


def adapter_base(home: ModelDirectory, given: Path | None = None) -> CheckResult:
    """Adapter base: adapted modules that the base model lacks or has in another shape, and a base of another name.

    Args:
        home: The adapter's directory.
        given: The base model's, if it is neither here nor where the adapter's config says.
    """
    pairs, config = _pairs(home), home.adapter
    base = _base(home, config, given)
    try:
        matrices = {tensor.name: tensor.shape for tensor in inspect(base).named if tensor.component == "weights"}
    except WeighError as error:
        raise NotExamined(f"the base model cannot be read: {error.problem}") from None
    transposed = bool(config.get("fan_in_fan_out"))
    faults = []
    for module, pair in pairs.items():
        name = next((name for name in (f"{module}.weight", f"model.{module}.weight") if name in matrices), None)
        if name is None:
            faults.append(Fault(_FILE, module, "adapted", "a module of the base model, which has none of that name"))
        elif len(pair) == 2:
            outputs, inputs = pair["B"].shape[0], pair["A"].shape[-1]
            shape = matrices[name][::-1] if transposed else matrices[name]
            if len(shape) == 2 and shape != (outputs, inputs):
                faults.append(Fault(_FILE, module, f"for ({outputs}, {inputs})", f"for {shape}, as in the base model"))
    faults += _by_card(home, base)
    return counted(
        "facts of the base model that are not the adapter's",
        faults,
        "an adapter is a difference: on other weights than its own it is noise, and loads without an error where the "
        "shapes agree; give it the base that it was trained on",
        cost={"adapted matrices": len(pairs)},
        notes=[f"the base model is {base.name}", *_unnamed(home)],
    )


def _pairs(home: ModelDirectory) -> dict[str, dict[str, Tensor]]:
    """The thin matrices A and B of each adapted module."""
    if not home.is_adapter:
        raise NotExamined("there is no adapter")
    if not home.holds(_FILE) or _FILE in home.damage or _FILE in home.pointers:
        raise NotExamined(f"{_FILE} is missing or cannot be read")
    if str(home.adapter.get("peft_type", "LORA")).upper() != "LORA":
        raise NotExamined("the adapter is no LoRA")
    found: dict[str, dict[str, Tensor]] = {}
    for tensor in read(File(home.path / _FILE)).named:
        if (match := _PART.fullmatch(tensor.name)) and len(tensor.shape) == 2:
            found.setdefault(match[1], {})[match[2]] = tensor
    if not found:
        raise NotExamined(f"{_FILE} holds no pair of LoRA's matrices")
    return found


def _base(home: ModelDirectory, config: Mapping[str, Any], given: Path | None) -> Path:
    """The directory of the base model: the one given, this one, or the one that the adapter's config names."""
    if given is not None:
        return given
    if home.holds("config.json") and any(name != _FILE for name in home.artifacts["weights"]):
        return home.path
    said = config.get("base_model_name_or_path")
    name = said if isinstance(said, str) and said and "\0" not in said else None
    near = [] if name is None else [Path(name), home.path.parent / Path(name).name]
    found = next((path for path in near if path.is_dir() and path.resolve() != home.path.resolve()), None)
    if found is None:
        raise NotExamined(f"its base model, {said}, is not here; give it with --against")
    return found


def _by_card(home: ModelDirectory, base: Path) -> list[Fault]:
    """What the adapter's card says of its base and is not so."""
    if not home.holds("README.md"):
        return []
    try:
        found = base_model_mismatch(read_card(home.path), home.path, base)
    except WeighError:
        return []
    return [
        Fault("README.md", row["what"], row["in the card"], row["in fact"])
        for row in found.evidence
        if row["in the card"] != "no"  # a card need not name it
    ]


def _unnamed(home: ModelDirectory) -> list[str]:
    return [] if home.holds("README.md") else ["no card says which weights it was trained on: their digest is not held"]
