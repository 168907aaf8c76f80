"""The Vision Transformer (Dosovitskiy et al. 2021)."""

from dataclasses import dataclass

from weigh.models import saved
from weigh.models.caches import no_caches
from weigh.models.config import Config
from weigh.models.family import Family
from weigh.models.layers import Tensors, Weight, convolution, labels, layer_norm, linear, stack


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of an encoder of images.

    Attributes:
        image, patch: Height and width of an image and of a patch of it.
        channels: The channels of an image.
        D, F, L, H, E: Width, feed-forward width, layers, heads, head size.
        P: The width of the pooler.
        labels: The classes that a classification head tells apart.
        bias: Whether queries, keys and values have biases.
        activation: The activation function of the feed-forward.
        dropout, score_dropout: The rates at which numbers and attention scores are dropped.
    """

    image: tuple[int, int]
    patch: tuple[int, int]
    channels: int
    D: int
    F: int
    L: int
    H: int
    E: int
    P: int
    labels: int
    bias: bool
    activation: saved.Activation
    dropout: float
    score_dropout: float

    @property
    def T(self) -> int:
        """The patches of an image, and one token more to stand for the whole."""
        return (self.image[0] // self.patch[0]) * (self.image[1] // self.patch[1]) + 1


def read(config: Config) -> Sizes:
    """The sizes of ViT base. Heads need not divide the width."""
    config.ignore("encoder_stride", "pooler_act")
    D, H = config.size("hidden_size", 768), config.size("num_attention_heads", 12)
    return Sizes(
        image=config.pair("image_size", 224), patch=config.pair("patch_size", 16),
        channels=config.size("num_channels", 3), D=D, F=config.size("intermediate_size", 3072),
        L=config.layers("num_hidden_layers", 12), H=H, E=config.size("head_dim", D // H),
        P=config.size("pooler_output_size", D), labels=labels(config), bias=config.flag("qkv_bias", True),
        activation=saved.activation(config, "gelu"), dropout=config.rate("hidden_dropout_prob", 0),
        score_dropout=config.rate("attention_probs_dropout_prob", 0),
    )  # fmt: skip


def tensors(s: Sizes, architecture: str) -> Tensors:
    """The tensors of an encoder whose words are the patches of an image."""

    def layer(name: str, i: int) -> Tensors:
        for what in ("query", "key", "value"):
            yield from linear(f"{name}.attention.{what[0]}_proj", s.D, s.H * s.E, f"attention {what}", s.bias)
        yield from linear(f"{name}.attention.o_proj", s.H * s.E, s.D, "attention output")
        yield from layer_norm(f"{name}.layernorm_before", s.D)
        yield from layer_norm(f"{name}.layernorm_after", s.D)
        yield from linear(f"{name}.mlp.fc1", s.D, s.F, "feed-forward up")
        yield from linear(f"{name}.mlp.fc2", s.F, s.D, "feed-forward down")

    body = "" if architecture == "ViTModel" else "vit."
    yield Weight(f"{body}embeddings.cls_token", (1, 1, s.D), "token")
    yield Weight(f"{body}embeddings.position_embeddings", (1, s.T, s.D), "position table")
    yield from convolution(f"{body}embeddings.patch_embeddings.projection", s.channels, s.D, *s.patch)
    yield from stack(f"{body}layers", s.L, layer)
    yield from layer_norm(f"{body}layernorm", s.D)
    if architecture == "ViTModel":
        yield from linear("pooler.dense", s.D, s.P, "pooler")
    if architecture == "ViTForImageClassification" and s.labels:
        yield from linear("classifier", s.D, s.labels, "classifier")


def saves(s: Sizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of an encoder with norms before each sublayer.

    What is read are the patches of an image, whatever the sequence.
    """
    norm, masks = saved.norm(saved.LAYER, s.D), saved.dropped(s.dropout, s.D)
    attention = saved.attention(s.H, s.H, s.E, s.score_dropout)
    mlp = saved.feed_forward(s.F, s.activation.kept)
    layer = saved.reading(s.T, saved.layer(s.D, 2 * norm, attention, mlp, 2 * masks))
    images = saved.one("images", "b · P", T=1, P=s.channels * s.image[0] * s.image[1])
    return saved.SavedActivations([layer] * s.L, [*images, *saved.reading(s.T, [*norm, *masks])], loss_32=False)


FAMILY = Family(
    model_type="vit",
    architectures=("ViTModel", "ViTForImageClassification"),
    read=read,
    tensors=tensors,
    caches=no_caches,
    saves=saves,
)
