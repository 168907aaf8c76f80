"""GPT-2 (Radford et al. 2019)."""

from weigh.models import saved
from weigh.models.config import Config
from weigh.models.decoders import DecoderSizes, caches, decoder, saved_attention, saves_of_gpt
from weigh.models.family import Family, learned
from weigh.models.layers import Tensors, embedding, layer_norm, linear


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

    return decoder(
        architecture, s, layer, layer_norm, body="transformer.", words="wte", layers="h", last="ln_f",
        between=lambda body: embedding(f"{body}wpe", s.T, s.D, "position table"),
    )  # fmt: skip


def saves(s: DecoderSizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of layer norms, heads whose softmax is in the model's format, and dropouts."""
    return saves_of_gpt(s, saved_attention(s, softmax_32=False))


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
