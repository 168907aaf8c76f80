"""Llama 1 to 3 (Touvron et al. 2023, Grattafiori et al. 2024)."""

from weigh.models.config import Config
from weigh.models.decoders import DecoderSizes, caches, saves, tensors
from weigh.models.family import Family


def read(config: Config) -> DecoderSizes:
    """The sizes of Llama 7B."""
    bias = config.flag("attention_bias", False)
    return DecoderSizes.of(
        config, V=32000, D=4096, F=11008, L=32, H=32, divided=True,
        qkv_bias=bias, o_bias=bias, mlp_bias=config.flag("mlp_bias", False),
    )  # fmt: skip


FAMILY = Family(
    model_type="llama",
    architectures=("LlamaForCausalLM", "LlamaModel"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
    gguf_mixes=True,
)
