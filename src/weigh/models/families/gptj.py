"""GPT-J (Wang and Komatsuzaki 2021): attention and feed-forward side by side, and a head with a bias."""

from weigh.models import saved
from weigh.models.config import Config
from weigh.models.decoders import DecoderSizes, caches, saved_attention, saved_mlp
from weigh.models.family import Family
from weigh.models.layers import Tensors, embedding, layer_norm, linear, lm_head, stack


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

    body = "" if architecture == "GPTJModel" else "transformer."
    yield from embedding(f"{body}wte", s.V, s.D)
    yield from stack(f"{body}h", s.L, layer)
    yield from layer_norm(f"{body}ln_f", s.D)
    if architecture == "GPTJForCausalLM":
        yield from lm_head("lm_head", s.V, s.D, tied_to=f"{body}wte.weight" if s.tied else "", bias=True)


def saves(s: DecoderSizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of attention and feed-forward, which one norm feeds; scores are products in float32."""
    attention = [*saved_attention(s), *saved.products_32(s.H, s.E)]
    norm, masks = saved.norm(saved.LAYER, s.D), saved.dropped(s.residual_dropout, s.D, 2)
    layer = saved.layer(s.D, norm, attention, saved_mlp(s), masks)
    return saved.SavedActivations([layer] * s.L, [*saved.dropped(s.embedding_dropout, s.D), *norm])


FAMILY = Family(
    model_type="gptj",
    architectures=("GPTJForCausalLM", "GPTJModel"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
)
