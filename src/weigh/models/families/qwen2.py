"""Qwen2 and Qwen2.5 (Yang et al. 2024): Llama with biases on queries, keys and values."""

from weigh.models.config import Config
from weigh.models.decoders import DecoderSizes, caches, saves, tensors, upper_layers
from weigh.models.family import Family


def read(config: Config) -> DecoderSizes:
    """The sizes of the reference's default. Where the config uses its window, the upper layers have it."""
    return DecoderSizes.of(
        config, V=151936, D=4096, F=22016, L=32, H=32, K=32, qkv_bias=True, windows=upper_layers
    )  # fmt: skip


FAMILY = Family(
    model_type="qwen2",
    architectures=("Qwen2ForCausalLM", "Qwen2Model"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
    gguf_mixes=True,
)
