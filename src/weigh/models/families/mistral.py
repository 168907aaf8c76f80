"""Mistral 7B (Jiang et al. 2023): Llama whose layers attend to a sliding window."""

from weigh.models.config import Config
from weigh.models.decoders import DecoderSizes, caches, every_layer, saves, tensors
from weigh.models.family import Family


def read(config: Config) -> DecoderSizes:
    """The sizes of Mistral 7B. Later releases set the window to null."""
    return DecoderSizes.of(config, V=32000, D=4096, F=14336, L=32, H=32, K=8, windows=every_layer(4096))


FAMILY = Family(
    model_type="mistral",
    architectures=("MistralForCausalLM", "MistralModel"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
    gguf_mixes=True,
)
