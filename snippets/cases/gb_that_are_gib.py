"""The program of "Two sizes of one model, 7 % apart": a unit's name on another unit's number."""

# --8<-- [start:predict]
import json
import tempfile
from pathlib import Path

import weigh
from weigh import GB, GiB

LLAMA_13B = {
    "model_type": "llama", "vocab_size": 32_000, "hidden_size": 5120, "intermediate_size": 13_824,
    "num_hidden_layers": 40, "num_attention_heads": 40,
}  # fmt: skip
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "config.json").write_text(json.dumps(LLAMA_13B))
    parameters = weigh.params(folder).parameters
size = parameters * 18 // 32  # Q4_0 keeps 32 weights in 18 bytes
print(f"{size:,} bytes = {size / GB:.2f} GB = {size / GiB:.2f} GiB")
# --8<-- [end:predict]

# --8<-- [start:predict_claims]
assert (f"{size / GB:.1f}", f"{size / GiB:.1f}") == ("7.3", "6.8"), "The two figures of the report are one size"
# --8<-- [end:predict_claims]

# --8<-- [start:bars]
from huggingface_hub.utils import tqdm

print(tqdm.format_sizeof(size, "B"))
print(tqdm.format_sizeof(size, "B", divisor=1024))
# --8<-- [end:bars]

# --8<-- [start:bars_claims]
assert tqdm.format_sizeof(size, "B").removesuffix("GB") == f"{size / GB:.2f}"
assert tqdm.format_sizeof(size, "B", divisor=1024).removesuffix("GB") == f"{size / GiB:.2f}", "GB on a number of GiB"
# --8<-- [end:bars_claims]


# --8<-- [start:one_size]
def is_one_size(decimal, binary, power=3):
    """Whether two figures, as printed, can be one size in powers of 1000 and of 1024."""

    def bounds(figure, unit):
        half = 10.0 ** -len(figure.partition(".")[2]) / 2  # of the last digit that is shown
        return (float(figure) - half) * unit**power, (float(figure) + half) * unit**power

    (low, high), (other_low, other_high) = bounds(decimal, 1000), bounds(binary, 1024)
    return low < other_high and other_low < high


# --8<-- [end:one_size]

# --8<-- [start:table]
REPORTS = {
    "[Ollama](https://github.com/ollama/ollama/issues/127)": ("7.3", "6.8"),
    "[torchtune](https://github.com/meta-pytorch/torchtune/pull/1348)": ("83", "77"),
    "[Unsloth](https://github.com/unslothai/unsloth/pull/11150)": ("1.8", "1.7"),
    "[GPT4All](https://github.com/nomic-ai/gpt4all/issues/1685)": ("16", "14.896"),
    "[LM Studio](https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/1862)": ("75", "47"),
}
print("| Published in | GB | GiB | Ratio | One size? |")
print("| --- | ---: | ---: | ---: | --- |")
verdicts = {}
for report, (decimal, binary) in REPORTS.items():
    verdicts[report] = is_one_size(decimal, binary)
    ratio = float(decimal) / float(binary)
    print(f"| {report} | {decimal} | {binary} | {ratio:.3f} | {'yes' if verdicts[report] else 'no'} |")
# --8<-- [end:table]

# --8<-- [start:table_claims]
assert list(verdicts.values()) == [True] * 4 + [False], "The first four are a unit; the last is not"
assert abs(GiB / GB - 1.074) < 0.001
# --8<-- [end:table_claims]

# --8<-- [start:own]
quill = weigh.inspect("models/quill/model.safetensors")  # or: your file
print(f"{quill.bytes_on_disk:,} bytes")
print(weigh.format_bytes(quill.bytes_on_disk), "or", weigh.format_bytes(quill.bytes_on_disk, binary=True))
# --8<-- [end:own]

# --8<-- [start:problems]
gaps = {prefix: 1.024**power - 1 for power, prefix in enumerate("kMGT", start=1)}
in_tib = 2e12 / 2**40
assert is_one_size("2.0", f"{in_tib:.2f}", power=4)
# --8<-- [end:problems]
