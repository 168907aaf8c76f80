"""BERT (Devlin et al. 2019)."""

from weigh.config import Config
from weigh.families.parts import Family, Tensors, TiedTo, layer_norm, linear, no_caches


def tensors(config: Config, architecture: str) -> Tensors:
    """The encoder, and the pooler and head that the architecture adds."""
    config.refuse("add_cross_attention", False)
    config.refuse("position_embedding_type", "absolute")
    V, T, D = (
        config.size("vocab_size", 30522),
        config.size("max_position_embeddings", 512),
        config.size("hidden_size", 768),
    )
    L, F = config.size("num_hidden_layers", 12), config.size("intermediate_size", 3072)
    config.split("hidden_size", "num_attention_heads", D, config.size("num_attention_heads", 12))
    tied = config.flag("tie_word_embeddings", True)
    body = "" if architecture == "BertModel" else "bert."
    yield f"{body}embeddings.word_embeddings.weight", (V, D)
    yield f"{body}embeddings.position_embeddings.weight", (T, D)
    yield f"{body}embeddings.token_type_embeddings.weight", (config.size("type_vocab_size", 2), D)
    yield from layer_norm(f"{body}embeddings.LayerNorm", D)
    for i in range(L):
        layer = f"{body}encoder.layer.{i}"
        yield from linear(f"{layer}.attention.self.query", D, D)
        yield from linear(f"{layer}.attention.self.key", D, D)
        yield from linear(f"{layer}.attention.self.value", D, D)
        yield from linear(f"{layer}.attention.output.dense", D, D)
        yield from layer_norm(f"{layer}.attention.output.LayerNorm", D)
        yield from linear(f"{layer}.intermediate.dense", D, F)
        yield from linear(f"{layer}.output.dense", F, D)
        yield from layer_norm(f"{layer}.output.LayerNorm", D)
    if architecture in ("BertModel", "BertForPreTraining"):
        yield from linear(f"{body}pooler.dense", D, D)
    if architecture in ("BertForMaskedLM", "BertForPreTraining"):
        yield "cls.predictions.bias", (V,)
        yield from linear("cls.predictions.transform.dense", D, D)
        yield from layer_norm("cls.predictions.transform.LayerNorm", D)
        embeddings = TiedTo(f"{body}embeddings.word_embeddings.weight")
        yield "cls.predictions.decoder.weight", embeddings if tied else (V, D)
        yield "cls.predictions.decoder.bias", TiedTo("cls.predictions.bias") if tied else (V,)
    if architecture == "BertForPreTraining":
        yield from linear("cls.seq_relationship", D, 2)


BERT = Family(tensors, no_caches, ("BertModel", "BertForMaskedLM", "BertForPreTraining"))
