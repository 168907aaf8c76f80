"""The program of "A KV cache estimate and its sliding windows": one config, four honest answers."""

# --8<-- [start:formulas]
import weigh
from weigh import GiB


def kept(name, full_layer, window_layer):
    """The bytes of a bfloat16 cache in which each kind of layer keeps so many tokens."""
    c = weigh.params(f"models/{name}").config.fields
    half = c["num_hidden_layers"] // 2  # gpt-oss: every other layer has a window
    a_token = 2 * c["num_key_value_heads"] * c["head_dim"] * 2  # keys and values, two bytes
    return half * (full_layer + window_layer) * a_token


WINDOW, PIECE = 128, 16  # of gpt-oss; tokens in a block of vLLM


def blocks(context, batched):
    """Blocks that vLLM wants for a request: those of its full layers, and of its layers with a window."""
    recent = min(WINDOW - 1 + batched, context)  # a window, and a piece of the prompt
    return -(-context // PIECE), -(-recent // PIECE) + 1


# --8<-- [end:formulas]

# --8<-- [start:first]
layers_left_out = kept("gpt-oss-120b", 1, 0)
all_layers = kept("gpt-oss-120b", 1, 1)
logged = 78_384  # tokens, in vLLM's log
pool = logged * all_layers
print(f"without layers with a window: {layers_left_out:,} bytes per token")
print(f"with them: {all_layers:,}, times {logged:,} tokens = {pool / GiB:.2f} GiB")
# --8<-- [end:first]

# --8<-- [start:first_claims]
assert layers_left_out == 36_864, "hf-mem's answer in the first report"
assert all_layers == 73_728, "The report's own count"
assert f"{pool / GiB:.2f}" == "5.38", "The log's tokens times all layers are the log's memory"
in_pool = pool // (18 * PIECE * 2048)  # a block belongs to 18 layers of one kind
assert in_pool // 2 * PIECE == logged, "Half of the blocks for each kind of layer: the log divides evenly"
context = 131_072
concurrency = in_pool / sum(blocks(context, 8192))
holds = int(concurrency * context)
assert holds > 1.8 * logged, "As vLLM counts now, the same blocks are almost twice the tokens"
# --8<-- [end:first_claims]

# --8<-- [start:second]
T, B = 8192, 32
oss = weigh.params("models/gpt-oss-20b")
ANSWERS = {
    "windows left out (hf-mem 0.5.3)": kept("gpt-oss-20b", T, 0),
    "each window (0.5.4, 0.5.5; `weigh`)": weigh.inference(oss, context=T, batch=1).kv_cache_bytes,
    "vLLM may want, pieces of 2,048": kept("gpt-oss-20b", *(PIECE * n for n in blocks(T, 2048))),
    "vLLM may want, pieces of 8,192": kept("gpt-oss-20b", *(PIECE * n for n in blocks(T, 8192))),
    "every layer in full (0.5.6)": kept("gpt-oss-20b", T, T),
}
print("| Counted | GiB |\n| --- | ---: |")
for what, size in ANSWERS.items():
    print(f"| {what} | {B * size / GiB:.2f} |")
# --8<-- [end:second]

# --8<-- [start:second_claims]
left_out, windows, small_pieces, large_pieces, full = ANSWERS.values()
assert windows == kept("gpt-oss-20b", T, WINDOW)
assert [f"{B * size / GiB:.2f}" for size in (windows, full)] == ["6.09", "12.00"], "The figures of #70"
assert left_out < windows < small_pieces < full < large_pieces < 1.01 * full
# --8<-- [end:second_claims]

# --8<-- [start:own]
yours = weigh.inference(weigh.params("models/gpt-oss-20b"), context=131_072)  # or: your config.json
for step in yours.steps:
    if "keys" in str(step):
        print(step)
# --8<-- [end:own]

# --8<-- [start:problems]
gemma = weigh.params("models/gemma-3-1b")
need = weigh.inference(gemma, context=32_768).kv_cache_bytes
in_full = 26 * 32_768 * 2 * 1 * 256 * 2
full_only = in_full * 4 // 26
assert need == full_only + 22 * 512 * 1024, "4 layers in full, 22 with their window"
# --8<-- [end:problems]
