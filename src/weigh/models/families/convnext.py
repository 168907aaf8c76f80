"""ConvNeXt (Liu et al. 2022)."""

from dataclasses import dataclass

from weigh.errors import InvalidConfig
from weigh.models.caches import no_caches
from weigh.models.config import Config
from weigh.models.family import Family
from weigh.models.layers import Tensors, Weight, convolution, labels, layer_norm, linear, stack
from weigh.models.stages import Stages, stages


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of a convolutional network.

    Attributes:
        channels: The channels of an image.
        patch: Height and width of a patch of it.
        stages: The width and the depth of every stage.
        scaled: Whether what a layer adds is scaled.
        labels: The classes that a classification head tells apart.
    """

    channels: int
    patch: tuple[int, int]
    stages: Stages
    scaled: bool
    labels: int


def read(config: Config) -> Sizes:
    """The sizes of ConvNeXt tiny."""
    config.ignore("drop_path_rate", "image_size")
    found = stages(config, [96, 192, 384, 768], [3, 3, 9, 3])
    config.only("num_stages", len(found))
    scale = config.get("layer_scale_init_value", 1e-6)
    if not isinstance(scale, int | float):
        raise InvalidConfig(f"{config.where}, field layer_scale_init_value", f"must be a number, not {scale!r:.40}")
    return Sizes(config.size("num_channels", 3), config.pair("patch_size", 4), found, scale > 0, labels(config))


def tensors(s: Sizes, architecture: str) -> Tensors:
    """The tensors of stages of layers: a convolution of each channel by itself, a feed-forward four times as wide."""

    def stage(name: str, i: int) -> Tensors:
        D, depth = s.stages[i]
        if i > 0:
            inputs = s.stages[i - 1][0]
            yield from layer_norm(f"{name}.downsampling_layer.0", inputs)
            yield from convolution(f"{name}.downsampling_layer.1", inputs, D, 2, 2)
        for layer in (f"{name}.layers.{j}" for j in range(depth)):
            if s.scaled:
                yield Weight(f"{layer}.layer_scale_parameter", (D,), "scale")
            yield from convolution(f"{layer}.dwconv", 1, D, 7, 7)
            yield from layer_norm(f"{layer}.layernorm", D)
            yield from linear(f"{layer}.pwconv1", D, 4 * D, "feed-forward up")
            yield from linear(f"{layer}.pwconv2", 4 * D, D, "feed-forward down")

    body = "" if architecture == "ConvNextModel" else "convnext."
    first, last = s.stages[0][0], s.stages[-1][0]
    yield from convolution(f"{body}embeddings.patch_embeddings", s.channels, first, *s.patch)
    yield from layer_norm(f"{body}embeddings.layernorm", first)
    yield from stack(f"{body}encoder.stages", len(s.stages), stage)
    yield from layer_norm(f"{body}layernorm", last)
    if architecture == "ConvNextForImageClassification" and s.labels:
        yield from linear("classifier", last, s.labels, "classifier")


FAMILY = Family(
    model_type="convnext",
    architectures=("ConvNextModel", "ConvNextForImageClassification"),
    read=read,
    tensors=tensors,
    caches=no_caches,
)
