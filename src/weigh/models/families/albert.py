"""ALBERT (Lan et al. 2020): BERT with narrow word embeddings, whose layers share their weights."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.bert import decoder, embeddings, encoder_layer, transform
from weigh.models.families.parts import Family, Tensors, labels, layer_norm, learned, linear, no_caches


def tensors(config: Config, architecture: str) -> Tensors:
    """The layers are dealt out to a few groups, and those of a group are the same tensors: depth costs nothing."""
    V, T, S = (
        config.size("vocab_size", 30000),
        config.size("max_position_embeddings", 512),
        config.size("type_vocab_size", 2),
    )
    E, D, F = (
        config.size("embedding_size", 128),
        config.size("hidden_size", 4096),
        config.size("intermediate_size", 16384),
    )
    config.split("hidden_size", "num_attention_heads", D, config.size("num_attention_heads", 64))
    config.refuse("position_embedding_type", "absolute")
    tied = config.flag("tie_word_embeddings", True)
    config.ignore("num_hidden_layers", "classifier_dropout_prob", "down_scale_factor", "gap_size", "net_structure_type")
    body = "" if architecture == "AlbertModel" else "albert."
    yield from embeddings(f"{body}embeddings", V, T, S, E)
    yield from linear(f"{body}encoder.embedding_hidden_mapping_in", E, D)
    for group in range(config.size("num_hidden_groups", 1)):
        for i in range(config.size("inner_group_num", 1)):
            layer = f"{body}encoder.albert_layer_groups.{group}.albert_layers.{i}"
            yield from layer_norm(f"{layer}.full_layer_layer_norm", D)
            for name in ("query", "key", "value", "dense"):
                yield from linear(f"{layer}.attention.{name}", D, D)
            yield from layer_norm(f"{layer}.attention.LayerNorm", D)
            yield from linear(f"{layer}.ffn", D, F)
            yield from linear(f"{layer}.ffn_output", F, D)
    if architecture in ("AlbertModel", "AlbertForSequenceClassification"):
        yield from linear(f"{body}pooler", D, D)
    if architecture == "AlbertForMaskedLM":
        yield "predictions.bias", (V,)
        yield from layer_norm("predictions.LayerNorm", E)
        yield from linear("predictions.dense", D, E)
        yield from decoder("predictions", f"{body}embeddings.word_embeddings.weight", V, E, tied)
    if architecture == "AlbertForSequenceClassification":
        yield from linear("classifier", D, labels(config))


def saves(config: Config, architecture: str) -> saved.Saves:
    """BERT's, without a dropout after the feed-forward. Shared or not, each layer saves its own."""
    E, D, F = (
        config.size("embedding_size", 128),
        config.size("hidden_size", 4096),
        config.size("intermediate_size", 16384),
    )
    L = config.size("num_hidden_layers", 12) * config.size("inner_group_num", 1)
    k, rate = saved.activation(config, "gelu_new"), config.get("hidden_dropout_prob", 0)
    drops_scores = config.get("attention_probs_dropout_prob", 0)
    one = encoder_layer(D, config.size("num_attention_heads", 64), F, k, drops_scores, saved.dropped(rate, D))
    embedded = [*saved.norm(saved.LAYER, E), *saved.dropped(rate, E)]
    widened = saved.piece("embeddings as wide as the layers", "b · D", D=D)
    head = transform(E, k) if architecture == "AlbertForMaskedLM" else []
    return saved.Saves([one] * L, [*embedded, *widened, *head], loss_32=False)


ALBERT = Family(
    tensors,
    no_caches,
    ("AlbertModel", "AlbertForMaskedLM", "AlbertForSequenceClassification"),
    learned("max_position_embeddings", 512),
    saves=saves,
)
