"""The parts of a multimodal model: what reads text, images and sound, and what projects the one into the other.

The modules around a parameter are called after what they are for. Where the outermost are called `encoder` alone, their
first convolution tells: over three colours, or over time.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from weigh.models.roles import Constructed

PARTS = ("text", "vision", "audio", "projector", "other")
"""The parts, in the order in which they are named."""

_NAMES = (
    ("projector", r"project(?:or|ion)|connector|align|merger|resampler|qformer|perceiver|adapt[eo]r|_to_(?:text|mm)_"),
    ("other", r"protein|cross_modal|multimodal_model|multi_modal_(?:decoder|fusion)|diffusion|flow_head|prompt|^mit$"),
    ("text", r"language_model|(?:^|_)text_?(?:model|encoder|decoder|backbone|$)|^llm"),
    ("vision", r"vision|visual|image|img|video|pixel|patch_embed|high_res"),
    ("audio", r"audio|speech(?!t5)|acoustic|semantic|sound|voice|codec|vocoder|depth_decoder"),
)  # fmt: skip
"""What the modules of a part are called."""

_INNER_PROJECTOR = re.compile(r"projector|connector|align|merger|resampler|adapt[eo]r")
"""What a projector is called inside the part whose output it projects; what projects patches is none."""

_TABLES = (
    ".embed_tokens.weight", ".word_embeddings.weight", ".token_embedding.weight", ".embed_text_tokens.weight",
    ".wte.weight", ".shared.weight", ".embed_in.weight", ".embedding.weight", ".embeddings.weight",
)  # fmt: skip
"""The ends of the names of word embeddings, with a dot before."""

_NUMBER = re.compile(r"(?:^|\.)\d+(?:\.|$)")
_HEADS = ("lm_head", "proj_out", "logits")
_ENCODER = re.compile(r"encoder|tower|backbone$|conformer")


class Named(Protocol):
    """A tensor with a name and a shape."""

    @property
    def name(self) -> str:
        """Its key in the state dict."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its dimensions."""


def parts(constructed: "Constructed") -> dict[str, int]:
    """The parameters of each part of a multimodal model, tied ones once; nothing for a model of one part."""
    of = part_of(constructed.parameters)
    sizes = dict.fromkeys(PARTS, 0)
    for parameter in constructed.parameters if of else ():
        if not parameter.tied_to:
            sizes[of[parameter.name]] += prod(parameter.shape)
    return {part: size for part, size in sizes.items() if size}


def part_of(tensors: Iterable[Named]) -> dict[str, str]:
    """The part of each tensor of a multimodal model, by its name; nothing for a model of one part."""
    groups: dict[str, list[Named]] = defaultdict(list)
    of = {}
    for tensor in tensors:
        modules = _modules(tensor.name)
        of[tensor.name] = _by_modules(modules)
        groups["lm_head" if tensor.name.startswith(_HEADS) else _outermost(modules)].append(tensor)
    has_text = "text" in of.values()
    for group, inside in groups.items():
        reads_words = any(f".{tensor.name}".endswith(_TABLES) for tensor in inside)
        rest = "text" if reads_words or group == "lm_head" or (group and not has_text) else "other"
        if not reads_words and _ENCODER.search(group):
            called = {of[tensor.name] for tensor in inside} & {"vision", "audio"}
            rest = called.pop() if len(called) == 1 else _by_shapes(inside, anywhere=has_text) or rest
        of |= {tensor.name: rest for tensor in inside if not of[tensor.name]}
    words = has_text or any(part == "text" and f".{name}".endswith(_TABLES) for name, part in of.items())
    return of if words and {"vision", "audio"} & set(of.values()) else {}


def _modules(name: str) -> str:
    """The modules around a parameter, up to the first that has a number."""
    number = _NUMBER.search(name)
    return name[: number.start()] if number else name.rpartition(".")[0]


@cache
def _outermost(modules: str) -> str:
    """The outermost module that is called more than `model`."""
    return next((module for module in modules.split(".") if module != "model"), "")


@cache
def _by_modules(modules: str) -> str:
    """The part that the modules around a parameter are called after; nothing if they are called after none."""
    outermost, found = _outermost(modules), ""
    if modules.partition(".")[0] == "lm_head":
        return ""
    for module in modules.lower().split("."):
        if found in ("vision", "audio") and _INNER_PROJECTOR.search(module):
            return "projector"
        called = next((part for part, pattern in _NAMES if re.search(pattern, module)), "")
        # What projects patches or words inside a module of another name projects no part into another.
        found = found or ("" if called == "projector" and module != outermost else called)
    return found


def _by_shapes(inside: list[Named], *, anywhere: bool) -> str:
    """What an encoder reads, by its first convolution outside the layers, or `anywhere`; nothing if none tells."""
    from weigh.models.roles import layer_of  # whose patterns take longer to compile than most parts to find

    for tensor in inside:
        if not anywhere and layer_of(tensor.name) is not None and ".conv_layers." not in tensor.name:
            continue
        if ".patch_" in tensor.name:
            return "vision"
        if tensor.name.endswith("weight") and len(tensor.shape) > 2:
            channels = {3: "vision", 1: "audio"}.get(tensor.shape[1], "")
            return channels if len(tensor.shape) > 3 else "audio"
    return ""
