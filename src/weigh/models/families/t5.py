"""T5 1.0 and 1.1 (Raffel et al. 2020): an encoder-decoder without biases."""

from dataclasses import dataclass
from functools import partial

from weigh.models import saved
from weigh.models.caches import Caches, KeyValue
from weigh.models.config import Config
from weigh.models.family import Family
from weigh.models.layers import Tensors, embedding, linear, lm_head, rms_norm, stack


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of an encoder-decoder.

    Attributes:
        V, D, F: Vocabulary, width, feed-forward width.
        L, M: Layers of the encoder and of the decoder, which the bare encoder is without.
        H, E: Heads, whose width together need not be the model's, and the size of one.
        buckets: The kinds of distance that the relative positions tell apart.
        gated: Whether the feed-forward has a gate.
        tied: Whether the head is the embedding.
        activation: The activation function of the feed-forward.
        dropout: The rate at which numbers are dropped.
    """

    V: int
    D: int
    F: int
    L: int
    M: int
    H: int
    E: int
    buckets: int
    gated: bool
    tied: bool
    activation: saved.Activation
    dropout: float


def read(config: Config) -> Sizes:
    """The sizes of T5 small."""
    config.ignore("is_encoder_decoder", "n_positions", "relative_attention_max_distance")
    L, projection = config.layers("num_layers", 6), config.text("feed_forward_proj", "relu")
    M, named = (
        config.layers("num_decoder_layers", L),
        saved.activation(config, projection.removeprefix("gated-"), "dense_act_fn"),
    )
    # Version 1.1 has a head of its own. The reference library ties it when it builds a model, and leaves it as it is
    # when it loads one; once it has saved one, only the scaling of the outputs still tells the two versions apart.
    scaled, tied = config.flag("scale_decoder_outputs", True), config.flag("tie_word_embeddings", True)
    return Sizes(
        V=config.size("vocab_size", 32128), D=config.size("d_model", 512), F=config.size("d_ff", 2048),
        L=L, M=0 if config.fields.get("architectures") == ["T5EncoderModel"] else M,
        H=config.size("num_heads", 8), E=config.size("d_kv", 64),
        buckets=config.size("relative_attention_num_buckets", 32),
        gated=config.flag("is_gated_act", projection.startswith("gated-")), tied=scaled and tied,
        activation=named._replace(name="gelu_new") if projection == "gated-gelu" else named,
        dropout=config.rate("dropout_rate", 0.1),
    )  # fmt: skip


def attention(name: str, s: Sizes, sublayer: str) -> Tensors:
    """The matrices of queries, keys, values and output."""
    for projection, what in (("q", "query"), ("k", "key"), ("v", "value")):
        yield from linear(f"{name}.{projection}", s.D, s.H * s.E, f"{sublayer} {what}", bias=False)
    yield from linear(f"{name}.o", s.H * s.E, s.D, f"{sublayer} output", bias=False)


def tensors(s: Sizes, architecture: str) -> Tensors:
    """The tensors of two stacks with the same word embeddings.

    The first layer of each holds the relative positions of all.
    """

    def block(name: str, i: int, cross: bool) -> Tensors:
        yield from attention(f"{name}.layer.0.SelfAttention", s, "attention")
        if i == 0:
            table = f"{name}.layer.0.SelfAttention.relative_attention_bias"
            yield from embedding(table, s.buckets, s.H, "position table")
        yield from rms_norm(f"{name}.layer.0.layer_norm", s.D)
        if cross:
            yield from attention(f"{name}.layer.1.EncDecAttention", s, "cross-attention")
            yield from rms_norm(f"{name}.layer.1.layer_norm", s.D)
        last = f"{name}.layer.{2 if cross else 1}"
        for matrix, what in (("wi_0", "gate"), ("wi_1", "up")) if s.gated else (("wi", "up"),):
            yield from linear(f"{last}.DenseReluDense.{matrix}", s.D, s.F, f"feed-forward {what}", bias=False)
        yield from linear(f"{last}.DenseReluDense.wo", s.F, s.D, "feed-forward down", bias=False)
        yield from rms_norm(f"{last}.layer_norm", s.D)

    yield from embedding("shared", s.V, s.D)
    for side, depth in (("encoder", s.L), ("decoder", s.M)):
        if depth:
            yield from embedding(f"{side}.embed_tokens", s.V, s.D, tied_to="shared.weight")
            yield from stack(f"{side}.block", depth, partial(block, cross=side == "decoder"))
            yield from rms_norm(f"{side}.final_layer_norm", s.D)
    if architecture == "T5ForConditionalGeneration":
        yield from lm_head("lm_head", s.V, s.D, tied_to="shared.weight" if s.tied else "")


def caches(s: Sizes) -> Caches:
    """The KV caches of each decoder layer: of its own tokens, and of the encoder's."""
    return [KeyValue(s.H, s.E, s.E), KeyValue(s.H, s.E, s.E, cross=True)] * s.M


def saves(s: Sizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of both stacks. A learned bias of the scores keeps flash kernels from fusing the attention."""
    D, F, k, rate = s.D, s.F, s.activation.kept, s.dropout
    # The input is multiplied by its deviation in the model's format, and copied to float32 for that alone.
    norm = saved.one("norms", "c · D + 3 · b · D + 4", D=D)
    attend = [*norm, *saved.attention(s.H, s.H, s.E, rate, softmax_32=False), *saved.dropped(rate, D)]
    # A dropped result is another tensor; the one before is kept if the activation function's derivative needs it.
    both = saved.one("feed-forward", "b · F", F=F) if rate and k == 1 and not s.gated else []
    mlp = [*norm, *saved.feed_forward(F, k, gated=s.gated), *both, *saved.dropped(rate, F), *saved.dropped(rate, D)]
    encoder, decoder = [saved.layer(D, attend, mlp)] * s.L, [saved.layer(D, attend, attend, mlp)] * s.M
    # The first layer of a stack looks the bias up by distance, for all sequences at once.
    stack = [*norm, *saved.dropped(rate, D, 2), *saved.one("distances", "8 · T", B=1)]
    if not decoder:
        return saved.SavedActivations(encoder, stack, fused=False)
    return saved.SavedActivations([*encoder, *decoder], 2 * stack, loss_32=False, fused=False)


FAMILY = Family(
    model_type="t5",
    architectures=("T5ForConditionalGeneration", "T5Model", "T5EncoderModel"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
)
