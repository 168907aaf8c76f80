"""DeepSeek-V3 (DeepSeek-AI 2024): V2 at other sizes."""

from weigh.models import latent
from weigh.models.config import Config
from weigh.models.family import Family


def read(config: Config) -> latent.LatentSizes:
    """The sizes of DeepSeek-V3."""
    config.only("mlp_bias", False)
    return latent.read(
        config, V=129280, D=7168, F=18432, L=61, H=128, experts=256, used=8, shared=1, width=2048, dense=3
    )  # fmt: skip


FAMILY = Family(
    model_type="deepseek_v3",
    architectures=("DeepseekV3ForCausalLM", "DeepseekV3Model"),
    read=read,
    tensors=latent.tensors,
    caches=latent.caches,
    saves=latent.saves,
)
