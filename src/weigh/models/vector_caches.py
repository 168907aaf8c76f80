"""What layers keep for each token, or each group of them, in place of its keys and values or beside these."""

from typing import Any

from weigh.models.caches import Caches, KeyValue, Latent, State, Vectors


def hidden(place: int, kind: str, layer: Any) -> Caches:
    """XLNet's memory: the input of the layer for each token, of which keys and values are computed anew."""
    return [Vectors(layer.d_model, window=layer.mem_len or None)]


def hashed(place: int, kind: str, layer: Any) -> Caches:
    """Reformer's: the input of the layer, and of each head the buckets into which its hashes put the token."""
    kept: Caches = [Vectors(layer.hidden_size)]
    if layer.attn_layers[place] == "lsh":
        kept.append(Vectors(layer.num_attention_heads * layer.num_hashes, dtype="int64"))
    return kept


def pooled(place: int, kind: str, layer: Any) -> Caches:
    """DeepSeek-V4's: one vector, both key and value, of each token in a window, and of each m tokens before it.

    The next group's tokens wait with a value and a gate each. Where groups overlap they have two of both, of which the
    last group's first ones are kept, the gates in float32; there is an index of such vectors, too. Layers with nothing
    but a window keep their vectors twice.
    """
    E = layer.head_dim
    if kind == "sliding_attention":
        return [KeyValue(1, E, E, layer.sliding_window)]
    kept: Caches = [Latent(E, 0, layer.sliding_window)]
    if kind == "heavily_compressed_attention":
        kept.append(Vectors(E, layer.compress_rates[kind], 2 * E))
    if kind == "compressed_sparse_attention":
        m = layer.compress_rates[kind]
        for width in (E, layer.index_head_dim):
            kept += [Vectors(width, m, 4 * width), State(m * width), State(m * width, "float32")]
    return kept
