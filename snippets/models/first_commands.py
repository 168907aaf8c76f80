"""The program of the page "First commands": what a check of PyTorch proves, and checks that prove more."""

# --8<-- [start:check]
import torch

print(torch.__version__)
print(torch.randn(2, 3).shape)
# --8<-- [end:check]

# --8<-- [start:check_holds]
from packaging.specifiers import SpecifierSet

made = torch.randn(2, 3)
assert tuple(made.shape) == (2, 3)
assert not torch.equal(made, torch.randn(2, 3))

installed = str(torch.__version__)
release, _, build = installed.partition("+")
assert SpecifierSet(f"=={release}").contains(installed, prereleases=True)
assert torch.__version__ > "2.6.0"
as_text = "2.13.0" > "2.6.0"
assert not as_text and SpecifierSet(">2.6.0").contains("2.13.0")
# --8<-- [end:check_holds]

# --8<-- [start:devices]
print("built for CUDA:", torch.version.cuda)
print("accelerator in reach:", torch.accelerator.is_available())
# --8<-- [end:devices]


# --8<-- [start:repeatable]
def forward(seed: int) -> torch.Tensor:
    torch.manual_seed(seed)
    layer = torch.nn.Linear(3, 2)  # random weights
    return layer(torch.randn(4, 3))  # random inputs


same = torch.equal(forward(0), forward(0))
other = torch.equal(forward(0), forward(1))
print("same seed, same output:", same)
print("other seed, same output:", other)
assert same and not other
# --8<-- [end:repeatable]

# --8<-- [start:bytes]
tensor = torch.randn(2, 3)
for t in (tensor, tensor.to(torch.bfloat16)):
    print(t.dtype, t.element_size() * t.nelement(), "bytes")
# --8<-- [end:bytes]

# --8<-- [start:saved]
import contextlib
import tempfile

from safetensors.torch import save_file

from weigh.cli import weigh as command

with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
    save_file({"tensor": tensor}, "tensor.safetensors")
    # In a terminal: weigh inspect tensor.safetensors
    command(["inspect", "tensor.safetensors"], standalone_mode=False)
# --8<-- [end:saved]

# --8<-- [start:saved_holds]
import weigh

with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
    save_file({"tensor": tensor}, "tensor.safetensors")
    saved = weigh.inspect("tensor.safetensors")

in_memory = tensor.element_size() * tensor.nelement()
assert in_memory == saved.bytes_in_tensors == 24
assert tensor.to(torch.bfloat16).element_size() == tensor.element_size() // 2
header = saved.bytes_on_disk - saved.bytes_in_tensors
# --8<-- [end:saved_holds]

# --8<-- [start:problems]
matrix = torch.zeros(1000, 1000)
one_row = matrix[0]
own = one_row.element_size() * one_row.nelement()
held = one_row.untyped_storage().nbytes()
# --8<-- [end:problems]

# --8<-- [start:view]
print(f"its own: {own:,} bytes; kept alive: {held:,} bytes")
assert held == 1000 * own
# --8<-- [end:view]
