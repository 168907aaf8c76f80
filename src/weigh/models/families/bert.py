"""BERT (Devlin et al. 2019)."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.parts import Family, Tensors, TiedTo, labels, layer_norm, learned, linear, no_caches


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


def encoder_layer(D: int, H: int, F: int, k: int, drops_scores: object, *masks: saved.Part) -> saved.Part:
    """What a layer saves: the softmax is in the model's format, and both norms feed what follows."""
    heads = saved.attention(H, H, D // H, drops_scores, softmax_32=False)
    return saved.layer(D, heads, 2 * saved.norm(saved.LAYER, D), saved.feed_forward(F, k), *masks)


def transform(E: int, k: int) -> saved.Part:
    """What the head that guesses masked words saves: k tensors of its activation function, and its norm."""
    # The result of the activation function is the input of the norm.
    return [*saved.piece("activation function of the head", "b · k · E", k=k - 1, E=E), *saved.norm(saved.LAYER, E)]


def encoder_saves(config: Config, L: int, D: int, H: int, F: int, E: int, head: saved.Part) -> saved.Saves:
    """What an encoder saves whose embeddings are E wide, and its head."""
    k, rate = saved.activation(config, "gelu"), config.get("hidden_dropout_prob", 0.1)
    drops_scores = config.get("attention_probs_dropout_prob", 0.1)
    one = encoder_layer(D, H, F, k, drops_scores, saved.dropped(rate, D, 2))
    embedded = [*saved.norm(saved.LAYER, E), *saved.dropped(rate, E)]
    widened = saved.piece("embeddings as wide as the layers", "b · D", D=D) if E != D else []
    return saved.Saves([one] * L, [*embedded, *widened, *head], loss_32=False)


def saves(config: Config, architecture: str) -> saved.Saves:
    """The encoder, and the head for masked words."""
    L, D, F = (
        config.size("num_hidden_layers", 12),
        config.size("hidden_size", 768),
        config.size("intermediate_size", 3072),
    )
    guesses = architecture in ("BertForMaskedLM", "BertForPreTraining")
    head = transform(D, saved.activation(config, "gelu")) if guesses else []
    return encoder_saves(config, L, D, config.size("num_attention_heads", 12), F, D, head)


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
    learned("max_position_embeddings", 512),
    saves=saves,
)
