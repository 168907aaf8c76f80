"""The program of "A checkpoint larger than its tensors": tied tensors and views, through three writers."""

# --8<-- [start:predict]
import math

import weigh

gpt2 = weigh.params("models/gpt2")
once = gpt2.bytes_as("float32")
table = next(tensor for tensor in gpt2.distinct if tensor.name.endswith("wte.weight"))
twice = once + 4 * table.numel
MiB = 2**20
# --8<-- [end:predict]

# --8<-- [start:predict_claims]
assert [math.ceil(size / MiB) for size in (once, twice)] == [475, 622], "Both sizes of the report, as du rounds"
# --8<-- [end:predict_claims]

# --8<-- [start:cases]
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file, save_model
from torch.nn import Module, Parameter
from torch.nn.utils import vector_to_parameters


def matrix():
    return torch.zeros(100, 100, dtype=torch.float64)


def holding(**tensors):
    """A model with these parameters."""
    model = Module()
    for name, tensor in tensors.items():
        setattr(model, name, tensor if isinstance(tensor, Parameter) else Parameter(tensor))
    return model


whole = torch.zeros(100, 100, 100, dtype=torch.float64)  # the second report's shape
tied = Parameter(matrix())
from_vector = holding(a=matrix(), b=matrix())
vector_to_parameters(torch.zeros(20_000, dtype=torch.float64), from_vector.parameters())
MODELS = {
    "a slice of a tensor": holding(w=whole[0]),
    "its clone": holding(w=whole[0].clone()),
    "one tensor, two names": holding(a=tied, b=tied),
    "one tensor, cloned for the second": holding(a=tied, b=tied.detach().clone()),
    "two tensors": holding(a=matrix(), b=matrix()),
    "the same, set from a vector": from_vector,
}
WRITERS = {
    "`torch.save`": lambda model, path: torch.save(model.state_dict(), path),
    "`save_file`": lambda model, path: save_file(model.state_dict(), path),
    "`save_model`": lambda model, path: save_model(model, str(path)),
}
# --8<-- [end:cases]


# --8<-- [start:write]
def written(writer, model):
    """The bytes of the file, or None if the writer refuses."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        try:
            writer(model, path)
        except RuntimeError:
            return None
        return path.stat().st_size


print("| Held |", " | ".join(WRITERS), "|")
print("| --- |" + " ---: |" * len(WRITERS))
sizes = {}
for what, model in MODELS.items():
    sizes[what] = [written(writer, model) for writer in WRITERS.values()]
    print(f"| {what} |", " | ".join("refused" if size is None else f"{size:,}" for size in sizes[what]), "|")
# --8<-- [end:write]

# --8<-- [start:write_claims]
slice_, clone, names, copies, two, vector = sizes.values()
assert slice_[0] > 98 * clone[0] and slice_[1] == clone[1] and slice_[2] is None
assert names[0] < 0.55 * copies[0] and names[1] is None and names[2] < 0.55 * copies[2]
assert two[1] == two[2] == vector[1] and vector[2] is None, "save_model refuses what save_file writes"
storages = {parameter.untyped_storage().data_ptr() for parameter in from_vector.parameters()}
assert len(storages) == 1, "The parameters were not copied from the vector: they are slices of it"
# --8<-- [end:write_claims]

# --8<-- [start:own]
folder = tempfile.TemporaryDirectory()
checkpoint = Path(folder.name, "checkpoint.pt")
torch.save({"w": whole[0]}, checkpoint)
found = weigh.inspect(checkpoint)
print("in tensors:", f"{found.bytes_in_tensors:,}")
print("unused:    ", f"{found.by_component['unused']:,}")

exported = weigh.export(checkpoint, Path(folder.name, "model"))
print("exported:  ", f"{weigh.inspect(Path(folder.name, 'model')).bytes_on_disk:,}")
# --8<-- [end:own]

# --8<-- [start:own_claims]
assert found.by_component["unused"] == 99 * found.bytes_in_tensors
# --8<-- [end:own_claims]

# --8<-- [start:problems]
qwen = weigh.params("models/qwen2.5-0.5b")
tied_size = qwen.bytes_as("bfloat16")
embedding = next(tensor for tensor in qwen.distinct if tensor.name.endswith("embed_tokens.weight"))
untied_size = tied_size + 2 * embedding.numel
assert 1.25 < untied_size / tied_size < 1.3
# --8<-- [end:problems]
