"""The Vision Transformer (Dosovitskiy et al. 2021)."""

from weigh.errors import InvalidConfig
from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.parts import Family, Tensors, convolution, labels, layer_norm, linear, no_caches


def height_and_width(config: Config, field: str, default: int) -> tuple[int, int]:
    """A field that is the side of a square, or a height and a width."""
    if not isinstance(config.get(field), list):
        return config.size(field, default), config.size(field, default)
    sides = config.sizes(field, [])
    if len(sides) != 2:
        raise InvalidConfig(f"{config.where}, field {field}", f"must be a height and a width, not {sides!r:.40}")
    return sides[0], sides[1]


def tensors(config: Config, architecture: str) -> Tensors:
    """The patches of an image as its words, with one token more to stand for the whole."""
    image, patch = height_and_width(config, "image_size", 224), height_and_width(config, "patch_size", 16)
    L, D, F = (
        config.size("num_hidden_layers", 12),
        config.size("hidden_size", 768),
        config.size("intermediate_size", 3072),
    )
    H = config.size("num_attention_heads", 12)
    width, bias = H * config.size("head_dim", D // H), config.flag("qkv_bias", True)
    pooled = config.size("pooler_output_size", D)
    config.ignore("encoder_stride", "pooler_act")
    body = "" if architecture == "ViTModel" else "vit."
    yield f"{body}embeddings.cls_token", (1, 1, D)
    yield f"{body}embeddings.position_embeddings", (1, (image[0] // patch[0]) * (image[1] // patch[1]) + 1, D)
    yield from convolution(f"{body}embeddings.patch_embeddings.projection", config.size("num_channels", 3), D, *patch)
    for i in range(L):
        layer = f"{body}layers.{i}"
        for name in ("q_proj", "k_proj", "v_proj"):
            yield from linear(f"{layer}.attention.{name}", D, width, bias)
        yield from linear(f"{layer}.attention.o_proj", width, D)
        yield from layer_norm(f"{layer}.layernorm_before", D)
        yield from layer_norm(f"{layer}.layernorm_after", D)
        yield from linear(f"{layer}.mlp.fc1", D, F)
        yield from linear(f"{layer}.mlp.fc2", F, D)
    yield from layer_norm(f"{body}layernorm", D)
    if architecture == "ViTModel":
        yield from linear("pooler.dense", D, pooled)
    if architecture == "ViTForImageClassification":
        yield from linear("classifier", D, labels(config))


def saves(config: Config, architecture: str) -> saved.Saves:
    """Norms before each part. What is read are the patches of an image and one token more, whatever the sequence."""
    D, H = config.size("hidden_size", 768), config.size("num_attention_heads", 12)
    F, E, rate = (
        config.size("intermediate_size", 3072),
        config.size("head_dim", D // H),
        config.get("hidden_dropout_prob", 0),
    )
    image, patch = height_and_width(config, "image_size", 224), height_and_width(config, "patch_size", 16)
    T = (image[0] // patch[0]) * (image[1] // patch[1]) + 1
    heads = saved.attention(H, H, E, config.get("attention_probs_dropout_prob", 0))
    mlp = saved.feed_forward(F, saved.activation(config, "gelu"))
    one = saved.reading(T, saved.layer(D, 2 * saved.norm(saved.LAYER, D), heads, mlp, saved.dropped(rate, D, 2)))
    pixels = config.size("num_channels", 3) * image[0] * image[1]
    outside = [
        *saved.piece("images", "b · P", T=1, P=pixels),
        *saved.reading(T, [*saved.norm(saved.LAYER, D), *saved.dropped(rate, D)]),
    ]
    return saved.Saves([one] * config.size("num_hidden_layers", 12), outside, loss_32=False)


VIT = Family(tensors, no_caches, ("ViTModel", "ViTForImageClassification"), saves=saves)
