"""DistilBERT (Sanh et al. 2019): half of BERT's layers, and neither segments nor a pooler."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.bert import encoder_layer, transform
from weigh.models.families.parts import Family, Tensors, TiedTo, labels, layer_norm, learned, linear, no_caches


def tensors(config: Config, architecture: str) -> Tensors:
    """BERT's layers under names of their own."""
    V, D, F = config.size("vocab_size", 30522), config.size("dim", 768), config.size("hidden_dim", 3072)
    config.split("dim", "n_heads", D, config.size("n_heads", 12))
    tied = config.flag("tie_word_embeddings", True)
    # Sinusoids are kept as weights too.
    config.ignore("sinusoidal_pos_embds", "tie_weights_", "activation", "qa_dropout", "seq_classif_dropout")
    body = "" if architecture == "DistilBertModel" else "distilbert."
    yield f"{body}embeddings.word_embeddings.weight", (V, D)
    yield f"{body}embeddings.position_embeddings.weight", (config.size("max_position_embeddings", 512), D)
    yield from layer_norm(f"{body}embeddings.LayerNorm", D)
    for i in range(config.size("n_layers", 6)):
        layer = f"{body}transformer.layer.{i}"
        for name in ("q_lin", "k_lin", "v_lin", "out_lin"):
            yield from linear(f"{layer}.attention.{name}", D, D)
        yield from layer_norm(f"{layer}.sa_layer_norm", D)
        yield from linear(f"{layer}.ffn.lin1", D, F)
        yield from linear(f"{layer}.ffn.lin2", F, D)
        yield from layer_norm(f"{layer}.output_layer_norm", D)
    if architecture == "DistilBertForMaskedLM":
        yield from linear("vocab_transform", D, D)
        yield from layer_norm("vocab_layer_norm", D)
        yield "vocab_projector.weight", TiedTo(f"{body}embeddings.word_embeddings.weight") if tied else (V, D)
        yield "vocab_projector.bias", (V,)
    if architecture == "DistilBertForSequenceClassification":
        yield from linear("pre_classifier", D, D)
        yield from linear("classifier", D, labels(config))


def saves(config: Config, architecture: str) -> saved.Saves:
    """BERT's, without a dropout after the attention."""
    D, H, F = config.size("dim", 768), config.size("n_heads", 12), config.size("hidden_dim", 3072)
    k, rate = saved.activation(config, "gelu", "activation"), config.get("dropout", 0.1)
    one = encoder_layer(D, H, F, k, config.get("attention_dropout", 0.1), saved.dropped(rate, D))
    outside = [*saved.norm(saved.LAYER, D), *saved.dropped(rate, D)]
    head = transform(D, k) if architecture == "DistilBertForMaskedLM" else []
    return saved.Saves([one] * config.size("n_layers", 6), [*outside, *head], loss_32=False)


DISTILBERT = Family(
    tensors,
    no_caches,
    ("DistilBertModel", "DistilBertForMaskedLM", "DistilBertForSequenceClassification"),
    learned("max_position_embeddings", 512),
    saves=saves,
)
