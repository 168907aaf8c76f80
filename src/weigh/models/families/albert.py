"""ALBERT (Lan et al. 2020): BERT with narrow word embeddings, whose layers share their weights."""

from dataclasses import dataclass

from weigh.models import saved
from weigh.models.caches import no_caches
from weigh.models.config import Config
from weigh.models.encoders import EncoderSizes, classifier, embeddings, saved_layer, saved_transform, scores
from weigh.models.family import Family, learned
from weigh.models.layers import Tensors, Weight, layer_norm, linear, stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes(EncoderSizes):
    """BERT's sizes, and how many groups of layers have weights of their own, of how many layers each."""

    groups: int
    inner: int


def read(config: Config) -> Sizes:
    """The sizes of ALBERT xxlarge."""
    config.ignore("classifier_dropout_prob", "down_scale_factor", "gap_size", "net_structure_type")
    return Sizes.of(
        config, V=30000, E=128, D=4096, F=16384, H=64, activation="gelu_new", dropout=0,
        groups=config.size("num_hidden_groups", 1), inner=config.size("inner_group_num", 1),
    )  # fmt: skip


def tensors(s: Sizes, architecture: str) -> Tensors:
    """The tensors of a few groups of layers, among which all are dealt out: depth costs nothing."""

    def group(name: str, i: int) -> Tensors:
        for layer in (f"{name}.albert_layers.{j}" for j in range(s.inner)):
            yield from layer_norm(f"{layer}.full_layer_layer_norm", s.D)
            for projection in ("query", "key", "value"):
                yield from linear(f"{layer}.attention.{projection}", s.D, s.D, f"attention {projection}")
            yield from linear(f"{layer}.attention.dense", s.D, s.D, "attention output")
            yield from layer_norm(f"{layer}.attention.LayerNorm", s.D)
            yield from linear(f"{layer}.ffn", s.D, s.F, "feed-forward up")
            yield from linear(f"{layer}.ffn_output", s.F, s.D, "feed-forward down")

    body = "" if architecture == "AlbertModel" else "albert."
    yield from embeddings(f"{body}embeddings", s)
    yield from linear(f"{body}encoder.embedding_hidden_mapping_in", s.E, s.D, "projection")
    yield from stack(f"{body}encoder.albert_layer_groups", s.groups, group)
    if architecture in ("AlbertModel", "AlbertForSequenceClassification"):
        yield from linear(f"{body}pooler", s.D, s.D, "pooler")
    if architecture == "AlbertForMaskedLM":
        yield Weight("predictions.bias", (s.V,), "lm head bias")
        yield from layer_norm("predictions.LayerNorm", s.E)
        yield from linear("predictions.dense", s.D, s.E, "projection")
        yield from scores("predictions", f"{body}embeddings.word_embeddings.weight", s)
    if architecture == "AlbertForSequenceClassification":
        yield from classifier("classifier", s.D, s.labels)


def saves(s: Sizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of BERT, without a dropout after the feed-forward. Shared or not, each layer saves its own."""
    layer = saved_layer(s, saved.dropped(s.dropout, s.D))
    embedded = [*saved.norm(saved.LAYER, s.E), *saved.dropped(s.dropout, s.E)]
    widened = saved.one("embeddings as wide as the layers", "b · D", D=s.D)
    transform = saved_transform(s.E, s.activation.kept) if architecture == "AlbertForMaskedLM" else []
    return saved.SavedActivations([layer] * s.L * s.inner, [*embedded, *widened, *transform], loss_32=False)


FAMILY = Family(
    model_type="albert",
    architectures=("AlbertModel", "AlbertForMaskedLM", "AlbertForSequenceClassification"),
    read=read,
    tensors=tensors,
    caches=no_caches,
    positions=learned,
    saves=saves,
)
