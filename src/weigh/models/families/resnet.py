"""ResNet (He et al. 2015), in the form that halves an image in the middle of a bottleneck (version 1.5)."""

from weigh.errors import InvalidConfig
from weigh.models.config import Config
from weigh.models.families.parts import Family, Tensors, convolution, labels, layer_norm, linear, no_caches


def stages(config: Config, widths: list[int], depths: list[int]) -> list[tuple[int, int]]:
    """The width and the depth of every stage, for the defaults `widths` and `depths`."""
    widths, depths = config.sizes("hidden_sizes", widths), config.sizes("depths", depths)
    if len(widths) != len(depths) or not widths:
        raise InvalidConfig(
            f"{config.where}, field depths",
            f"must have one number for each of hidden_sizes, {len(widths)} in all, not {len(depths)}",
        )
    config.ignore("out_features", "out_indices", "stage_names")
    return list(zip(widths, depths, strict=True))


def normed(name: str, inputs: int, outputs: int, kernel: int) -> Tensors:
    """A convolution and its batch norm, whose bias makes another one needless."""
    yield from convolution(f"{name}.convolution", inputs, outputs, kernel, kernel, bias=False)
    yield from layer_norm(f"{name}.normalization", outputs)  # a batch norm has the same two weights


def tensors(config: Config, architecture: str) -> Tensors:
    """Stages of residual layers. A layer that changes the shape of the image has a convolution around it."""
    inputs, kind = config.size("embedding_size", 64), config.text("layer_type", "bottleneck")
    config.refuse("layer_type", "bottleneck", "basic")
    halved = config.flag("downsample_in_first_stage", False)
    config.ignore("downsample_in_bottleneck")
    body = "" if architecture == "ResNetModel" else "resnet."
    yield from normed(f"{body}embedder.embedder", config.size("num_channels", 3), inputs, 7)
    for s, (outputs, depth) in enumerate(stages(config, [256, 512, 1024, 2048], [3, 4, 6, 3])):
        for i in range(depth):
            layer = f"{body}encoder.stages.{s}.layers.{i}"
            if inputs != outputs or (i == 0 and (s > 0 or halved)):
                yield from normed(f"{layer}.shortcut", inputs, outputs, 1)
            if kind == "bottleneck":
                yield from normed(f"{layer}.layer.0", inputs, outputs // 4, 1)
                yield from normed(f"{layer}.layer.1", outputs // 4, outputs // 4, 3)
                yield from normed(f"{layer}.layer.2", outputs // 4, outputs, 1)
            else:
                yield from normed(f"{layer}.layer.0", inputs, outputs, 3)
                yield from normed(f"{layer}.layer.1", outputs, outputs, 3)
            inputs = outputs
    if architecture == "ResNetForImageClassification":
        yield from linear("classifier.1", inputs, labels(config))


RESNET = Family(tensors, no_caches, ("ResNetModel", "ResNetForImageClassification"))
