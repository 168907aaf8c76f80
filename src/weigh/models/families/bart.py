"""BART (Lewis et al. 2020)."""

from dataclasses import dataclass

from weigh.models import saved
from weigh.models.config import Config
from weigh.models.family import Family
from weigh.models.layers import Tensors, embedding, labels, layer_norm, linear, lm_head
from weigh.models.seq2seq import Seq2SeqSizes, caches, layers, positions, saved_layer, sides


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes(Seq2SeqSizes):
    """An encoder-decoder's sizes, and the classes that its classification head tells apart."""

    labels: int


def read(config: Config) -> Sizes:
    """The sizes of BART large. Encoder and decoder have tables of positions of one size."""
    config.only("normalize_embedding", True)
    config.only("extra_pos_embeddings", 2)
    config.ignore("classif_dropout", "force_bos_token_to_be_generated")
    D, T = config.size("d_model", 1024), config.size("max_position_embeddings", 1024)
    encoder, decoder = sides(config, D, L=12, F=4096, H=16)
    return Sizes(
        V=config.size("vocab_size", 50265), D=D, T=T, S=T, encoder=encoder, decoder=decoder,
        labels=labels(config, 3), tied=config.flag("tie_word_embeddings", True),
        activation=saved.activation(config, "gelu", "activation_function"),
        dropout=config.rate("dropout", 0.1), score_dropout=config.rate("attention_dropout", 0),
        inner_dropout=config.rate("activation_dropout", 0),
    )  # fmt: skip


def tensors(s: Sizes, architecture: str) -> Tensors:
    """The tensors of encoder and decoder, with the same word embeddings.

    The positions begin at 2, so there are two rows more.
    """
    body = "" if architecture == "BartModel" else "model."
    words = f"{body}shared.weight" if s.tied else ""
    yield from embedding(f"{body}shared", s.V, s.D)
    for name, side in (("encoder", s.encoder), ("decoder", s.decoder)):
        yield from embedding(f"{body}{name}.embed_tokens", s.V, s.D, tied_to=words)
        yield from embedding(f"{body}{name}.embed_positions", s.T + 2, s.D, "position table")
        yield from layers(f"{body}{name}", side, s.D, cross=name == "decoder")
        yield from layer_norm(f"{body}{name}.layernorm_embedding", s.D)
    if architecture == "BartForConditionalGeneration":
        yield from lm_head("lm_head", s.V, s.D, tied_to=words)
    if architecture == "BartForSequenceClassification":
        yield from linear("classification_head.dense", s.D, s.D, "classifier")
        yield from linear("classification_head.out_proj", s.D, s.labels, "classifier")


def saves(s: Sizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of norms after each sublayer and after the embeddings, all of which feed what follows."""
    H = s.decoder.H
    across = saved.attention(H, H, s.D // H, s.score_dropout, softmax_32=False)
    encoder, decoder = saved_layer(s, s.encoder), saved_layer(s, s.decoder, across=across)
    embedded = [*saved.norm(saved.LAYER, s.D), *saved.dropped(s.dropout, s.D)]
    return saved.SavedActivations([encoder] * s.encoder.L + [decoder] * s.decoder.L, 2 * embedded, loss_32=False)


FAMILY = Family(
    model_type="bart",
    architectures=("BartForConditionalGeneration", "BartModel", "BartForSequenceClassification"),
    read=read,
    tensors=tensors,
    caches=caches,
    positions=positions,
    saves=saves,
)
