"""The model: a decoder-only transformer of Llama's architecture (Touvron et al. 2023, arXiv 2302.13971), on one page.

Its tensors have the names and shapes of transformers' LlamaForCausalLM, so the files of either load in the other.
Shapes in comments: B sequences of T tokens, D the width, H query heads and K key-value heads of E numbers each.
"""

import json
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Cache = list[tuple[Tensor, Tensor]]
"""The keys and values of the tokens so far, one pair for each layer, each of shape (B, K, tokens, E)."""


@dataclass(frozen=True)
class Config:
    """The sizes of the model, under the names of its config.json."""

    vocab_size: int = 2048
    hidden_size: int = 192
    intermediate_size: int = 512
    num_hidden_layers: int = 4
    num_attention_heads: int = 6
    num_key_value_heads: int = 2
    max_position_embeddings: int = 256
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10_000.0

    @classmethod
    def read(cls, directory: str | Path) -> "Config":
        """Read the config.json of a directory; fields that are not about sizes are passed over."""
        found = json.loads(Path(directory, "config.json").read_text(encoding="utf-8"))
        return cls(**{field.name: found[field.name] for field in fields(cls)})


class RMSNorm(nn.Module):
    """Scale each vector to a mean square of 1, then each number by a weight.

    Zhang and Sennrich 2019, arXiv 1910.07467.
    """

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair of numbers (i, i + E/2) by its angle.

    A product of two vectors so turned depends on their distance alone: rotary position
    embedding (Su et al. 2021, arXiv 2104.09864).
    """
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class Attention(nn.Module):
    """Each token asks (q); earlier ones have a key (k) to be found by and a value (v)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        D, H = config.hidden_size, config.num_attention_heads
        K = config.num_key_value_heads
        self.E = D // H
        self.q_proj = nn.Linear(D, H * self.E, bias=False)
        self.k_proj = nn.Linear(D, K * self.E, bias=False)
        self.v_proj = nn.Linear(D, K * self.E, bias=False)
        self.o_proj = nn.Linear(H * self.E, D, bias=False)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        B, T, _ = x.shape
        q, k, v = (
            projection(x).view(B, T, -1, self.E).transpose(1, 2)  # (B, H or K, T, E)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if past is not None:
            k, v = torch.cat((past[0], k), dim=2), torch.cat((past[1], v), dim=2)
        # Token i of these T may look at every token before it, and at itself.
        S = k.shape[2]
        mask = torch.ones(T, S, dtype=torch.bool, device=x.device).tril(S - T)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
        return self.o_proj(y.transpose(1, 2).reshape(B, T, -1)), (k, v)


class MLP(nn.Module):
    """Think about each token alone: a gated layer (SwiGLU, Shazeer 2020)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        D, hidden = config.hidden_size, config.intermediate_size
        self.gate_proj = nn.Linear(D, hidden, bias=False)
        self.up_proj = nn.Linear(D, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, D, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return y


class Layer(nn.Module):
    """Look around, then think; each adds to what is there."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = MLP(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        y, kept = self.self_attn(self.input_layernorm(x), cos, sin, past)
        x = x + y
        return x + self.mlp(self.post_attention_layernorm(x)), kept


class Body(nn.Module):
    """Token ids in, a vector for each token out: everything but the head."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, ids: Tensor, cache: Cache | None) -> tuple[Tensor, Cache]:
        start = cache[0][0].shape[2] if cache else 0
        x = self.embed_tokens(ids)  # (B, T, D)
        cos, sin = (part.to(x.dtype) for part in self.angles(start, ids.shape[1], ids.device))
        kept: Cache = []
        for number, layer in enumerate(self.layers):
            x, new = layer(x, cos, sin, cache[number] if cache else None)
            kept.append(new)
        return self.norm(x), kept

    def angles(self, start: int, T: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Cosines and sines of the angles by which `rotate` turns, each of shape (T, E/2)."""
        E = self.config.hidden_size // self.config.num_attention_heads
        speeds = self.config.rope_theta ** (-torch.arange(0, E, 2, device=device) / E)
        angles = torch.arange(start, start + T, device=device)[:, None] * speeds
        return angles.cos(), angles.sin()


class Quill(nn.Module):
    """Token ids in, a logit for each possible next token out."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.model = Body(config)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                # What is added to x 2L times is made smaller, so that the sum is not (GPT-2).
                adds = name.endswith(("o_proj.weight", "down_proj.weight"))
                times = 2 * config.num_hidden_layers if adds else 1
                nn.init.normal_(weight, std=0.02 / times**0.5)

    def forward(self, ids: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        """The logits of the token after each.

        Args:
            ids: Shape (B, T): the tokens, or with a cache those that come after the ones it holds.
            cache: What an earlier call returned.

        Returns:
            Logits of shape (B, T, vocab_size), and the cache with the new tokens in it.
        """
        x, kept = self.model(ids, cache)
        # The head is the embedding: a token's logit is how well x fits its vector.
        return F.linear(x, self.model.embed_tokens.weight), kept

    @classmethod
    def read(cls, directory: str | Path) -> "Quill":
        """Load the model of a directory with a config.json and a model.safetensors."""
        from safetensors.torch import load_file

        model = cls(Config.read(directory))
        model.load_state_dict(load_file(Path(directory, "model.safetensors")))
        return model.eval()
