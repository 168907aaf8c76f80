"""CLIP (Radford et al. 2021): an encoder of text and one of images, projected into one space."""

from dataclasses import dataclass

from weigh.models import saved
from weigh.models.caches import no_caches
from weigh.models.config import Config
from weigh.models.family import Family
from weigh.models.layers import Tensors, Weight, convolution, embedding, layer_norm, linear, stack
from weigh.models.seq2seq import attention


@dataclass(frozen=True, slots=True)
class Tower:
    """The sizes of one of the two encoders: width, feed-forward width, layers, heads."""

    D: int
    F: int
    L: int
    H: int
    activation: saved.Activation
    score_dropout: float


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of both encoders.

    Attributes:
        text, vision: The encoders.
        V, positions: The words of the text, and its learned positions.
        image, patch, channels: The side of an image and of a patch of it, and its channels.
        P: The width of the space that both are projected into.
    """

    text: Tower
    vision: Tower
    V: int
    positions: int
    image: int
    patch: int
    channels: int
    P: int

    @property
    def patches(self) -> int:
        """The patches of an image, and one token more to stand for the whole."""
        return (self.image // self.patch) ** 2 + 1


def fields_of(config: Config, field: str) -> Config:
    """The fields of one encoder. Those of older configs, under a longer name, replace the others altogether."""
    config.ignore(field)
    return config.nested(f"{field}_dict" if f"{field}_dict" in config.fields else field)


def tower(config: Config, D: int, F: int, H: int) -> Tower:
    """The sizes of one encoder; the arguments are its defaults."""
    config.ignore("projection_dim", "tie_word_embeddings")  # the whole model's count
    D, H = config.size("hidden_size", D), config.size("num_attention_heads", H)
    config.split("hidden_size", "num_attention_heads", D, H)
    return Tower(
        D, config.size("intermediate_size", F), config.layers("num_hidden_layers", 12), H,
        saved.activation(config, "quick_gelu"), config.rate("attention_dropout", 0),
    )  # fmt: skip


def read(config: Config) -> Sizes:
    """The sizes of CLIP ViT-B/32."""
    config.ignore("logit_scale_init_value", "tie_word_embeddings")
    text, vision = fields_of(config, "text_config"), fields_of(config, "vision_config")
    return Sizes(
        tower(text, 512, 2048, 8), tower(vision, 768, 3072, 12),
        V=text.size("vocab_size", 49408), positions=text.size("max_position_embeddings", 77),
        image=vision.size("image_size", 224), patch=vision.size("patch_size", 32),
        channels=vision.size("num_channels", 3), P=config.size("projection_dim", 512),
    )  # fmt: skip


def encoder(name: str, s: Tower) -> Tensors:
    """The layers of either encoder. Both normalise before the attention and before the feed-forward."""

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s.D)
        yield from layer_norm(f"{name}.layer_norm1", s.D)
        yield from linear(f"{name}.mlp.fc1", s.D, s.F, "feed-forward up")
        yield from linear(f"{name}.mlp.fc2", s.F, s.D, "feed-forward down")
        yield from layer_norm(f"{name}.layer_norm2", s.D)

    return stack(f"{name}.layers", s.L, layer)


def tensors(s: Sizes, architecture: str) -> Tensors:
    """The tensors of both encoders, a projection of each, and one number that scales their likeness."""
    yield Weight("logit_scale", (), "scale")

    D = s.text.D
    yield from embedding("text_model.embeddings.token_embedding", s.V, D)
    yield from embedding("text_model.embeddings.position_embedding", s.positions, D, "position table")
    yield from encoder("text_model.encoder", s.text)
    yield from layer_norm("text_model.final_layer_norm", D)

    W, projection = s.vision.D, "vision_model.embeddings.patch_embedding"
    yield Weight("vision_model.embeddings.class_embedding", (W,), "token")
    yield from convolution(projection, s.channels, W, s.patch, s.patch, bias=False)
    yield from embedding("vision_model.embeddings.position_embedding", s.patches, W, "position table")
    yield from layer_norm("vision_model.pre_layrnorm", W)
    yield from encoder("vision_model.encoder", s.vision)
    yield from layer_norm("vision_model.post_layernorm", W)

    yield from linear("visual_projection", W, s.P, "projection", bias=False)
    yield from linear("text_projection", D, s.P, "projection", bias=False)


def saved_layer(s: Tower) -> saved.SavedTensors:
    """The saved tensors of a layer of either encoder."""
    attention = saved.attention(s.H, s.H, s.D // s.H, s.score_dropout)
    mlp = saved.feed_forward(s.F, s.activation.kept)
    return saved.layer(s.D, 2 * saved.norm(saved.LAYER, s.D), attention, mlp)


def saves(s: Sizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of both encoders.

    The one reads the sequence, the other the patches of an image and one token more. Of each, one token is projected.
    The norm after the words and that before the layers of patches feed no matrix.
    """
    W = s.vision.D
    patches = [
        *saved.norm(saved.LAYER, W, results=0),
        *saved.one("what the projected patch is a view of", "b · D", D=W),
    ]
    outside = [
        *saved.norm(saved.LAYER, s.text.D, results=0),
        *saved.reading(s.patches, patches),
        *saved.one("images", "b · C · P · P", T=1, C=s.channels, P=s.image),
    ]
    words = [saved_layer(s.text)] * s.text.L
    images = [saved.reading(s.patches, saved_layer(s.vision))] * s.vision.L
    return saved.SavedActivations([*words, *images], outside)


FAMILY = Family(
    model_type="clip",
    architectures=("CLIPModel",),
    read=read,
    tensors=tensors,
    caches=no_caches,
    saves=saves,
)
