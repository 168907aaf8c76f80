"""CLIP (Radford et al. 2021): an encoder of text and one of images, projected into one space."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.bart import attention
from weigh.models.families.parts import Family, Tensors, convolution, layer_norm, linear, no_caches


def side(config: Config, field: str) -> Config:
    """The fields of one side. Those of older configs, under a longer name, replace the others altogether."""
    config.ignore(field)
    return config.part(f"{field}_dict" if f"{field}_dict" in config.fields else field)


def encoder(name: str, config: Config, D: int, F: int, H: int) -> Tensors:
    """The layers of either side. Both normalise before the attention and before the feed-forward."""
    D, F = config.size("hidden_size", D), config.size("intermediate_size", F)
    config.split("hidden_size", "num_attention_heads", D, config.size("num_attention_heads", H))
    config.ignore("projection_dim", "tie_word_embeddings")  # the whole model's count
    for i in range(config.size("num_hidden_layers", 12)):
        layer = f"{name}.layers.{i}"
        yield from attention(f"{layer}.self_attn", D)
        yield from layer_norm(f"{layer}.layer_norm1", D)
        yield from linear(f"{layer}.mlp.fc1", D, F)
        yield from linear(f"{layer}.mlp.fc2", F, D)
        yield from layer_norm(f"{layer}.layer_norm2", D)


def tensors(config: Config, architecture: str) -> Tensors:
    """The text model, the vision model, a projection of each, and one number that scales their likeness."""
    text, vision = side(config, "text_config"), side(config, "vision_config")
    P = config.size("projection_dim", 512)
    config.ignore("logit_scale_init_value", "tie_word_embeddings")
    yield "logit_scale", ()

    D = text.size("hidden_size", 512)
    yield "text_model.embeddings.token_embedding.weight", (text.size("vocab_size", 49408), D)
    yield "text_model.embeddings.position_embedding.weight", (text.size("max_position_embeddings", 77), D)
    yield from encoder("text_model.encoder", text, 512, 2048, 8)
    yield from layer_norm("text_model.final_layer_norm", D)

    W, patch = vision.size("hidden_size", 768), vision.size("patch_size", 32)
    positions = (vision.size("image_size", 224) // patch) ** 2 + 1
    yield "vision_model.embeddings.class_embedding", (W,)
    yield from convolution(
        "vision_model.embeddings.patch_embedding", vision.size("num_channels", 3), W, patch, patch, bias=False
    )
    yield "vision_model.embeddings.position_embedding.weight", (positions, W)
    yield from layer_norm("vision_model.pre_layrnorm", W)
    yield from encoder("vision_model.encoder", vision, 768, 3072, 12)
    yield from layer_norm("vision_model.post_layernorm", W)

    yield from linear("visual_projection", W, P, bias=False)
    yield from linear("text_projection", D, P, bias=False)


def layer_saves(config: Config, D: int, F: int, H: int) -> saved.Part:
    """What a layer of either side saves."""
    D, F, H = (
        config.size("hidden_size", D),
        config.size("intermediate_size", F),
        config.size("num_attention_heads", H),
    )
    heads = saved.attention(H, H, D // H, config.get("attention_dropout", 0))
    mlp = saved.feed_forward(F, saved.activation(config, "quick_gelu"))
    return saved.layer(D, 2 * saved.norm(saved.LAYER, D), heads, mlp)


def saves(config: Config, architecture: str) -> saved.Saves:
    """Both sides. The one reads the sequence, the other the patches of an image and one token more.

    Of each, one token is projected. The norm after the words and that before the layers of patches feed no matrix.
    """
    text, vision = side(config, "text_config"), side(config, "vision_config")
    D, W, P = text.size("hidden_size", 512), vision.size("hidden_size", 768), vision.size("image_size", 224)
    T = (P // vision.size("patch_size", 32)) ** 2 + 1
    patches = [
        *saved.norm(saved.LAYER, W, results=0),
        *saved.piece("what the projected patch is a view of", "b · D", D=W),
    ]
    outside = [
        *saved.norm(saved.LAYER, D, results=0),
        *saved.reading(T, patches),
        *saved.piece("images", "b · C · P · P", T=1, C=vision.size("num_channels", 3), P=P),
    ]
    words = [layer_saves(text, 512, 2048, 8)] * text.size("num_hidden_layers", 12)
    images = [saved.reading(T, layer_saves(vision, 768, 3072, 12))] * vision.size("num_hidden_layers", 12)
    return saved.Saves([*words, *images], outside)


CLIP = Family(tensors, no_caches, ("CLIPModel",), saves=saves)
