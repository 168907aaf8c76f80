"""RoBERTa (Liu et al. 2019): BERT, trained better. Its positions count from the padding token's number."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.bert import decoder, encoder, encoder_saves, transform
from weigh.models.families.parts import Family, Positions, Tensors, labels, layer_norm, linear, no_caches


def tensors(config: Config, architecture: str) -> Tensors:
    """BERT's encoder, with other heads. Only the bare model has a pooler."""
    config.refuse("add_cross_attention", False)
    config.refuse("position_embedding_type", "absolute")
    V, D, F = (
        config.size("vocab_size", 50265),
        config.size("hidden_size", 768),
        config.size("intermediate_size", 3072),
    )
    config.split("hidden_size", "num_attention_heads", D, config.size("num_attention_heads", 12))
    tied = config.flag("tie_word_embeddings", True)
    body = "" if architecture == "RobertaModel" else "roberta."
    yield f"{body}embeddings.word_embeddings.weight", (V, D)
    yield f"{body}embeddings.token_type_embeddings.weight", (config.size("type_vocab_size", 2), D)
    yield from layer_norm(f"{body}embeddings.LayerNorm", D)
    yield f"{body}embeddings.position_embeddings.weight", (config.size("max_position_embeddings", 512), D)
    yield from encoder(f"{body}encoder", config.size("num_hidden_layers", 12), D, F)
    if architecture == "RobertaModel":
        yield from linear("pooler.dense", D, D)
    if architecture == "RobertaForMaskedLM":
        yield "lm_head.bias", (V,)
        yield from linear("lm_head.dense", D, D)
        yield from layer_norm("lm_head.layer_norm", D)
        yield from decoder("lm_head", f"{body}embeddings.word_embeddings.weight", V, D, tied)
    if architecture == "RobertaForSequenceClassification":
        yield from linear("classifier.dense", D, D)
        yield from linear("classifier.out_proj", D, labels(config))
    if architecture == "RobertaForTokenClassification":
        yield from linear("classifier", D, labels(config))
    if architecture == "RobertaForQuestionAnswering":
        yield from linear("qa_outputs", D, labels(config))


def positions(config: Config) -> Positions:
    """The rows after that of the padding token."""
    return {"context": config.size("max_position_embeddings", 512) - config.size("pad_token_id", 1, least=0) - 1}


def saves(config: Config, architecture: str) -> saved.Saves:
    """BERT's."""
    L, D, F = (
        config.size("num_hidden_layers", 12),
        config.size("hidden_size", 768),
        config.size("intermediate_size", 3072),
    )
    head = transform(D, saved.KEPT_BY_ACTIVATION["gelu"]) if architecture == "RobertaForMaskedLM" else []
    return encoder_saves(config, L, D, config.size("num_attention_heads", 12), F, D, head)


ROBERTA = Family(
    tensors,
    no_caches,
    (
        "RobertaModel",
        "RobertaForMaskedLM",
        "RobertaForSequenceClassification",
        "RobertaForTokenClassification",
        "RobertaForQuestionAnswering",
    ),
    positions,
    saves=saves,
)
