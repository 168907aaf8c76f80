"""The program of "Optimizer files of 90 GB for an 8B model": what DeepSpeed's ZeRO writes, from the config."""

# --8<-- [start:predict]
import weigh

model = weigh.params("models/llama-3-8b")  # Llama 3.1 8B has the same shapes
run = weigh.training(model, "adamw", "bf16-master", batch=1, sequence=2048, zero=2)

optim_states = run.master_weight_bytes + run.optimizer_state_bytes
model_states = run.weight_bytes
per_parameter = optim_states / model.parameters
# --8<-- [end:predict]

# --8<-- [start:table]
from math import ceil

from weigh import format_bytes


def du(size):
    """As `du -h` prints a large size: in GiB, rounded up."""
    return f"{ceil(size / weigh.GiB)}G"


FILES = {
    "optim_states.pt": ("90G", optim_states),
    "model_states.pt": ("15G", model_states),
    "both": ("105 GB", optim_states + model_states),
}
print("| File | Published | Predicted | `du -h` |")
print("| --- | ---: | ---: | ---: |")
for name, (published, size) in FILES.items():
    print(f"| {name} | {published} | {size:,} | {du(size)} |")
# --8<-- [end:table]

# --8<-- [start:table_claims]
assert (du(optim_states), du(model_states)) == ("90G", "15G"), "Both files are as the formula has them"
assert abs(per_parameter - 12) < 0.001, "Twelve bytes per parameter"
assert run.gradient_bytes > 0 and optim_states + model_states == run.checkpoint_bytes, "Gradients are not saved"
expected = 12 * model.parameters
meant = 36e9 / 12  # parameters for which the first reply's product is right
assert 2.9e9 < meant < 3.1e9 < model.parameters / 2, "36 GB is twelve bytes for each of 3 billion parameters"
# --8<-- [end:table_claims]


# --8<-- [start:devices]
def optimizer_file(model, devices):
    """The bytes of the file that each device writes."""
    part = weigh.training(model, "adamw", "bf16-master", batch=1, sequence=2048, zero=2, devices=devices)
    return part.master_weight_bytes + part.optimizer_state_bytes


one_file = {devices: optimizer_file(model, devices) for devices in (1, 2, 8, 64)}
print("| Devices | An optimizer file | All of them |")
print("| ---: | ---: | ---: |")
for devices, size in one_file.items():
    print(f"| {devices} | {format_bytes(size)} | {format_bytes(devices * size)} |")
# --8<-- [end:devices]

# --8<-- [start:devices_claims]
for devices, size in one_file.items():
    assert abs(devices * size / optim_states - 1) < 1e-6, "Together they are as large, however many"
# --8<-- [end:devices_claims]

# --8<-- [start:own]
from weigh.cli import weigh as command

arguments = "training models/llama-3-8b --optimizer adamw --precision bf16-master --zero 2 --devices 1"
code = command.main(arguments.split(), standalone_mode=False)
# --8<-- [end:own]

# --8<-- [start:problems]
seventy = weigh.params("models/llama-3-70b")
one_of_64 = optimizer_file(seventy, 64)
assert abs(64 * one_of_64 / (12 * seventy.parameters) - 1) < 1e-6
# --8<-- [end:problems]
