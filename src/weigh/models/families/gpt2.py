"""GPT-2 (Radford et al. 2019)."""

from weigh.models import saved
from weigh.models.config import Config
from weigh.models.decoders import DecoderSizes, caches, saved_attention, saved_mlp
from weigh.models.family import Family, learned
from weigh.models.layers import Tensors, embedding, layer_norm, linear, lm_head, stack


def read(config: Config) -> DecoderSizes:
    """The sizes of the smallest GPT-2."""
    config.only("add_cross_attention", False)
    D, H = config.size("n_embd", 768), config.size("n_head", 12)
    return DecoderSizes(
        V=config.size("vocab_size", 50257), T=config.size("n_positions", 1024), L=config.layers("n_layer", 12),
        D=D, F=config.size("n_inner", 4 * D), H=H, K=H, E=config.split("n_embd", "n_head", D, H),
        tied=config.flag("tie_word_embeddings", True),
        activation=saved.activation(config, "gelu_new", "activation_function"),
        score_dropout=config.rate("attn_pdrop", 0.1),
        residual_dropout=config.rate("resid_pdrop", 0.1),
        embedding_dropout=config.rate("embd_pdrop", 0.1),
    )  # fmt: skip


def tensors(s: DecoderSizes, architecture: str) -> Tensors:
    """The tensors of GPT-2, whose projections are stored (inputs, outputs)."""

    def layer(name: str, i: int) -> Tensors:
        yield from layer_norm(f"{name}.ln_1", s.D)
        yield from linear(f"{name}.attn.c_attn", s.D, 3 * s.D, "attention query-key-value", transposed=True)
        yield from linear(f"{name}.attn.c_proj", s.D, s.D, "attention output", transposed=True)
        yield from layer_norm(f"{name}.ln_2", s.D)
        yield from linear(f"{name}.mlp.c_fc", s.D, s.F, "feed-forward up", transposed=True)
        yield from linear(f"{name}.mlp.c_proj", s.F, s.D, "feed-forward down", transposed=True)

    body = "" if architecture == "GPT2Model" else "transformer."
    yield from embedding(f"{body}wte", s.V, s.D)
    yield from embedding(f"{body}wpe", s.T, s.D, "position table")
    yield from stack(f"{body}h", s.L, layer)
    yield from layer_norm(f"{body}ln_f", s.D)
    if architecture == "GPT2LMHeadModel":
        yield from lm_head("lm_head", s.V, s.D, tied_to=f"{body}wte.weight" if s.tied else "")


def saves(s: DecoderSizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of layer norms, heads whose softmax is in the model's format, and dropouts."""
    norm, masks = saved.norm(saved.LAYER, s.D), saved.dropped(s.residual_dropout, s.D, 2)
    layer = saved.layer(s.D, 2 * norm, saved_attention(s, softmax_32=False), saved_mlp(s), masks)
    return saved.SavedActivations([layer] * s.L, [*saved.dropped(s.embedding_dropout, s.D), *norm])


FAMILY = Family(
    model_type="gpt2",
    architectures=("GPT2LMHeadModel", "GPT2Model"),
    read=read,
    tensors=tensors,
    caches=caches,
    positions=learned,
    saves=saves,
    gguf_mixes=True,
)
