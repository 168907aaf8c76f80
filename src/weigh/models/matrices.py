"""The matrices in a model's layers: what quantizers pack, and what sets the width of a forward pass.

A tensor's role says whether it is one. Embeddings, heads, norms, biases, convolutions, routers and tables of positions
are no such matrices.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, takewhile

from weigh.errors import UnsupportedField
from weigh.models.layers import SUBLAYERS
from weigh.models.parameters import Model
from weigh.tensors import Tensor


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix of a layer, or a stack of them, one for each expert.

    Attributes:
        tensor: The tensor.
        sublayer: What it belongs to, one of `weigh.models.layers.SUBLAYERS`.
        layer: The number of the layer.
        experts: How many matrices the tensor stacks; 0 if it is no stack.
        outputs: The numbers that come out for each token.
        inputs: The numbers that go in.
        uses: How many of the matrices a token passes through, on average where experts are tensors of their own.
    """

    tensor: Tensor
    sublayer: str
    layer: int
    experts: int
    outputs: int
    inputs: int
    uses: Fraction

    @property
    def count(self) -> int:
        """How many matrices there are."""
        return self.experts or 1

    @property
    def leads_back(self) -> bool:
        """Whether its outputs are those of the sublayer, at the model's width."""
        return self.tensor.role.endswith((" output", " down"))


def matrices(model: Model) -> tuple[Matrix, ...]:
    """The matrices of all layers, in the order of the model."""
    return tuple(_matrices(model))


def _matrices(model: Model) -> Iterator[Matrix]:
    for tensor in model.named:
        sublayer = _sublayer(tensor)
        if sublayer and tensor.layer is not None and tensor.numel:
            outputs, inputs = sides(tensor)
            stack = tensor.shape[0] if len(tensor.shape) == 3 else 0
            used, count = tensor.experts or (1, 1)
            yield Matrix(tensor, sublayer, tensor.layer, stack, outputs, inputs, Fraction((stack or 1) * used, count))


def _sublayer(tensor: Tensor) -> str:
    """The sublayer of a matrix; nothing for other tensors."""
    sublayer, _, what = tensor.role.partition(" ")
    return sublayer if sublayer in SUBLAYERS and what != "bias" else ""


def sides(matrix: Tensor) -> tuple[int, int]:
    """Outputs and inputs of a matrix, whichever way round it is stored."""
    outputs, inputs = matrix.shape[-2:]
    return (inputs, outputs) if matrix.transposed else (outputs, inputs)


def is_hidden_matrix(tensor: Tensor) -> bool:
    """Whether a weight is a matrix that multiplies inside a layer: no embedding, head, router or stack of experts.

    Such weights are the linear layers that LoRA adapts, and those that Muon is for.
    """
    if not tensor.role:
        return _is_named_like_a_hidden_matrix(tensor)
    return _sublayer(tensor) not in ("", "expert") and len(tensor.shape) == 2 and tensor.numel > 0


def is_table(tensor: Tensor) -> bool:
    """Whether a weight is a table of vectors that are looked up, of words, positions or segments: `nn.Embedding`."""
    if not tensor.name.endswith(".weight") or len(tensor.shape) != 2:
        return False
    if not tensor.role:
        return re.search(r"(?:embed[a-z]*|emb|wte|wpe|shared)\.weight$", tensor.name) is not None
    return tensor.role in ("embedding", "position table", "segment table")


def _is_named_like_a_hidden_matrix(tensor: Tensor) -> bool:
    """The same of a tensor from a file, of which only the name and the shape are known: a layer has a number."""
    tables = ("gate.weight", "router.weight", "relative_attention_bias.weight")
    linear = len(tensor.shape) == 2 and tensor.name.endswith(".weight") and not tensor.name.endswith(tables)
    return linear and re.search(r"(?:^|\.)\d+\.", tensor.name) is not None


def layer_name(tensor: Tensor) -> str:
    """The name of the layer that a tensor belongs to, such as `model.layers.0`; its own if it is outside the layers."""
    if tensor.layer is None:
        return tensor.name
    return f"{tensor.name.partition(f'.{tensor.layer}.')[0]}.{tensor.layer}"


def known_experts(model: Model, tensor: Tensor) -> tuple[int, int]:
    """Of how many experts a token passes through how many, for a tensor of experts: `(used, count)`.

    Raises:
        UnsupportedField: If the config does not say how many it passes through.
    """
    used, count = tensor.experts or (1, 1)
    if not used:
        raise UnsupportedField(
            f"{model.config.where}, field num_experts_per_tok",
            f"is missing, so that nobody says how many of the {count:,} experts a token passes through",
        )
    return used, count


def read_text(model: Model, tensors: Iterable[Tensor]) -> Iterator[Tensor]:
    """The tensors that every token passes by: all but those of encoders for images or sound beside a language model."""
    parts = model.part_of
    return (tensor for tensor in tensors if parts.get(tensor.name, "text") == "text")


def sublayers(model: Model) -> list[list[Matrix]]:
    """The matrices of every sublayer, in the order of the model."""
    return [list(found) for _, found in groupby(matrices(model), key=lambda matrix: (matrix.layer, matrix.sublayer))]


def sublayer_name(found: list[Matrix]) -> str:
    """What to call a sublayer: the module of its matrices, or, of a feed-forward, that of its layer and what it is."""
    names = zip(*(matrix.tensor.name.split(".") for matrix in found), strict=False)
    path = [alike[0] for alike in takewhile(lambda parts: len(set(parts)) == 1, names)]
    sublayer = found[0].sublayer
    if sublayer in ("attention", "cross-attention", "mixer"):
        return ".".join(path)
    while not path[-1].isdigit():
        path = path[:-1]
    return ".".join([*path, {"expert": "experts", "shared-expert": "shared_expert"}.get(sublayer, sublayer)])


def lm_head(model: Model) -> Tensor | None:
    """The matrix (V, D) that gives a score to every word of the vocabulary, which may be the word embeddings."""
    return next((tensor for tensor in model.named if tensor.role == "lm head"), None)


def vocabulary(model: Model) -> int:
    """V, the scores that the head gives for each position; 0 for a model without one.

    A head may have a bias alone, and the word embeddings for its matrix.
    """
    return next((tensor.shape[0] for tensor in model.named if tensor.role in ("lm head", "lm head bias")), 0)
