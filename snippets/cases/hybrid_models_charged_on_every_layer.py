"""The program of "A hybrid model charged for a KV cache on every layer": caches and states, against an engine's log."""

# --8<-- [start:count]
CONFIG = {  # of Qwen3.6-27B; yours has the same names
    "num_hidden_layers": 64, "full_attention_interval": 4, "num_key_value_heads": 4, "head_dim": 256,
    "linear_conv_kernel_dim": 4, "linear_num_key_heads": 16, "linear_key_head_dim": 128,
    "linear_num_value_heads": 48, "linear_value_head_dim": 128,
}  # fmt: skip


def cache_of_a_layer(c, tokens, bytes_each=2):
    """Keys and values of one layer with full attention, which grow with the tokens."""
    return 2 * c["num_key_value_heads"] * c["head_dim"] * tokens * bytes_each


def state_of_a_layer(c):
    """What a layer with linear attention keeps of a sequence, however long: float32, in llama.cpp."""
    keys = c["linear_num_key_heads"] * c["linear_key_head_dim"]
    values = c["linear_num_value_heads"] * c["linear_value_head_dim"]
    recurrent = values * c["linear_key_head_dim"]
    convolution = (c["linear_conv_kernel_dim"] - 1) * (2 * keys + values)
    return 4 * (recurrent + convolution)


# --8<-- [end:count]

# --8<-- [start:table]
MiB, GiB = 2**20, 2**30
full = CONFIG["num_hidden_layers"] // CONFIG["full_attention_interval"]
linear = CONFIG["num_hidden_layers"] - full
T, SEQUENCES = 262_144, 4  # as in the log

every_layer = (full + linear) * cache_of_a_layer(CONFIG, T)
needed = full * cache_of_a_layer(CONFIG, T)
states = SEQUENCES * linear * state_of_a_layer(CONFIG)
print("| Qwen3.6-27B, 262,144 tokens | Predicted | llama.cpp's log |")
print("| --- | ---: | ---: |")
print(f"| a cache on every layer | {every_layer / MiB:.2f} MiB | – |")
print(f"| on {full} layers | {needed / MiB:.2f} MiB | 16384.00 MiB |")
print(f"| states of {linear}, {SEQUENCES} sequences | {states / MiB:.2f} MiB | 598.50 MiB |")
# --8<-- [end:table]

# --8<-- [start:table_claims]
assert f"{needed / MiB:.2f} {states / MiB:.2f}" == "16384.00 598.50", "Both lines of the log, to the last digit"
excess = every_layer - needed
shown, real = 75e9, 47e9  # LM Studio's estimate, and the total, as published
assert shown - real < 0.6 * excess, "Its estimate is too high by less than a cache on every layer would make it"
# --8<-- [end:table_claims]

# --8<-- [start:fell]
q8_0 = 34 / 32  # bytes of a number: 32 codes and a scale of 2 bytes
charged = linear * cache_of_a_layer(CONFIG, 65_536, q8_0)
instead = linear * state_of_a_layer(CONFIG)
fell = charged - instead
print(f"cache of {linear} layers: {charged / GiB:.3f} GiB")
print(f"their states:       {instead / GiB:.3f} GiB")
print(f"the difference:     {fell / GiB:.2f} GiB")
# --8<-- [end:fell]

# --8<-- [start:fell_claims]
assert f"{fell / GiB:.2f}" == f"{24.83 - 18.60:.2f}", "By so much the estimate fell with the fix"
# --8<-- [end:fell_claims]

# --8<-- [start:own]
layer_types = ["linear_attention"] * 3 + ["full_attention"]  # from your config.json
layer_types *= 16
with_cache = layer_types.count("full_attention")
total = with_cache * cache_of_a_layer(CONFIG, 32_768) + layer_types.count("linear_attention") * state_of_a_layer(CONFIG)
print(f"{with_cache} of {len(layer_types)} layers keep tokens: {total / GiB:.2f} GiB for 32,768")
# --8<-- [end:own]

# --8<-- [start:own_claims]
assert with_cache == full and len(layer_types) == 64
# --8<-- [end:own_claims]

# --8<-- [start:problems]
lfm2 = [0, 0, 8, 0, 0, 8, 0, 0, 8, 0, 8, 0, 8, 0, 8, 0]  # key-value heads of each layer
kept = sum(cache_of_a_layer({"num_key_value_heads": heads, "head_dim": 64}, 32_768) for heads in lfm2)
first_read = len(lfm2) * cache_of_a_layer({"num_key_value_heads": lfm2[0], "head_dim": 64}, 32_768)
assert (kept, first_read) == (384 * MiB, 0)
# --8<-- [end:problems]
