"""DeBERTa v2 and v3 (He et al. 2021): BERT with what a word is and where it stands attended to apart."""

from dataclasses import dataclass

from weigh.errors import InvalidConfig
from weigh.models import saved
from weigh.models.caches import no_caches
from weigh.models.config import Config
from weigh.models.encoders import (
    EncoderSizes,
    after_attention,
    classifier,
    predictions,
    saved_layer,
    saved_transform,
)  # fmt: skip
from weigh.models.family import Family, Positions
from weigh.models.layers import Tensors, Weight, convolution, embedding, labels, layer_norm, linear, stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes(EncoderSizes):
    """BERT's sizes, with those of the relative positions.

    Attributes:
        pooler: The width of the pooler.
        absolute: Whether there are absolute positions.
        relative: Whether there are relative ones.
        rows: The distances in each direction that have an embedding.
        kinds: Which of content and position attend to each other: `c2p`, `p2c`.
        shared: Whether positions are projected as content is.
        normed: Whether the embeddings of positions are normalised.
        kernel, channels: Of a convolution beside the first layer; 0 without one.
        legacy: Whether the head for masked words is of the older kind, with a matrix of scores.
    """

    pooler: int
    absolute: bool
    relative: bool
    rows: int
    kinds: tuple[str, ...]
    shared: bool
    normed: bool
    kernel: int
    channels: int
    legacy: bool


def alternatives(config: Config, field: str) -> list[str]:
    """A field that is a list of words, or text with a bar between them."""
    value = config.get(field, [])
    if isinstance(value, str):
        return [word.strip() for word in value.lower().split("|")]
    if not isinstance(value, list):
        raise InvalidConfig(f"{config.where}, field {field}", f"must be a list of words, not {value!r:.40}")
    return value


def read(config: Config) -> Sizes:
    """The sizes of the reference's default."""
    config.ignore("cls_dropout", "conv_act", "pooler_dropout", "pooler_hidden_act")
    D, H = config.size("hidden_size", 1536), config.size("num_attention_heads", 24)
    config.only("attention_head_size", config.split("hidden_size", "num_attention_heads", D, H))
    T = config.size("max_position_embeddings", 512)
    distances = [config.size(name, -1, least=-1) for name in ("position_buckets", "max_relative_positions")]
    kinds = alternatives(config, "pos_att_type")
    return Sizes(
        V=config.size("vocab_size", 128100), T=T, S=config.size("type_vocab_size", 0, least=0),
        E=config.size("embedding_size", D), D=D, F=config.size("intermediate_size", 6144),
        L=config.layers("num_hidden_layers", 24), H=H,
        labels=labels(config), tied=config.flag("tie_word_embeddings", True),
        activation=saved.activation(config, "gelu"), dropout=config.rate("hidden_dropout_prob", 0.1),
        score_dropout=config.rate("attention_probs_dropout_prob", 0.1),
        pooler=config.size("pooler_hidden_size", D), absolute=config.flag("position_biased_input", True),
        relative=config.flag("relative_attention", False), rows=next(n for n in (*distances, T) if n > 0),
        kinds=tuple(kind for kind in ("c2p", "p2c") if kind in kinds), shared=config.flag("share_att_key", False),
        normed="layer_norm" in alternatives(config, "norm_rel_ebd"),
        kernel=config.size("conv_kernel_size", 0, least=0),
        channels=config.split("hidden_size", "conv_groups", D, config.size("conv_groups", 1)),
        legacy=config.flag("legacy", True),
    )  # fmt: skip


