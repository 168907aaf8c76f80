"""OPT (Zhang et al. 2022)."""

from dataclasses import dataclass

from weigh.models import saved
from weigh.models.config import Config
from weigh.models.decoders import DecoderSizes, caches, saved_attention, saved_mlp
from weigh.models.family import Family, learned
from weigh.models.layers import Tensors, embedding, layer_norm, linear, lm_head, stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes(DecoderSizes):
    """A decoder's sizes.

    Attributes:
        P: The width of the embeddings, which are projected in and out if that is not the model's, as in OPT-350M.
        bias: Whether projections have biases.
        affine: Whether norms have weights.
        before: Whether a norm comes before its sublayer, or after it, as in OPT-350M.
        last_norm: Whether there is a norm after the layers.
    """

    P: int
    bias: bool
    affine: bool
    before: bool
    last_norm: bool


def read(config: Config) -> Sizes:
    """The sizes of OPT-125M."""
    config.ignore("layerdrop", "init_std")
    D, H = config.size("hidden_size", 768), config.size("num_attention_heads", 12)
    before = config.flag("do_layer_norm_before", True)
    return Sizes(
        V=config.size("vocab_size", 50272), T=config.size("max_position_embeddings", 2048),
        D=D, F=config.size("ffn_dim", 3072), L=config.layers("num_hidden_layers", 12),
        H=H, K=H, E=config.split("hidden_size", "num_attention_heads", D, H), P=config.size("word_embed_proj_dim", D),
        tied=config.flag("tie_word_embeddings", True), bias=config.flag("enable_bias", True),
        affine=config.flag("layer_norm_elementwise_affine", True), before=before,
        last_norm=not config.flag("_remove_final_layer_norm", False) and before,
        activation=saved.activation(config, "relu", "activation_function"),
        score_dropout=config.rate("attention_dropout", 0), residual_dropout=config.rate("dropout", 0.1),
    )  # fmt: skip


def tensors(s: Sizes, architecture: str) -> Tensors:
    """The tensors of a GPT. The positions count from 2, so there are two rows more."""

    def norm(name: str) -> Tensors:
        if s.affine:
            yield from layer_norm(name, s.D)

    def layer(name: str, i: int) -> Tensors:
        for projection, what in (("k_proj", "key"), ("v_proj", "value"), ("q_proj", "query"), ("out_proj", "output")):
            yield from linear(f"{name}.self_attn.{projection}", s.D, s.D, f"attention {what}", s.bias)
        yield from norm(f"{name}.self_attn_layer_norm")
        yield from linear(f"{name}.fc1", s.D, s.F, "feed-forward up", s.bias)
        yield from linear(f"{name}.fc2", s.F, s.D, "feed-forward down", s.bias)
        yield from norm(f"{name}.final_layer_norm")

    body = "decoder" if architecture == "OPTModel" else "model.decoder"
    yield from embedding(f"{body}.embed_tokens", s.V, s.P)
    yield from embedding(f"{body}.embed_positions", s.T + 2, s.D, "position table")
    if s.P != s.D:
        yield from linear(f"{body}.project_out", s.D, s.P, "projection", bias=False)
        yield from linear(f"{body}.project_in", s.P, s.D, "projection", bias=False)
    if s.last_norm:
        yield from norm(f"{body}.final_layer_norm")
    yield from stack(f"{body}.layers", s.L, layer)
    if architecture == "OPTForCausalLM":
        yield from lm_head("lm_head", s.V, s.P, tied_to=f"{body}.embed_tokens.weight" if s.tied else "")


def saves(s: Sizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of a GPT. Where norms come after their sublayers, the embedding feeds the first layer."""
    norm, masks = saved.norm(saved.LAYER, s.D), saved.dropped(s.residual_dropout, s.D, 2)
    ends = norm if s.before else saved.one("input of the first layer", "b · D", D=s.D)
    projected = saved.one("narrow embeddings, in and out", "2 · b · P", P=s.P) if s.P != s.D else []
    layer = saved.layer(s.D, 2 * norm, saved_attention(s), saved_mlp(s), masks)
    return saved.SavedActivations([layer] * s.L, [*ends, *projected])


FAMILY = Family(
    model_type="opt",
    architectures=("OPTForCausalLM", "OPTModel"),
    read=read,
    tensors=tensors,
    caches=caches,
    positions=learned,
    saves=saves,
)
