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
from weigh.models.families.parts import KeyValue
from weigh.models.matrices import Matrix, head, matrices
from weigh.models.parameters import Model
from weigh.tensors import Tensor

MIXES = {
    "q4_0": "q4_0", "q4_1": "q4_1", "q5_0": "q5_0", "q5_1": "q5_1", "q8_0": "q8_0", "q2_k": "q2_k", "q2_k_s": "q2_k",
    "q3_k_s": "q3_k", "q3_k_m": "q3_k", "q3_k_l": "q3_k", "q4_k_s": "q4_k", "q4_k_m": "q4_k", "q5_k_s": "q5_k",
    "q5_k_m": "q5_k", "q6_k": "q6_k",
}  # fmt: skip
"""The mixes, and the block format of a tensor for which a mix has no other."""

ALIASES = {"q3_k": "q3_k_m", "q4_k": "q4_k_m", "q5_k": "q5_k_m"}
"""What llama-quantize understands by these."""

MODEL_TYPES = (
    "llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen3_moe", "gemma", "gemma2", "gemma3_text", "phi3",
    "starcoder2", "olmo2", "gpt2", "gpt_neox", "phi", "mamba",
)  # fmt: skip
"""The families for which the rule is known here."""

_FALLBACK = {"q2_k": "q4_0", "q3_k": "q4_0", "q4_k": "q5_0", "q5_k": "q5_1", "q6_k": "q8_0"}
_KINDS = {
    "v_proj": "value", "qkv_proj": "value", "c_attn": "value", "query_key_value": "value", "k_proj": "key",
    "o_proj": "output", "attn.c_proj": "output", "dense": "output", "down_proj": "down", "c_proj": "down",
    "dense_4h_to_h": "down", "fc2": "down",
}  # fmt: skip
"""The matrices that a mix treats apart, by the end of their names. A fused query, key and value counts as a value."""

_EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "embeddings.weight")


def _kind(matrix: Matrix) -> str | None:
    """What a mix treats a matrix as; `None` for those that it does not treat apart."""
    name = "." + matrix.tensor.name.removesuffix(".weight")
    return next((kind for end, kind in _KINDS.items() if name.endswith(f".{end}")), None)


def assign(model: Model, mix: str) -> Iterator[tuple[Tensor, str, Matrix | None]]:
    """Every distinct tensor with its format, and with the matrix that it is, if it is one.

    Raises:
        WeighError: If the rule is not known for the model's family.
    """
    if model.model_type not in MODEL_TYPES:
        raise WeighError(
            f"format {mix}",
            f"llama.cpp chooses its formats tensor by tensor, and weigh knows how for {', '.join(MODEL_TYPES)}, "
            f"not for {model.model_type}",
        )
    found = {matrix.tensor.name: matrix for matrix in matrices(model)}
    rule = _Rule(model, mix, tuple(found.values()))
    scores = head(model)
    for tensor in model.distinct:
        matrix = found.get(tensor.name)
        if matrix:
            yield tensor, _fitting(rule.of_layer(matrix), matrix.inputs), matrix
        elif tensor.name.endswith(_EMBEDDINGS) or tensor is scores:
            is_output = scores is None or scores.storage == tensor.name
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
