"""GPT-Neo (Black et al. 2021): GPT-3 with local attention in some of its layers."""

from itertools import islice

from weigh.errors import InvalidConfig
from weigh.models import saved
from weigh.models.config import Config
from weigh.models.decoders import DecoderSizes, Windows, caches, decoder, saved_attention, saves_of_gpt
from weigh.models.family import Family, learned
from weigh.models.layers import Tensors, embedding, layer_norm, linear


def windows(config: Config, L: int) -> Windows:
    """The window of each local layer. The reference keeps the tokens outside too, and masks them."""
    window, types = config.size("window_size", 256), config.get("attention_types", [[["global", "local"], 12]])
    config.ignore("attention_layers")  # the reference spells it out from attention_types
    try:
        kinds = list(islice((kind for kinds, count in types for _ in range(count) for kind in kinds), L + 1))
    except (TypeError, ValueError):
        kinds = []
    if len(kinds) != L or any(kind not in ("global", "local") for kind in kinds):
        raise InvalidConfig(
            f"{config.where}, field attention_types", f"must say global or local for each of {L} layers: {types!r:.40}"
        )
    return tuple(window if kind == "local" else None for kind in kinds)


def read(config: Config) -> DecoderSizes:
    """The sizes of GPT-Neo 1.3B."""
    D, H = config.size("hidden_size", 2048), config.size("num_heads", 16)
    L = config.layers("num_layers", 24)
    return DecoderSizes(
        V=config.size("vocab_size", 50257), T=config.size("max_position_embeddings", 2048), L=L,
        D=D, F=config.size("intermediate_size", 4 * D), H=H, K=H, E=config.split("hidden_size", "num_heads", D, H),
        tied=config.flag("tie_word_embeddings", True), windows=windows(config, L),
        activation=saved.activation(config, "gelu_new", "activation_function"),
        score_dropout=config.rate("attention_dropout", 0),
        residual_dropout=config.rate("resid_dropout", 0),
        embedding_dropout=config.rate("embed_dropout", 0),
    )  # fmt: skip


def tensors(s: DecoderSizes, architecture: str) -> Tensors:
    """The tensors of a GPT, the same for local and global layers."""

    def layer(name: str, i: int) -> Tensors:
        attention = f"{name}.attn.attention"
        yield from layer_norm(f"{name}.ln_1", s.D)
        for projection, what in (("k_proj", "key"), ("v_proj", "value"), ("q_proj", "query")):
            yield from linear(f"{attention}.{projection}", s.D, s.D, f"attention {what}", bias=False)
        yield from linear(f"{attention}.out_proj", s.D, s.D, "attention output")
        yield from layer_norm(f"{name}.ln_2", s.D)
        yield from linear(f"{name}.mlp.c_fc", s.D, s.F, "feed-forward up")
        yield from linear(f"{name}.mlp.c_proj", s.F, s.D, "feed-forward down")

    return decoder(
        architecture, s, layer, layer_norm, body="transformer.", words="wte", layers="h", last="ln_f",
        between=lambda body: embedding(f"{body}wpe", s.T, s.D, "position table"),
    )  # fmt: skip


def saves(s: DecoderSizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of a GPT whose scores are products in float32."""
    return saves_of_gpt(s, [*saved_attention(s), *saved.products_32(s.H, s.E)])


FAMILY = Family(
    model_type="gpt_neo",
    architectures=("GPTNeoForCausalLM", "GPTNeoModel"),
    read=read,
    tensors=tensors,
    caches=caches,
    positions=learned,
    saves=saves,
)
