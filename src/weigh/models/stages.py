"""What convolutional networks are written with: stages of layers, each at its own width."""

from weigh.errors import InvalidConfig
from weigh.models.config import MAX_LAYERS, Config

Stages = tuple[tuple[int, int], ...]


def stages(config: Config, widths: list[int], depths: list[int]) -> Stages:
    """The width and the depth of every stage, for the defaults `widths` and `depths`."""
    widths, depths = config.sizes("hidden_sizes", widths), config.sizes("depths", depths)
    if len(widths) != len(depths) or not widths:
        raise InvalidConfig(
            f"{config.where}, field depths",
            f"must have one number for each of hidden_sizes, {len(widths)} in all, not {len(depths)}",
        )
    if sum(depths) > MAX_LAYERS:
        raise InvalidConfig(f"{config.where}, field depths", f"{sum(depths):,} layers, and weigh counts {MAX_LAYERS:,}")
    config.ignore("out_features", "out_indices", "stage_names")
    return tuple(zip(widths, depths, strict=True))
