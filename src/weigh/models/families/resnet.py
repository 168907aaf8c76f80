"""ResNet (He et al. 2015), in the form that halves an image in the middle of a bottleneck (version 1.5)."""

from dataclasses import dataclass

from weigh.models.caches import no_caches
from weigh.models.config import Config
from weigh.models.family import Family
from weigh.models.layers import Tensors, convolution, labels, layer_norm, linear, stack
from weigh.models.stages import Stages, stages


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of a residual network.

    Attributes:
        channels: The channels of an image.
        first: Those that the first convolution makes of them.
        stages: The width and the depth of every stage.
        bottleneck: Whether a layer is narrower in its middle, or basic.
        halved: Whether the first stage halves the image too.
        labels: The classes that a classification head tells apart.
    """

    channels: int
    first: int
    stages: Stages
    bottleneck: bool
    halved: bool
    labels: int


def read(config: Config) -> Sizes:
    """The sizes of ResNet-50."""
    config.ignore("downsample_in_bottleneck")
    return Sizes(
        channels=config.size("num_channels", 3), first=config.size("embedding_size", 64),
        stages=stages(config, [256, 512, 1024, 2048], [3, 4, 6, 3]),
        bottleneck=config.only("layer_type", "bottleneck", "basic") == "bottleneck",
        halved=config.flag("downsample_in_first_stage", False), labels=labels(config),
    )  # fmt: skip


def normed(name: str, inputs: int, outputs: int, kernel: int) -> Tensors:
    """A convolution and its batch norm, whose bias makes another one needless."""
    yield from convolution(f"{name}.convolution", inputs, outputs, kernel, kernel, bias=False)
    yield from layer_norm(f"{name}.normalization", outputs)  # a batch norm has the same two weights


def tensors(s: Sizes, architecture: str) -> Tensors:
    """The tensors of stages of residual layers.

    A layer that changes the shape of the image has a convolution around it.
    """

    def stage(name: str, i: int) -> Tensors:
        inputs, (outputs, depth) = s.stages[i - 1][0] if i else s.first, s.stages[i]
        for j in range(depth):
            layer = f"{name}.layers.{j}"
            if inputs != outputs or (j == 0 and (i > 0 or s.halved)):
                yield from normed(f"{layer}.shortcut", inputs, outputs, 1)
            if s.bottleneck:
                yield from normed(f"{layer}.layer.0", inputs, outputs // 4, 1)
                yield from normed(f"{layer}.layer.1", outputs // 4, outputs // 4, 3)
                yield from normed(f"{layer}.layer.2", outputs // 4, outputs, 1)
            else:
                yield from normed(f"{layer}.layer.0", inputs, outputs, 3)
                yield from normed(f"{layer}.layer.1", outputs, outputs, 3)
            inputs = outputs

    body = "" if architecture == "ResNetModel" else "resnet."
    yield from normed(f"{body}embedder.embedder", s.channels, s.first, 7)
    yield from stack(f"{body}encoder.stages", len(s.stages), stage)
    if architecture == "ResNetForImageClassification" and s.labels:
        yield from linear("classifier.1", s.stages[-1][0], s.labels, "classifier")


FAMILY = Family(
    model_type="resnet",
    architectures=("ResNetModel", "ResNetForImageClassification"),
    read=read,
    tensors=tensors,
    caches=no_caches,
)
