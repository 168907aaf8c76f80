"""ConvNeXt (Liu et al. 2022)."""

from weigh.errors import InvalidConfig
from weigh.models.config import Config
from weigh.models.families.parts import Family, Tensors, convolution, labels, layer_norm, linear, no_caches
from weigh.models.families.resnet import stages
from weigh.models.families.vit import height_and_width


def tensors(config: Config, architecture: str) -> Tensors:
    """Stages of layers: a convolution of each channel by itself, and a feed-forward four times as wide."""
    widths = stages(config, [96, 192, 384, 768], [3, 3, 9, 3])
    config.refuse("num_stages", len(widths))
    scale = config.get("layer_scale_init_value", 1e-6)
    if not isinstance(scale, int | float):
        raise InvalidConfig(f"{config.where}, field layer_scale_init_value", f"must be a number, not {scale!r:.40}")
    config.ignore("drop_path_rate", "image_size")
    body = "" if architecture == "ConvNextModel" else "convnext."
    inputs = widths[0][0]
    patch = height_and_width(config, "patch_size", 4)
    yield from convolution(f"{body}embeddings.patch_embeddings", config.size("num_channels", 3), inputs, *patch)
    yield from layer_norm(f"{body}embeddings.layernorm", inputs)
    for s, (D, depth) in enumerate(widths):
        stage = f"{body}encoder.stages.{s}"
        if s > 0:
            yield from layer_norm(f"{stage}.downsampling_layer.0", inputs)
            yield from convolution(f"{stage}.downsampling_layer.1", inputs, D, 2, 2)
        for i in range(depth):
            layer = f"{stage}.layers.{i}"
            if scale > 0:
                yield f"{layer}.layer_scale_parameter", (D,)
            yield from convolution(f"{layer}.dwconv", 1, D, 7, 7)
            yield from layer_norm(f"{layer}.layernorm", D)
            yield from linear(f"{layer}.pwconv1", D, 4 * D)
            yield from linear(f"{layer}.pwconv2", 4 * D, D)
        inputs = D
    yield from layer_norm(f"{body}layernorm", inputs)
    if architecture == "ConvNextForImageClassification":
        yield from linear("classifier", inputs, labels(config))


CONVNEXT = Family(tensors, no_caches, ("ConvNextModel", "ConvNextForImageClassification"))
