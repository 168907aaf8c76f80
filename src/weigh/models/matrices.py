"""The matrices in a model's layers: what quantizers pack, and what sets the width of a forward pass.

Everything is read from the names and shapes of the tensors, so it holds for every family. A name with a number in it is
inside a layer. Embeddings, heads, norms, biases, convolutions, routers and tables of positions are no such matrices.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from weigh.models.parameters import Model
from weigh.tensors import Tensor

_LAYER = re.compile(r"(?:^|\.)(\d+)\.")
_ATTENTION = re.compile(r".*?\d+\.(?:.*?\.)??\w*(?:attn|[Aa]ttention|mixer)(?=\.\w+\.|$)")
_TABLES = ("gate.weight", "router.weight", "relative_attention_bias.weight")


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix of a layer, or a stack of them, one for each expert.

    Attributes:
        tensor: The tensor.
        part: The part of the layer that it belongs to: an attention, a feed-forward network, or a set of experts.
        layer: The number of the layer.
        experts: How many matrices the tensor stacks; 0 if it is no stack of experts.
        outputs: The numbers that come out for each token.
        inputs: The numbers that go in.
    """

    tensor: Tensor
    part: str
    layer: int
    experts: int
    outputs: int
    inputs: int

    @property
    def count(self) -> int:
        """How many matrices there are."""
        return self.experts or 1

    @property
    def is_attention(self) -> bool:
        """Whether it belongs to an attention, or to what stands in its place."""
        return _ATTENTION.fullmatch(self.part) is not None


def layer_of(name: str) -> int | None:
    """The number of the layer that a tensor belongs to, or `None` if it is outside the layers."""
    found = _LAYER.search(name)
    return int(found[1]) if found else None


def layer_name(name: str) -> str:
    """The name of the layer that a tensor belongs to, such as `model.layers.0`; its own if it is outside the layers."""
    found = _LAYER.search(name)
    return name[: found.end() - 1] if found else name


def is_hidden_matrix(tensor: Tensor) -> bool:
    """Whether a weight is a matrix that multiplies inside a layer: no embedding, head, router or stack of experts.

    Such weights are the linear layers that LoRA adapts, and those that Muon is for.
    """
    linear = len(tensor.shape) == 2 and tensor.name.endswith(".weight") and not tensor.name.endswith(_TABLES)
    return linear and layer_of(tensor.name) is not None


def matrices(model: Model) -> tuple[Matrix, ...]:
    """The matrices of all layers, in the order of the model."""
    return tuple(_matrices(model))


def _matrices(model: Model) -> Iterator[Matrix]:
    for tensor in model.named:
        layer = layer_of(tensor.name)
        stack = len(tensor.shape) == 3 and ".experts." in tensor.name
        if layer is not None and (stack or is_hidden_matrix(tensor)):
            outputs, inputs = tensor.shape[-2:]
            if model.model_type == ("gpt_oss" if stack else "gpt2"):  # these store (inputs, outputs)
                outputs, inputs = inputs, outputs
            yield Matrix(tensor, _part(tensor.name), layer, tensor.shape[0] if stack else 0, outputs, inputs)


def _part(name: str) -> str:
    attention = _ATTENTION.match(name)
    if attention:
        return attention[0]
    layer = name[: list(_LAYER.finditer(name))[-1].end()]
    experts = next((kind for kind in ("shared_expert", "experts") if f".{kind}" in name), "")
    return f"{layer}{experts or 'feed-forward'}"


def parts(model: Model) -> dict[str, list[Matrix]]:
    """The matrices by the part of a layer that they belong to, in order. The last one leads back to the model width."""
    found: dict[str, list[Matrix]] = {}
    for matrix in matrices(model):
        found.setdefault(matrix.part, []).append(matrix)
    return found


def head(model: Model) -> Tensor | None:
    """The matrix (V, D) that gives a score to every word of the vocabulary, which may be the word embeddings."""
    return next((t for t in model.named if t.name in ("lm_head.weight", "proj_out.weight")), None)


def experts_used(model: Model) -> tuple[int, int] | None:
    """How many experts of a layer a token passes through, and of how many; `None` for a model without."""
    stacks = [matrix for matrix in matrices(model) if matrix.experts]
    if not stacks:
        return None
    count = stacks[0].experts
    routed = sum(tensor.numel for tensor in model.distinct if ".experts." in tensor.name)  # with their biases
    idle = model.parameters - model.active_parameters
    return count - idle * count // routed, count
