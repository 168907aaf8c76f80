"""T5 1.0 and 1.1 (Raffel et al. 2020): an encoder-decoder without biases."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.parts import Caches, Family, KeyValue, Tensors, TiedTo, linear, rms_norm


def attention(name: str, D: int, width: int) -> Tensors:
    """Heads whose width together need not be the model's."""
    for part in "qkv":
        yield from linear(f"{name}.{part}", D, width, bias=False)
    yield from linear(f"{name}.o", width, D, bias=False)


def tensors(config: Config, architecture: str) -> Tensors:
    """Two stacks, the word embeddings of both the same. The first layer of each holds the relative positions of all."""
    V, D, F = config.size("vocab_size", 32128), config.size("d_model", 512), config.size("d_ff", 2048)
    L, H, E = config.size("num_layers", 6), config.size("num_heads", 8), config.size("d_kv", 64)
    buckets = config.size("relative_attention_num_buckets", 32)
    gated = config.flag("is_gated_act", config.text("feed_forward_proj", "relu").startswith("gated-"))
    # Version 1.1 has a head of its own. The reference library ties it when it builds a model, and leaves it as it is
    # when it loads one; once it has saved one, only the scaling of the outputs still tells the two versions apart.
    scaled, tied = config.flag("scale_decoder_outputs", True), config.flag("tie_word_embeddings", True)
    config.ignore("dense_act_fn", "dropout_rate", "is_encoder_decoder", "n_positions")
    config.ignore("relative_attention_max_distance")
    stacks = {"encoder": L, "decoder": config.size("num_decoder_layers", L)}
    if architecture == "T5EncoderModel":
        del stacks["decoder"]
    yield "shared.weight", (V, D)
    for stack, depth in stacks.items():
        yield f"{stack}.embed_tokens.weight", TiedTo("shared.weight")
        for i in range(depth):
            layer = f"{stack}.block.{i}.layer"
            yield from attention(f"{layer}.0.SelfAttention", D, H * E)
            if i == 0:
                yield f"{layer}.0.SelfAttention.relative_attention_bias.weight", (buckets, H)
            yield from rms_norm(f"{layer}.0.layer_norm", D)
            if stack == "decoder":
                yield from attention(f"{layer}.1.EncDecAttention", D, H * E)
                yield from rms_norm(f"{layer}.1.layer_norm", D)
            last = f"{layer}.{2 if stack == 'decoder' else 1}"
            for name in ("wi_0", "wi_1") if gated else ("wi",):
                yield from linear(f"{last}.DenseReluDense.{name}", D, F, bias=False)
            yield from linear(f"{last}.DenseReluDense.wo", F, D, bias=False)
            yield from rms_norm(f"{last}.layer_norm", D)
        yield from rms_norm(f"{stack}.final_layer_norm", D)
    if architecture == "T5ForConditionalGeneration":
        yield "lm_head.weight", TiedTo("shared.weight") if scaled and tied else (V, D)


def caches(config: Config) -> Caches:
    """A key and a value for every head of the decoder, and as many of the encoder's tokens."""
    if config.get("architectures") == ["T5EncoderModel"]:
        return []
    H, E = config.size("num_heads", 8), config.size("d_kv", 64)
    layers = config.size("num_decoder_layers", config.size("num_layers", 6))
    return [KeyValue(H, E, E), KeyValue(H, E, E, cross=True)] * layers


def saves(config: Config, architecture: str) -> saved.Saves:
    """Norms before each part; a learned bias of the scores, which keeps flash kernels from fusing the attention."""
    D, F, L = config.size("d_model", 512), config.size("d_ff", 2048), config.size("num_layers", 6)
    H, E, rate = config.size("num_heads", 8), config.size("d_kv", 64), config.get("dropout_rate", 0.1)
    projection = config.text("feed_forward_proj", "relu")
    gated, name = config.flag("is_gated_act", projection.startswith("gated-")), projection.removeprefix("gated-")
    k = saved.kept("gelu_new" if projection == "gated-gelu" else config.text("dense_act_fn", name), config)
    # The input is multiplied by its deviation in the model's format, and copied to float32 for that alone.
    norm = saved.piece("norms", "c · D + 3 · b · D + 4", D=D)
    attend = [*norm, *saved.attention(H, H, E, rate, softmax_32=False), *saved.dropped(rate, D)]
    # A dropped result is another tensor; the one before is kept if the activation function's derivative needs it.
    both = saved.piece("feed-forward", "b · F", F=F) if rate and k == 1 and not gated else []
    mlp = [*norm, *saved.feed_forward(F, k, gated=gated), *both, *saved.dropped(rate, F), *saved.dropped(rate, D)]
    encoder = [saved.layer(D, attend, mlp)] * L
    decoder = [saved.layer(D, attend, attend, mlp)] * config.size("num_decoder_layers", L)
    # The first layer of a stack looks the bias up by distance, for all sequences at once.
    stack = [*norm, *saved.dropped(rate, D, 2), *saved.piece("distances", "8 · T", B=1)]
    if architecture == "T5EncoderModel":
        return saved.Saves(encoder, stack, fused=False)
    return saved.Saves([*encoder, *decoder], 2 * stack, loss_32=False, fused=False)


T5 = Family(tensors, caches, ("T5ForConditionalGeneration", "T5Model", "T5EncoderModel"), saves=saves)