def tensors(s: Sizes, architecture: str) -> Tensors:
    """The tensors of BERT, with one table of relative positions, which each layer projects unless that is shared."""

    def layer(name: str, i: int) -> Tensors:
        for what in ("query", "key", "value"):
            yield from linear(f"{name}.attention.self.{what}_proj", s.D, s.D, f"attention {what}")
        for kind, what in (("c2p", "key"), ("p2c", "query")):
            if s.relative and not s.shared and kind in s.kinds:
                yield from linear(f"{name}.attention.self.pos_{what}_proj", s.D, s.D, f"attention position-{what}")
        yield from after_attention(name, s)

    body = "" if architecture == "DebertaV2Model" else "deberta."
    yield from embedding(f"{body}embeddings.word_embeddings", s.V, s.E)
    if s.absolute:
        yield from embedding(f"{body}embeddings.position_embeddings", s.T, s.E, "position table")
    if s.S:
        yield from embedding(f"{body}embeddings.token_type_embeddings", s.S, s.E, "segment table")
    if s.E != s.D:
        yield from linear(f"{body}embeddings.embed_proj", s.E, s.D, "projection", bias=False)
    yield from layer_norm(f"{body}embeddings.LayerNorm", s.D)
    yield from stack(f"{body}encoder.layer", s.L, layer)
    if s.relative:
        yield from embedding(f"{body}encoder.rel_embeddings", 2 * s.rows, s.D, "position table")
    if s.normed:
        yield from layer_norm(f"{body}encoder.LayerNorm", s.D)
    if s.kernel:
        yield from convolution(f"{body}encoder.conv.conv", s.channels, s.D, s.kernel)
        yield from layer_norm(f"{body}encoder.conv.LayerNorm", s.D)
    if architecture == "DebertaV2ForMaskedLM" and s.legacy:
        yield from predictions("cls.predictions", f"{body}embeddings.word_embeddings.weight", s)
    if architecture == "DebertaV2ForMaskedLM" and not s.legacy:  # its scores are products with the word embeddings
        yield Weight("lm_predictions.lm_head.bias", (s.V,), "lm head bias")
        yield from linear("lm_predictions.lm_head.dense", s.D, s.D, "projection")
        yield from layer_norm("lm_predictions.lm_head.LayerNorm", s.D)
    if architecture == "DebertaV2ForSequenceClassification":
        yield from linear("pooler.dense", s.pooler, s.pooler, "pooler")
        yield from classifier("classifier", s.D, s.labels)


def positions(s: Sizes) -> Positions:
    """The rows of absolute positions, which most are without; relative ones reach any distance."""
    return {"context": s.T} if s.absolute else {}


def disentangled(s: Sizes) -> saved.SavedTensors:
    """The saved tensors of relative positions in each layer: projected (2 · rows, D), and where in them to look."""
    P = 2 * s.rows
    projected = saved.one("projected positions", "b · D", T=P, D=s.D)
    # The scores of every position, and which are looked up: 64-bit numbers, the same for all sequences and heads.
    looked_up = [*saved.one("scores of positions", "b · H · P", H=s.H, P=P), *saved.one("distances", "8 · T", B=1)]
    # Keys are divided by a scale before they meet the queries, and meet the positions as they are.
    keys = saved.one("keys", "b · D", D=s.D) if "p2c" in s.kinds else []
    dropped = saved.one("positions", "b · D + D" if s.dropout else "b · D", B=1, T=P, D=s.D)
    return [*keys, *dropped, *len(s.kinds) * [*projected, *looked_up]]


def saves(s: Sizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of BERT, with a mask of the scores, and those of relative positions.

    A convolution beside the first layer, which the largest have, is left out.
    """
    mask, positions = saved.one("attention mask", "T"), disentangled(s) if s.relative else []
    layer = saved_layer(s, saved.dropped(s.dropout, s.D, 2), mask, positions)
    narrow = saved.one("narrow embeddings", "b · E", E=s.E) if s.E != s.D else []
    embedded = [*narrow, *saved.norm(saved.LAYER, s.D), *saved.dropped(s.dropout, s.D)]
    guesses, width = architecture == "DebertaV2ForMaskedLM", s.E if s.legacy else s.D
    transform = saved_transform(width, s.activation.kept) if guesses else []
    return saved.SavedActivations([layer] * s.L, [*embedded, *transform], loss_32=False, fused=False)


FAMILY = Family(
    model_type="deberta-v2",
    architectures=("DebertaV2Model", "DebertaV2ForMaskedLM", "DebertaV2ForSequenceClassification"),
    read=read,
    tensors=tensors,
    caches=no_caches,
    positions=positions,
    saves=saves,
)
