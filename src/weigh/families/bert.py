"""BERT (Devlin et al. 2019)."""

from weigh.config import Config
from weigh.families.parts import Family, Tensors, TiedTo, labels, layer_norm, linear, no_caches


def embeddings(name: str, V: int, T: int, S: int, D: int) -> Tensors:
    """Words, positions and S kinds of segment, added and normalised."""
    yield f"{name}.word_embeddings.weight", (V, D)
    yield f"{name}.position_embeddings.weight", (T, D)
    yield f"{name}.token_type_embeddings.weight", (S, D)
    yield from layer_norm(f"{name}.LayerNorm", D)


def encoder(name: str, L: int, D: int, F: int) -> Tensors:
    """Layers that normalise after the attention and after the feed-forward."""
    for i in range(L):
        layer = f"{name}.layer.{i}"
        yield from linear(f"{layer}.attention.self.query", D, D)
        yield from linear(f"{layer}.attention.self.key", D, D)
        yield from linear(f"{layer}.attention.self.value", D, D)
        yield from after_attention(layer, D, F)


def after_attention(layer: str, D: int, F: int) -> Tensors:
    """The projection of what the heads found, and the feed-forward."""
    yield from linear(f"{layer}.attention.output.dense", D, D)
    yield from layer_norm(f"{layer}.attention.output.LayerNorm", D)
    yield from linear(f"{layer}.intermediate.dense", D, F)
    yield from linear(f"{layer}.output.dense", F, D)
    yield from layer_norm(f"{layer}.output.LayerNorm", D)


def predictions(name: str, words: str, V: int, D: int, E: int, tied: bool) -> Tensors:
    """The head that guesses masked words, at the width E of the word embeddings."""
    yield f"{name}.bias", (V,)
    yield from linear(f"{name}.transform.dense", D, E)
    yield from layer_norm(f"{name}.transform.LayerNorm", E)
    yield from decoder(name, words, V, E, tied)


def decoder(head: str, words: str, V: int, E: int, tied: bool) -> Tensors:
    """Scores for all words: the word embeddings and the head's own bias, under second names if tied."""
    yield f"{head}.decoder.weight", TiedTo(words) if tied else (V, E)
    yield f"{head}.decoder.bias", TiedTo(f"{head}.bias") if tied else (V,)


def tensors(config: Config, architecture: str) -> Tensors:
    """The encoder, and the pooler and head that the architecture adds."""
    config.refuse("add_cross_attention", False)
    config.refuse("position_embedding_type", "absolute")
    V, T, S = (
        config.size("vocab_size", 30522),
        config.size("max_position_embeddings", 512),
        config.size("type_vocab_size", 2),
    )
    L, D, F = (
        config.size("num_hidden_layers", 12),
        config.size("hidden_size", 768),
        config.size("intermediate_size", 3072),
    )
    config.split("hidden_size", "num_attention_heads", D, config.size("num_attention_heads", 12))
    tied = config.flag("tie_word_embeddings", True)
    config.ignore("directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers")
    config.ignore("pooler_size_per_head", "pooler_type")  # of Google's multilingual checkpoints, and never used
    body = "" if architecture == "BertModel" else "bert."
    yield from embeddings(f"{body}embeddings", V, T, S, D)
    yield from encoder(f"{body}encoder", L, D, F)
    if architecture in ("BertModel", "BertForPreTraining", "BertForSequenceClassification"):
        yield from linear(f"{body}pooler.dense", D, D)
    if architecture in ("BertForMaskedLM", "BertForPreTraining"):
        yield from predictions("cls.predictions", f"{body}embeddings.word_embeddings.weight", V, D, D, tied)
    if architecture == "BertForPreTraining":
        yield from linear("cls.seq_relationship", D, 2)
    if architecture in ("BertForSequenceClassification", "BertForTokenClassification"):
        yield from linear("classifier", D, labels(config))
    if architecture == "BertForQuestionAnswering":
        yield from linear("qa_outputs", D, labels(config))


BERT = Family(
    tensors,
    no_caches,
    (
        "BertModel",
        "BertForMaskedLM",
        "BertForPreTraining",
        "BertForSequenceClassification",
        "BertForTokenClassification",
        "BertForQuestionAnswering",
    ),
)
