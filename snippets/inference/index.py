"""The program of "Inference boundaries": the seven bounds of one deployment, each met by a number."""

# --8<-- [start:deployment]
import weigh

DEVICE = 24 * weigh.GiB
BANDWIDTH, FLOPS = 600e9, 125e12  # bytes and operations a second, of an A10
model = weigh.params("models/llama-3-8b")
CONTEXT = 4096
# --8<-- [end:deployment]

# --8<-- [start:bounds]
from tokenizers import Tokenizer

made_for = model.config.fields["max_position_embeddings"]
bits16 = weigh.inference(model, "bfloat16", CONTEXT)
batch = {dtype: weigh.largest_batch(model, DEVICE, context=CONTEXT, dtype=dtype) for dtype in ("bfloat16", "q4_k_m")}
bits4 = weigh.inference(model, "q4_k_m", CONTEXT)
speed = weigh.decode_bound(model, bandwidth=BANDWIDTH, flops=FLOPS, context=CONTEXT)
four_beams = weigh.inference(model, "bfloat16", CONTEXT, batch=4)
tokenizer = Tokenizer.from_file("models/quill/tokenizer.json")
quill = weigh.params("models/quill")
rows = quill.config.fields["vocab_size"]
stop = [tokenizer.encode(text).tokens for text in ("Macbeth.", "Macbeth.\n\n")]
# --8<-- [end:bounds]

# --8<-- [start:claims]
assert made_for == 8192
assert bits16.total_bytes < DEVICE and batch["q4_k_m"] > batch["bfloat16"] >= 1
assert four_beams.kv_cache_bytes == 4 * bits16.kv_cache_bytes
assert rows == tokenizer.get_vocab_size()
# --8<-- [end:claims]
