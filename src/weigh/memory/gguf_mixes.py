"""Which block format llama.cpp's quantizer gives each tensor: a file called Q4_K_M holds several.

The rule is the one of `llama_tensor_get_type_impl` in llama.cpp's src/llama-quant.cpp (commit 007dbbf, 2026), without
an importance matrix, for the families whose tensors its converter keeps as they are. One-dimensional tensors, tables
of positions, routers, and the small tensors of a state space stay float32. Left out are the few numbers of rotary
scaling that it adds for some models, and the file's metadata, some megabytes with the vocabulary. llama.cpp publishes
the bits per weight of Llama 3.1 8B, which this reproduces to four decimals. Files of 2024 may differ: a fused query,
key and value had a rule of its own, GPT-2 had its embeddings twice, and Mamba kept two more matrices as they are.
"""

from collections.abc import Iterator

from weigh.errors import WeighError
from weigh.models.caches import KeyValue
from weigh.models.families import FAMILIES
from weigh.models.matrices import Matrix, lm_head, matrices
from weigh.models.parameters import Model
from weigh.tensors import Tensor

MIXES = {
    "q8_0": "q8_0", "q6_k": "q6_k", "q5_k_m": "q5_k", "q5_k_s": "q5_k", "q5_1": "q5_1", "q5_0": "q5_0",
    "q4_k_m": "q4_k", "q4_k_s": "q4_k", "q4_1": "q4_1", "q4_0": "q4_0", "q3_k_l": "q3_k", "q3_k_m": "q3_k",
    "q3_k_s": "q3_k", "q2_k": "q2_k", "q2_k_s": "q2_k",
}  # fmt: skip
"""The mixes, and the block format of a tensor for which a mix has no other."""

ALIASES = {"q3_k": "q3_k_m", "q4_k": "q4_k_m", "q5_k": "q5_k_m"}
"""What llama-quantize understands by these."""

_FALLBACK = {"q2_k": "q4_0", "q3_k": "q4_0", "q4_k": "q5_0", "q5_k": "q5_1", "q6_k": "q8_0"}
_KINDS = {
    "attention value": "value", "attention query-key-value": "value", "attention key": "key",
    "attention output": "output", "feed-forward down": "down", "expert down": "down",
}  # fmt: skip
"""The matrices that a mix treats apart, by their roles. A fused query, key and value counts as a value."""


def _kind(matrix: Matrix) -> str | None:
    """What a mix treats a matrix as; `None` for those that it does not treat apart."""
    return _KINDS.get(matrix.tensor.role)


def assign(model: Model, mix: str) -> Iterator[tuple[Tensor, str, Matrix | None]]:
    """Every distinct tensor with its format, and with the matrix that it is, if it is one.

    Raises:
        WeighError: If the rule is not known for the model's family.
    """
    if model.sizes is None or not FAMILIES[model.model_type].gguf_mixes:
        known = ", ".join(family.model_type for family in FAMILIES.values() if family.gguf_mixes)
        raise WeighError(
            f"format {mix}",
            f"llama.cpp chooses its formats tensor by tensor, and weigh knows how for {known}, "
            f"not for {model.model_type} ({model.architecture}); all other formats are known",
        )
    found = {matrix.tensor.name: matrix for matrix in matrices(model)}
    rule = _Rule(model, mix, tuple(found.values()))
    head = lm_head(model)
    for tensor in model.distinct:
        matrix = found.get(tensor.name)
        if matrix:
            yield tensor, _fitting(rule.of_layer(matrix), matrix.inputs), matrix
        elif tensor.role in ("embedding", "lm head"):
            is_output = head is None or head.storage == tensor.name
            yield tensor, _fitting(rule.of_output(tensor) if is_output else MIXES[mix], tensor.shape[-1]), None
        else:
            yield tensor, "float32", None


def _fitting(block_format: str, row: int) -> str:
    """The format, or the one of smaller blocks that takes its place if rows are no multiple of its blocks."""
    if row % 256 and block_format in _FALLBACK:
        block_format = _FALLBACK[block_format]
    return block_format if row % 32 == 0 else "float16"


def _more_bits(layer: int, layers: int) -> bool:
    """The first and the last eighth of the layers, and every third between them."""
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


class _Rule:
    """The rule for one model and one mix."""

    def __init__(self, model: Model, mix: str, found: tuple[Matrix, ...]) -> None:
        self.mix, self.default = mix, MIXES[mix]
        self.layers = 1 + max(matrix.layer for matrix in found)
        self.eight_experts = any(matrix.experts == 8 for matrix in found)
        cache, out = model.caches[0], next((m.inputs for m in found if _kind(m) == "output"), 0)
        queries = out // (cache.heads * cache.value) if isinstance(cache, KeyValue) else 1
        self.grouped = queries >= 4
        # What llama.cpp takes for a 70B model: 80 layers, of Llama's kind only with grouped queries.
        kind = model.model_type == "qwen2" or (model.model_type in ("llama", "mistral") and queries > 1)
        self.seventy = self.layers == 80 and kind

    def of_output(self, tensor: Tensor) -> str:
        """The head, and the embeddings where they are the head."""
        rows_fit = tensor.shape[-1] % (256 if self.default.endswith("_k") else 32) == 0
        return "q6_k" if rows_fit and self.default != "q8_0" else "q8_0"

    def of_layer(self, matrix: Matrix) -> str:
        """A matrix of a layer."""
        kind = _kind(matrix)
        if kind == "value":
            return self._value(matrix.layer)
        if kind == "key" and self.eight_experts:
            return "q8_0"
        if kind == "down":
            return self._down(matrix.layer)
        if kind == "output" and self.eight_experts:
            return "q5_k" if self.mix in ("q2_k", "q3_k_s", "q3_k_m", "q4_k_s", "q4_k_m") else self.default
        if kind == "output":
            return {"q2_k": "q3_k", "q3_k_m": "q4_k", "q3_k_l": "q5_k"}.get(self.mix, self.default)
        return self.default

    def _value(self, layer: int) -> str:
        if self.eight_experts:
            return "q8_0"
        chosen = {
            "q2_k": "q4_k" if self.grouped else "q3_k",
            "q2_k_s": "q4_k" if self.grouped else "q2_k",
            "q3_k_m": "q5_k" if layer < 2 else "q4_k",
            "q3_k_l": "q5_k",
            "q4_k_s": "q5_k" if layer < 4 else "q4_k",
            "q4_k_m": "q6_k" if _more_bits(layer, self.layers) else "q4_k",
            "q5_k_m": "q6_k" if _more_bits(layer, self.layers) else "q5_k",
        }.get(self.mix, self.default)
        return "q5_k" if self.seventy and chosen in ("q3_k", "q4_k") else chosen

    def _down(self, layer: int) -> str:
        first_eighth, more = layer < self.layers // 8, _more_bits(layer, self.layers)
        return {
            "q2_k": "q3_k",
            "q2_k_s": "q4_k" if first_eighth else "q2_k",
            "q3_k_m": "q5_k" if layer < self.layers // 16 else "q4_k",
            "q3_k_l": "q5_k",
            "q4_k_s": "q5_k" if first_eighth else "q4_k",
            "q4_k_m": "q6_k" if more else "q4_k",
            "q5_k_m": "q6_k" if more else "q5_k",
        }.get(self.mix, self.default)
