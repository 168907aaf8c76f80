"""DeepSeek-V2 (DeepSeek-AI 2024): latent attention, and many small experts beside some that all tokens share."""

from weigh.models import latent
from weigh.models.config import Config
from weigh.models.family import Family


def read(config: Config) -> latent.LatentSizes:
    """The sizes of the reference's default."""
    return latent.read(
        config, V=102400, D=4096, F=11008, L=32, H=32, divided=True,
        experts=64, used=None, shared=2, width=1407, dense=0, mlp_bias=config.flag("mlp_bias", False),
    )  # fmt: skip


FAMILY = Family(
    model_type="deepseek_v2",
    architectures=("DeepseekV2ForCausalLM", "DeepseekV2Model"),
    read=read,
    tensors=latent.tensors,
    caches=latent.caches,
    saves=latent.saves,
)
