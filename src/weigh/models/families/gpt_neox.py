"""GPT-NeoX and Pythia (Black et al. 2022, Biderman et al. 2023): GPT-3 with rotary positions."""

from dataclasses import dataclass

from weigh.models import saved
from weigh.models.config import Config
from weigh.models.decoders import DecoderSizes, caches, decoder, saved_attention, saved_mlp
from weigh.models.family import Family
from weigh.models.layers import Tensors, layer_norm, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes(DecoderSizes):
    """A decoder's sizes, and whether attention and feed-forward stand side by side."""

    parallel: bool


def read(config: Config) -> Sizes:
    """The sizes of GPT-NeoX-20B. Keys and values are as many as queries."""
    bias = config.flag("attention_bias", True)
    config.ignore("max_position_embeddings", "rotary_pct", "rotary_emb_base", "is_decoder")
    D, H = config.size("hidden_size", 6144), config.size("num_attention_heads", 64)
    return Sizes(
        V=config.size("vocab_size", 50432), D=D, F=config.size("intermediate_size", 24576),
        L=config.layers("num_hidden_layers", 44),
        H=H, K=H, E=config.split("hidden_size", "num_attention_heads", D, H),
        tied=config.flag("tie_word_embeddings", False), qkv_bias=bias, o_bias=bias,
        activation=saved.activation(config, "gelu"), parallel=config.flag("use_parallel_residual", True),
        score_dropout=config.rate("attention_dropout", 0), residual_dropout=config.rate("hidden_dropout", 0),
    )  # fmt: skip


def tensors(s: Sizes, architecture: str) -> Tensors:
    """The tensors of a GPT whose queries, keys and values come from one matrix."""

    def layer(name: str, i: int) -> Tensors:
        attention = f"{name}.attention"
        yield from layer_norm(f"{name}.input_layernorm", s.D)
        yield from layer_norm(f"{name}.post_attention_layernorm", s.D)
        yield from linear(f"{attention}.query_key_value", s.D, 3 * s.D, "attention query-key-value", s.qkv_bias)
        yield from linear(f"{attention}.dense", s.D, s.D, "attention output", s.o_bias)
        yield from linear(f"{name}.mlp.dense_h_to_4h", s.D, s.F, "feed-forward up")
        yield from linear(f"{name}.mlp.dense_4h_to_h", s.F, s.D, "feed-forward down")

    return decoder(architecture, s, layer, layer_norm, body="gpt_neox.", words="embed_in", last="final_layer_norm")


def saves(s: Sizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of attention and feed-forward, which side by side have norms of their own of one input."""
    norm, masks = saved.norm(saved.LAYER, s.D), saved.dropped(s.residual_dropout, s.D)
    norms = saved.norm(saved.TWO_LAYERS, s.D, results=2) if s.parallel else 2 * norm
    view, copied = saved.rest_of_view(2 * s.H * s.E), saved.heads_first(s.H, s.E)
    layer = saved.layer(s.D, norms, saved_attention(s), view, copied, saved_mlp(s), 2 * masks)
    return saved.SavedActivations([layer] * s.L, [*masks, *norm])


FAMILY = Family(
    model_type="gpt_neox",
    architectures=("GPTNeoXForCausalLM", "GPTNeoXModel"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
    gguf_mixes=True,
)
