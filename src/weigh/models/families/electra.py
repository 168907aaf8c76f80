"""ELECTRA (Clark et al. 2020): BERT's encoder, trained to find the words that a small generator has replaced."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.bert import embeddings, encoder, encoder_saves, transform
from weigh.models.families.parts import Family, Tensors, TiedTo, labels, layer_norm, learned, linear, no_caches


def tensors(config: Config, architecture: str) -> Tensors:
    """Word embeddings may be narrower than the model. The discriminator is `ForPreTraining`."""
    config.refuse("add_cross_attention", False)
    config.refuse("position_embedding_type", "absolute")
    V, T, S = (
        config.size("vocab_size", 30522),
        config.size("max_position_embeddings", 512),
        config.size("type_vocab_size", 2),
    )
    E, D, F = (
        config.size("embedding_size", 128),
        config.size("hidden_size", 256),
        config.size("intermediate_size", 1024),
    )
    config.split("hidden_size", "num_attention_heads", D, config.size("num_attention_heads", 4))
    tied = config.flag("tie_word_embeddings", True)
    config.ignore("summary_last_dropout")
    body = "" if architecture == "ElectraModel" else "electra."
    yield from embeddings(f"{body}embeddings", V, T, S, E)
    if E != D:
        yield from linear(f"{body}embeddings_project", E, D)
    yield from encoder(f"{body}encoder", config.size("num_hidden_layers", 12), D, F)
    if architecture == "ElectraForPreTraining":
        yield from linear("discriminator_predictions.dense", D, D)
        yield from linear("discriminator_predictions.dense_prediction", D, 1)
    if architecture == "ElectraForMaskedLM":
        yield from layer_norm("generator_predictions.LayerNorm", E)
        yield from linear("generator_predictions.dense", D, E)
        yield "generator_lm_head.weight", TiedTo(f"{body}embeddings.word_embeddings.weight") if tied else (V, E)
        yield "generator_lm_head.bias", (V,)
    if architecture == "ElectraForSequenceClassification":
        yield from linear("classifier.dense", D, D)
        yield from linear("classifier.out_proj", D, labels(config))


def saves(config: Config, architecture: str) -> saved.Saves:
    """BERT's, with embeddings and a head of their own width."""
    E, D, F = (
        config.size("embedding_size", 128),
        config.size("hidden_size", 256),
        config.size("intermediate_size", 1024),
    )
    L, H = config.size("num_hidden_layers", 12), config.size("num_attention_heads", 4)
    head = transform(E, saved.KEPT_BY_ACTIVATION["gelu"]) if architecture == "ElectraForMaskedLM" else []
    return encoder_saves(config, L, D, H, F, E, head)


ELECTRA = Family(
    tensors,
    no_caches,
    ("ElectraModel", "ElectraForPreTraining", "ElectraForMaskedLM", "ElectraForSequenceClassification"),
    learned("max_position_embeddings", 512),
    saves=saves,
)
