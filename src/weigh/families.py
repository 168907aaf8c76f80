"""Families of models, each as the list of its tensors.

A specification yields the name and the shape of every tensor, in the order, under the names and with the defaults of
the Hugging Face implementation of that family. Nothing is allocated. To add a family, write one function and list its
architectures in `FAMILIES`, the one that a config without `architectures` means first.

Symbols: V vocabulary, D model width, F feed-forward width, L layers, H query heads, K key-value heads, E head size,
T positions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from weigh.config import Config

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TiedTo:
    """In place of a shape: this name is a second one for another tensor."""

    name: str


Tensors: TypeAlias = Iterator[tuple[str, Shape | TiedTo]]


def linear(name: str, inputs: int, outputs: int, bias: bool = True) -> Tensors:
    """A linear layer: `weight` (outputs, inputs) and, unless there is none, `bias` (outputs)."""
    yield f"{name}.weight", (outputs, inputs)
    if bias:
        yield f"{name}.bias", (outputs,)


def layer_norm(name: str, size: int) -> Tensors:
    """A layer norm: `weight` and `bias`, both (size)."""
    yield f"{name}.weight", (size,)
    yield f"{name}.bias", (size,)


def gpt2(config: Config, architecture: str) -> Tensors:
    """GPT-2 (Radford et al. 2019). Its projections are stored (inputs, outputs), the other way round than `linear`."""
    config.refuse("add_cross_attention", False)
    V, T, D, L = (
        config.size("vocab_size", 50257), config.size("n_positions", 1024),
        config.size("n_embd", 768), config.size("n_layer", 12),
    )  # fmt: skip
    config.split("n_embd", "n_head", D, config.size("n_head", 12))
    F = config.size("n_inner", 4 * D)
    body = "" if architecture == "GPT2Model" else "transformer."
    yield f"{body}wte.weight", (V, D)
    yield f"{body}wpe.weight", (T, D)
    for i in range(L):
        layer = f"{body}h.{i}"
        yield from layer_norm(f"{layer}.ln_1", D)
        for name, inputs, outputs in (("attn.c_attn", D, 3 * D), ("attn.c_proj", D, D)):
            yield f"{layer}.{name}.weight", (inputs, outputs)
            yield f"{layer}.{name}.bias", (outputs,)
        yield from layer_norm(f"{layer}.ln_2", D)
        for name, inputs, outputs in (("mlp.c_fc", D, F), ("mlp.c_proj", F, D)):
            yield f"{layer}.{name}.weight", (inputs, outputs)
            yield f"{layer}.{name}.bias", (outputs,)
    yield from layer_norm(f"{body}ln_f", D)
    if architecture == "GPT2LMHeadModel":
        tied = config.flag("tie_word_embeddings", True)
        yield "lm_head.weight", TiedTo(f"{body}wte.weight") if tied else (V, D)


def llama(config: Config, architecture: str) -> Tensors:
    """Llama 1 to 3 (Touvron et al. 2023, Grattafiori et al. 2024), with grouped-query attention where K < H."""
    V, D, L = config.size("vocab_size", 32000), config.size("hidden_size", 4096), config.size("num_hidden_layers", 32)
    F, H = config.size("intermediate_size", 11008), config.size("num_attention_heads", 32)
    K = config.size("num_key_value_heads", H)
    config.split("num_attention_heads", "num_key_value_heads", H, K)
    E = config.size("head_dim", D // H)
    attention_bias, mlp_bias = config.flag("attention_bias", False), config.flag("mlp_bias", False)
    body = "" if architecture == "LlamaModel" else "model."
    yield f"{body}embed_tokens.weight", (V, D)
    for i in range(L):
        layer = f"{body}layers.{i}"
        yield from linear(f"{layer}.self_attn.q_proj", D, H * E, attention_bias)
        yield from linear(f"{layer}.self_attn.k_proj", D, K * E, attention_bias)
        yield from linear(f"{layer}.self_attn.v_proj", D, K * E, attention_bias)
        yield from linear(f"{layer}.self_attn.o_proj", H * E, D, attention_bias)
        yield from linear(f"{layer}.mlp.gate_proj", D, F, mlp_bias)
        yield from linear(f"{layer}.mlp.up_proj", D, F, mlp_bias)
        yield from linear(f"{layer}.mlp.down_proj", F, D, mlp_bias)
        yield f"{layer}.input_layernorm.weight", (D,)
        yield f"{layer}.post_attention_layernorm.weight", (D,)
    yield f"{body}norm.weight", (D,)
    if architecture == "LlamaForCausalLM":
        tied = config.flag("tie_word_embeddings", False)
        yield "lm_head.weight", TiedTo(f"{body}embed_tokens.weight") if tied else (V, D)


def bert(config: Config, architecture: str) -> Tensors:
    """BERT (Devlin et al. 2019): the encoder, and the pooler and head that the architecture adds."""
    config.refuse("add_cross_attention", False)
    config.refuse("position_embedding_type", "absolute")
    V, T, D = (
        config.size("vocab_size", 30522),
        config.size("max_position_embeddings", 512),
        config.size("hidden_size", 768),
    )
    L, F = config.size("num_hidden_layers", 12), config.size("intermediate_size", 3072)
    config.split("hidden_size", "num_attention_heads", D, config.size("num_attention_heads", 12))
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
        tied = config.flag("tie_word_embeddings", True)
        yield "cls.predictions.bias", (V,)
        yield from linear("cls.predictions.transform.dense", D, D)
        yield from layer_norm("cls.predictions.transform.LayerNorm", D)
        embeddings = TiedTo(f"{body}embeddings.word_embeddings.weight")
        yield "cls.predictions.decoder.weight", embeddings if tied else (V, D)
        yield "cls.predictions.decoder.bias", TiedTo("cls.predictions.bias") if tied else (V,)
    if architecture == "BertForPreTraining":
        yield from linear("cls.seq_relationship", D, 2)


@dataclass(frozen=True, slots=True)
class Family:
    """A specification, and the architectures that it covers, the default one first."""

    tensors: Callable[[Config, str], Tensors]
    architectures: tuple[str, ...]


FAMILIES: dict[str, Family] = {
    "gpt2": Family(gpt2, ("GPT2LMHeadModel", "GPT2Model")),
    "llama": Family(llama, ("LlamaForCausalLM", "LlamaModel")),
    "bert": Family(bert, ("BertModel", "BertForMaskedLM", "BertForPreTraining")),
}
"""Every family that `weigh` knows, by the `model_type` of its configs."""
