"""GPT-J (Wang and Komatsuzaki 2021): attention and feed-forward side by side, and a head with a bias."""

from weigh.models import saved
from weigh.models.config import Config
from weigh.models.decoders import DecoderSizes, caches, decoder, saved_attention, saves_of_gpt
from weigh.models.family import Family
from weigh.models.layers import Tensors, layer_norm, linear


def read(config: Config) -> DecoderSizes:
    """The sizes of GPT-J 6B."""
    config.ignore("n_positions", "rotary", "rotary_dim")
    D, H = config.size("n_embd", 4096), config.size("n_head", 16)
    return DecoderSizes(
        V=config.size("vocab_size", 50400), L=config.layers("n_layer", 28),
        D=D, F=config.size("n_inner", 4 * D), H=H, K=H, E=config.split("n_embd", "n_head", D, H),
        tied=config.flag("tie_word_embeddings", False),
        activation=saved.activation(config, "gelu_new", "activation_function"),
        score_dropout=config.rate("attn_pdrop", 0),
        residual_dropout=config.rate("resid_pdrop", 0),
        embedding_dropout=config.rate("embd_pdrop", 0),
    )  # fmt: skip


def tensors(s: DecoderSizes, architecture: str) -> Tensors:
    """The tensors of a GPT with one norm a layer, and no biases in attention."""

    def layer(name: str, i: int) -> Tensors:
        yield from layer_norm(f"{name}.ln_1", s.D)
        for projection, what in (("k_proj", "key"), ("v_proj", "value"), ("q_proj", "query"), ("out_proj", "output")):
            yield from linear(f"{name}.attn.{projection}", s.D, s.D, f"attention {what}", bias=False)
        yield from linear(f"{name}.mlp.fc_in", s.D, s.F, "feed-forward up")
        yield from linear(f"{name}.mlp.fc_out", s.F, s.D, "feed-forward down")

    return decoder(
        architecture, s, layer, layer_norm, body="transformer.", words="wte", layers="h", last="ln_f", head_bias=True
    )


def saves(s: DecoderSizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of attention and feed-forward, which one norm feeds; scores are products in float32."""
    return saves_of_gpt(s, [*saved_attention(s), *saved.products_32(s.H, s.E)], norms=1)


FAMILY = Family(
    model_type="gptj",
    architectures=("GPTJForCausalLM", "GPTJModel"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
)
