"""Families of models, a module each: the list of a model's tensors, what its layers keep while it generates, and what
they save for a backward pass.

To add one, write a module that is called like its `model_type`, with a `Family` in capitals, and name it here.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module

from weigh.models.families.parts import Family, Routed, TiedTo

__all__ = ["FAMILIES", "Family", "Routed", "TiedTo"]

MODEL_TYPES = (
    "gpt2", "gpt_neo", "gpt_neox", "gptj", "opt", "bloom", "falcon", "phi", "phi3", "llama", "mistral", "mixtral",
    "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "gemma", "gemma2", "gemma3_text", "cohere", "starcoder2",
    "stablelm", "olmo", "olmo2", "deepseek_v2", "deepseek_v3", "gpt_oss", "mamba", "bert", "roberta", "distilbert",
    "albert", "electra", "deberta-v2", "t5", "bart", "vit", "clip", "whisper", "resnet", "convnext",
)  # fmt: skip


class _Families(Mapping[str, Family]):
    """Imports a family when it is asked for: together they would take longer than all else that `weigh` imports."""

    def __getitem__(self, model_type: str) -> Family:
        if model_type not in MODEL_TYPES:
            raise KeyError(model_type)
        name = model_type.replace("-", "_")
        module = "deepseek" if name.startswith("deepseek") else name
        family: Family = getattr(import_module(f"weigh.models.families.{module}"), name.upper())
        return family

    def __iter__(self) -> Iterator[str]:
        return iter(MODEL_TYPES)

    def __len__(self) -> int:
        return len(MODEL_TYPES)


FAMILIES = _Families()
"""Every family that `weigh` knows, by the `model_type` of its configs."""
