"""Thirteen resumes that raise no error and are not faithful, and a test of any loop that says which part was lost."""

# --8<-- [start:compare]
import copy
import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

TORCHS_OWN = (torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler, torch.amp.GradScaler)
RNG = "random numbers"


@dataclass
class Comparison:
    """The largest difference of a weight from a run that never stopped, of runs that end at the same step."""

    repeated: float
    """The same once more. If this is not zero, no resume can be judged more finely."""
    saved: float
    """Saved half-way, and gone on without loading. If this is larger, saving changes the run."""
    resumed: float
    """Saved, loaded, and gone on: faithful, if no larger than those two."""
    again: float
    """The same file loaded once more. If this is another number, a resume changes what was saved."""
    alone: dict[str, float]
    """Resumed, with one part as it was in the run that never stopped."""
    lost: list[str] | None
    """The parts which, put back together, make the difference vanish, none of them needlessly; None if all do not."""


def resume_and_compare(start, step, save, load, path, stop=5, steps=10):
    """Run straight, and stopped, saved and loaded half-way; then put back part after part.

    `start()` seeds, and makes a run: an object whose attributes are its parts, such as model, optimizer, scheduler,
    loader. `step(run)` makes one step. `save(run, path)` and `load(path)`, which gives a run, are those to be tested.
    """

    def begun():
        run = start()
        for _ in range(stop):
            step(run)
        return run

    def ended(run):
        for _ in range(steps - stop):
            step(run)
        return torch.cat([tensor.detach().double().flatten().cpu() for tensor in tensors(run)])

    def distance(run):
        return (ended(run) - straight).abs().max().item()

    def resumed(*put_back):
        donor, numbers = begun(), random_numbers()
        set_random_numbers(elsewhere)
        run = load(path)
        for part in put_back:
            if part == RNG:
                set_random_numbers(numbers)
            else:
                hand_over(part, donor, run)
        return distance(run)

    elsewhere = random_numbers()  # as in another process
    straight = ended(begun())
    repeated, run = distance(begun()), begun()
    save(run, path)
    saved, first = distance(run), resumed()
    lost = [*vars(run), RNG]
    alone = {part: resumed(part) for part in lost}
    if not resumed(*lost) <= max(repeated, saved):
        return Comparison(repeated, saved, first, resumed(), alone, None)
    for part in list(lost):
        others = [other for other in lost if other != part]
        lost = others if resumed(*others) <= max(repeated, saved) else lost
    return Comparison(repeated, saved, first, resumed(), alone, lost)


def tensors(run):
    modules = [part for part in vars(run).values() if isinstance(part, nn.Module)]
    return [tensor for module in modules for tensor in (*module.parameters(), *module.buffers())]


def hand_over(part, donor, run):
    """Make a part of one run that of another. Not by `load_state_dict`, which may be what loses something."""
    given, ours = getattr(donor, part), getattr(run, part, None)
    if isinstance(ours, nn.Module):
        for new, old in zip(tensors(run), tensors(donor), strict=True):
            new.data, new.grad = old.data, old.grad
    elif isinstance(ours, TORCHS_OWN):
        twins = {id(old): new for old, new in zip(pieces(donor), pieces(run), strict=True)}  # what parts refer to
        kept = {name: value for name, value in vars(given).items() if not callable(value)}
        vars(ours).update(copy.deepcopy(kept, twins))
    else:
        setattr(run, part, given)


def pieces(run):
    return [*tensors(run), *(part for part in vars(run).values() if isinstance(part, TORCHS_OWN))]


def random_numbers():
    return random.getstate(), np.random.get_state(), torch.get_rng_state(), torch.cuda.get_rng_state_all()


def set_random_numbers(states):
    python, numpy, cpu, gpus = states
    random.setstate(python), np.random.set_state(numpy), torch.set_rng_state(cpu), torch.cuda.set_rng_state_all(gpus)


# --8<-- [end:compare]

# --8<-- [start:loop]
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

from torch.utils.data import DataLoader

warnings.simplefilter("ignore")
from torchdata.stateful_dataloader import StatefulDataLoader

torch.set_num_threads(1)
temporary = TemporaryDirectory()
folder = Path(temporary.name)
drawn = torch.Generator().manual_seed(1)
inputs = 2 * torch.rand(64, 8, generator=drawn, dtype=torch.float64) - 1
targets = inputs.sin().sum(1, keepdim=True)


class Dropout(nn.Module):
    def forward(self, x):
        return x * (torch.rand(x.shape, dtype=x.dtype) > 0.2)  # unlike nn.Dropout's, the same on every processor


class Batches:
    """The batches of one epoch after another; with a loader that keeps its place, they keep it too."""

    def __init__(self, loader):
        self.loader, self.left = loader, iter(loader)
        if hasattr(loader, "state_dict"):
            self.state_dict, self.load_state_dict = loader.state_dict, self.go_to

    def go_to(self, state):
        self.loader.load_state_dict(state)
        self.left = iter(self.loader)

    def __next__(self):
        try:
            return next(self.left)
        except StopIteration:
            self.left = iter(self.loader)
            return next(self.left)


def adamw(weights):
    return torch.optim.AdamW(weights, lr=0.01)


def made(make=adamw, dtype=torch.float64, loader=StatefulDataLoader, **options):
    """`start` for a small network with dropout, an optimizer, a schedule and shuffled batches."""

    def start():
        torch.manual_seed(0)
        run = SimpleNamespace()
        run.model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), Dropout(), nn.Linear(32, 1)).to(dtype)
        run.optimizer = make(run.model.parameters())
        run.scheduler = torch.optim.lr_scheduler.LinearLR(run.optimizer, 1, 0.1, total_iters=10)
        run.batches = Batches(loader(range(64), batch_size=8, shuffle=True, **options))
        return run

    return start


def step(run):
    chosen = next(run.batches)
    dtype = run.model[0].weight.dtype
    loss = (run.model(inputs[chosen].to(dtype)) - targets[chosen].to(dtype)).square().mean()
    run.optimizer.zero_grad()
    loss.backward()
    run.optimizer.step()
    run.scheduler.step()


def saving(start, *forgotten):
    """`save` and `load` of all parts that have a state, but for those that this loop forgets."""

    def state(run):
        parts = {name: part for name, part in vars(run).items() if hasattr(part, "state_dict")}
        states = {name: part.state_dict() for name, part in parts.items()} | {RNG: torch.get_rng_state()}
        return {name: state for name, state in states.items() if name not in forgotten}

    def restored(states):
        run = start()
        for name in states.keys() - {RNG}:
            getattr(run, name).load_state_dict(states[name])
        if RNG in states:
            torch.set_rng_state(states[RNG])  # last: a loader that begins draws from it
        return run

    return lambda run, path: torch.save(state(run), path), lambda path: restored(torch.load(path))


path = folder / "half-way.pt"
# --8<-- [end:loop]

# --8<-- [start:faithful]
start = made()
save, load = saving(start)
faithful = resume_and_compare(start, step, save, load, path)
assert faithful.resumed == 0 and faithful.lost == [], "with all parts, equal bits"
print("the run repeats itself:", faithful.repeated == 0)
print("difference after resuming:", faithful.resumed)
# --8<-- [end:faithful]

# --8<-- [start:broken]
plain = made(loader=DataLoader)
broken = {
    "forgets the scheduler": (start, saving(start, "scheduler")),
    "shuffles anew, with a plain `DataLoader`": (plain, saving(plain)),
    "forgets optimizer and random numbers": (start, saving(start, "optimizer", RNG)),
}
results = {}
for name, (begin, (save, load)) in broken.items():
    results[name] = resume_and_compare(begin, step, save, load, path)
# --8<-- [end:broken]

# --8<-- [start:broken_table]
print("| The loop… | Off by | One part put back | What was lost |\n| --- | ---: | --- | --- |")
for name, result in results.items():
    alone = ", ".join(f"{part} {left:.3f}" for part, left in result.alone.items() if part != "model")
    print(f"| {name} | {result.resumed:.3f} | {alone} | **{' and '.join(result.lost)}** |")
lost = [result.lost for result in results.values()]
assert lost == [["scheduler"], ["batches"], ["optimizer", RNG]], "it names the part that was lost"
assert all(result.saved == result.repeated == 0 < result.resumed == result.again for result in results.values())
# --8<-- [end:broken_table]

# --8<-- [start:rows]
from importlib.metadata import version


@dataclass
class Row:
    """A resume that raises nothing and is not faithful."""

    believed: str
    happens: str
    package: str
    cause: str
    check: str


rows = []


def show(*group):
    rows.extend(group)
    print("| One believes | What happens | With |\n| --- | --- | --- |")
    for row in group:
        print(f"| {row.believed} | {row.happens} | {row.package} {version(row.package).partition('+')[0]} |")


# --8<-- [end:rows]

# --8<-- [start:asking]
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict


def weights(run):
    return torch.cat([weight.detach().double().flatten() for weight in run.model.parameters()])


def trained(run, steps):
    for _ in range(steps):
        step(run)
    return run


def astray(run, faithful, start):
    """How far a run ends from the faithful one, as a share of the way that this one has gone."""
    way = weights(faithful) - weights(start())
    return ((weights(run) - weights(faithful)).abs().max() / way.abs().max()).item()


asked, counted = {}, {}
for name, make in {"AdamW": adamw, "Rprop": torch.optim.Rprop, "RMSprop": torch.optim.RMSprop}.items():
    start = made(make)
    save, load = saving(start)

    def save_and_ask(run, path, save=save):
        get_optimizer_state_dict(run.model, run.optimizer)  # for a checkpoint before step one, or to count its bytes
        save(run, path)

    run = start()
    get_optimizer_state_dict(run.model, run.optimizer)
    asked[name] = astray(trained(run, 3), trained(start(), 3), start)
    counted[name] = int(next(iter(run.optimizer.state.values()))["step"])
    result = resume_and_compare(start, step, save_and_ask, load, path, stop=0, steps=3)
    assert (result.saved > 0) == (asked[name] > 0), "the comparison sees that saving changed the run"
assert counted["AdamW"] == 4 and 0.1 < asked["AdamW"] < 0.4, "three steps are counted as four, and lead elsewhere"
assert asked["Rprop"] > 0.99 and asked["RMSprop"] == 0, "Rprop hardly moves, and RMSprop does not mind"
# --8<-- [end:asking]

# --8<-- [start:snapshot]
start = made()
save, load = saving(start)
snapshot = copy.deepcopy(trained(start(), 20).optimizer.state_dict())
began = {"as it is": [], "copied": []}
for how, steps in began.items():
    held = copy.deepcopy(snapshot)
    for _ in range(3):
        run = start()
        run.optimizer.load_state_dict(held if how == "as it is" else copy.deepcopy(held))
        steps.append(int(run.optimizer.state[run.model[0].weight]["step"]))
        trained(run, 20)
assert began == {"as it is": [20, 40, 60], "copied": [20, 20, 20]}

memory = {}


def save_in_memory(run, path):
    save(run, path)
    memory[path] = copy.deepcopy(run.optimizer.state_dict())


def load_from_memory(path):
    run = load(path)
    run.optimizer.load_state_dict(memory[path])
    return run


result = resume_and_compare(start, step, save_in_memory, load_from_memory, path)
assert result.resumed == 0 < result.again, "faithful the first time, and astray the next"
# --8<-- [end:snapshot]

# --8<-- [start:narrowed]
from came_pytorch import CAME


def came(weights):
    return CAME(weights, lr=1e-3, betas=(0.9, 0.999, 0.9999))


def state_of(optimizer):
    return {(i, name): tensor for i, state in optimizer.state_dict()["state"].items() for name, tensor in state.items()
            if isinstance(tensor, torch.Tensor)}  # fmt: skip


narrowed = {}
for name, make in {"CAME": came, "NAdam": torch.optim.NAdam, "AdamW": adamw}.items():
    start = made(make, torch.bfloat16)
    save, load = saving(start)
    run, wide = trained(start(), 5), folder / f"{name}.pt"
    save(run, wide)
    before, after = state_of(run.optimizer), state_of(load(wide).optimizer)
    rounded = {field for i, field in before if before[i, field].dtype != after[i, field].dtype}
    narrowed[name] = [sum(tensor.nbytes for tensor in state.values()) for state in (before, after)]
    assert ("mu_product" in rounded) == (name == "NAdam") and (not rounded) == (name == "AdamW")
assert narrowed["NAdam"][0] - narrowed["NAdam"][1] == 4 * 2, "two bytes of the product, for each of four tensors"
assert narrowed["CAME"][1] < 0.51 * narrowed["CAME"][0], "half of it is gone"

start = made(came, torch.bfloat16)
result = resume_and_compare(start, step, *saving(start), path)
assert result.saved == 0 < result.resumed and result.lost == ["optimizer"], "lost, though it was saved and loaded"
# --8<-- [end:narrowed]

# --8<-- [start:modes]
import schedulefree


def schedule_free(weights):
    optimizer = schedulefree.AdamWScheduleFree(weights, lr=0.01)
    optimizer.train()
    return optimizer


start = made(schedule_free)


def in_modes(of_weights, of_optimizer):
    """Save the weights in one mode and the optimizer in another, as where an evaluation lies between the two."""
    save, load = saving(start)

    def save_in_modes(run, path):
        save(run, path)
        saved = torch.load(path)
        for part, mode in (("model", of_weights), ("optimizer", of_optimizer)):
            getattr(run.optimizer, mode)()
            saved[part] = copy.deepcopy(getattr(run, part).state_dict())
        run.optimizer.train()
        torch.save(saved, path)

    def load_and_train(path):
        run = load(path)
        run.optimizer.train()
        return run

    result = resume_and_compare(start, step, save_in_modes, load_and_train, path)
    return result, folder / f"weights-{of_weights}-optimizer-{of_optimizer}.pt"


modes = {}
for pair in (("train", "train"), ("eval", "eval"), ("eval", "train"), ("train", "eval")):
    result, kept = in_modes(*pair)
    path.rename(kept)
    modes[pair] = result.resumed
    assert (pair[0] == pair[1]) == (result.lost == []), "one mode is faithful, two are not"
    assert torch.load(kept)["optimizer"]["param_groups"][0]["train_mode"] == (pair[1] == "train")
way = (weights(trained(start(), 10)) - weights(start())).abs().max().item()
between = sorted(modes[pair] / way for pair in (("eval", "train"), ("train", "eval")))
assert max(modes["train", "train"], modes["eval", "eval"]) < 1e-15 and between[0] > 0.01
# --8<-- [end:modes]

# --8<-- [start:saved_table]
show(
    Row(
        "To ask for the optimizer's state is to read it",
        f"Asked for before step 1, AdamW counts {counted['AdamW']} steps after three and ends {asked['AdamW']:.0%} of "
        "its way astray. Rprop goes no way at all, RMSprop the right one",
        "torch",
        "DCP's helpers make state that is missing by a step with gradients and rates of zero, and it counts",
        "`saved`, with `stop=0`",
    ),
    Row(
        "A loaded state is a copy",
        f"Rolled back three times to step 20, the optimizer begins at steps {', '.join(map(str, began['as it is']))}",
        "torch",
        "`load_state_dict` keeps tensors whose dtype and device fit, and steps are made in place",
        "`again` is not `resumed`",
    ),
    Row(
        "What was saved is what is loaded",
        f"Of CAME's state for bfloat16 weights, {narrowed['CAME'][0]:,} bytes were saved and "
        f"{narrowed['CAME'][1]:,} are loaded",
        "came-pytorch",
        "`load_state_dict` casts all floating state but `step` to the dtype of its weight",
        "Count the state's bytes before and after; `lost` names the optimizer, though it was saved",
    ),
    Row(
        "The same, of PyTorch's own",
        f"NAdam's running product, a float32, comes back as bfloat16: {narrowed['NAdam'][0]:,} bytes, then "
        f"{narrowed['NAdam'][1]:,}",
        "torch",
        "The same, and the product is no `step`",
        "The same count of bytes",
    ),
    Row(
        "Weights and optimizer may be saved in any order around an evaluation",
        f"Each in another mode of ScheduleFree, the run ends {between[0]:.1%} or {between[1]:.1%} of its way astray",
        "schedulefree",
        "In eval mode the weights are an average, in train mode a point beside it; the weights do not say which",
        "`lost` names the model",
    ),
)
# --8<-- [end:saved_table]

# --8<-- [start:trainer]
import logging
import shutil

import transformers

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
logging.disable(logging.WARNING)


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 1)

    def forward(self, x, labels):
        return {"loss": (self.layer(x) - labels).square().mean()}


class Watch(transformers.TrainerCallback):
    """The learning rate and the count of the first step."""

    def on_step_end(self, args, state, control, optimizer=None, **_):
        if not hasattr(self, "first"):
            self.first = optimizer.param_groups[0]["lr"], int(next(iter(optimizer.state.values()))["step"])


def first_step(to, rate, steps, checkpoint=None):
    watch = Watch()
    arguments = transformers.TrainingArguments(
        folder / to, learning_rate=rate, max_steps=steps, save_steps=2, lr_scheduler_type="constant", use_cpu=True,
        per_device_train_batch_size=8, report_to=[], logging_strategy="no", disable_tqdm=True,
        dataloader_pin_memory=False, seed=0,
    )  # fmt: skip
    rows = [{"x": x.float(), "labels": y.float()} for x, y in zip(inputs, targets, strict=True)]
    trainer = transformers.Trainer(Linear(), arguments, train_dataset=rows, callbacks=[watch])
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train(checkpoint)
    return watch.first


first_step("trainer", 1e-3, 2)
checkpoint = folder / "trainer/checkpoint-2"
used = {"": first_step("asked-anew", 1e-5, 3, checkpoint)}
without = shutil.copytree(checkpoint, folder / "without-scheduler")
(without / "scheduler.pt").unlink()
used["scheduler.pt"] = first_step("without", 1e-5, 3, without)
assert used[""] == (1e-3, 3), "another rate was asked for, and the old one is used"
assert used["scheduler.pt"] == (1e-5, 1), "the new rate is used, and the moments are gone: the count begins again"

edited = shutil.copytree(checkpoint, folder / "edited")
optimizer, scheduler = (torch.load(edited / name) for name in ("optimizer.pt", "scheduler.pt"))
for group in optimizer["param_groups"]:
    group["lr"] = group["initial_lr"] = 1e-5
rates = len(optimizer["param_groups"])
scheduler |= {"base_lrs": [1e-5] * rates, "_last_lr": [1e-5] * rates}
torch.save(optimizer, edited / "optimizer.pt")
torch.save(scheduler, edited / "scheduler.pt")
assert first_step("edited-on", 1e-5, 3, edited) == (1e-5, 3), "set in both files, the rate is used and the moments stay"
# --8<-- [end:trainer]

# --8<-- [start:scaler]
scaler, switched_off = torch.amp.GradScaler("cpu"), torch.amp.GradScaler("cpu", enabled=False)
scaler.scale(torch.ones(()))  # it sets its scale when it is first used
real = scaler.state_dict()
switched_off.load_state_dict(real)  # no error, no warning
swallowed = switched_off.state_dict()
assert len(real) == 5 and swallowed == {}
try:
    scaler.load_state_dict(swallowed)
    raise AssertionError("the next run, with its scaler on, refuses what that one saves")
except RuntimeError as error:
    refused = str(error)
# --8<-- [end:scaler]

# --8<-- [start:frozen]
way_of_frozen = {}
for none in (True, False):
    start = made()

    def step_with_zeros(run, none=none):
        """A step of a run whose first layer is frozen after the fourth."""
        run.model[0].requires_grad_(run.scheduler.last_epoch < 4)
        chosen = next(run.batches)
        run.optimizer.zero_grad(set_to_none=none)
        (run.model(inputs[chosen]) - targets[chosen]).square().mean().backward()
        run.optimizer.step()
        run.scheduler.step()

    run = start()
    for _ in range(4):
        step_with_zeros(run)
    frozen = run.model[0].weight.detach().clone()
    for _ in range(10):
        step_with_zeros(run)
    way_of_frozen[none] = (run.model[0].weight - frozen).abs().max().item()
    result = resume_and_compare(start, step_with_zeros, *saving(start), path, stop=6)
    assert (result.resumed > 0) == (not none), "a resumed run has no gradient of zero, and there the layer stands still"
    assert result.lost == ([] if none else ["model"]), "the gradient goes with the model"
assert way_of_frozen[True] == 0 < 0.01 < way_of_frozen[False]
# --8<-- [end:frozen]


# --8<-- [start:adafactor]
def way_of(dtype, gradient, **options):
    """How far Adafactor moves a weight of zero in ten steps of one gradient."""
    weight = nn.Parameter(torch.zeros(32, 16, dtype=dtype))
    optimizer = torch.optim.Adafactor([weight], lr=0.01, **options)
    for _ in range(10):
        weight.grad = torch.full_like(weight, gradient)
        optimizer.step()
    return weight.detach().abs().double().mean().item()


slower = {gradient: way_of(torch.float32, gradient) / way_of(torch.bfloat16, gradient) for gradient in (1e-3, 1e-4)}
epsilon = torch.finfo(torch.bfloat16).eps
told = way_of(torch.float32, 1e-3) / way_of(torch.bfloat16, 1e-3, eps=(torch.finfo(torch.float32).eps, 1e-3))
assert 7 < slower[1e-3] < 9 and slower[1e-4] > 50, "small gradients hardly count"
assert abs(told - 1) < 0.05, "told the epsilon of float32, both go as far"
# --8<-- [end:adafactor]

# --8<-- [start:settings_table]
show(
    Row(
        "The Trainer uses the rate that it is given",
        f"Resumed with {1e-5:.0e}, its first step is made with {used[''][0]:.0e}, under a constant schedule too",
        "transformers",
        "The rate is in the groups of `optimizer.pt` and in `scheduler.pt`, and both replace yours",
        "A callback that prints the first step's rate and count",
    ),
    Row(
        "Without `scheduler.pt` it does, and keeps the rest",
        f"The rate is new, and AdamW counts {used['scheduler.pt'][1]} step where it was to count {used[''][1]}: "
        "its averages are gone",
        "transformers",
        "The Trainer loads both files or neither",
        "The same callback",
    ),
    Row(
        "`load_state_dict` that raises nothing has loaded",
        f"{len(real)} numbers of a gradient scaler go into one that is switched off, and {len(swallowed)} come out: "
        "the next checkpoint has none",
        "torch",
        "Switched off, it returns at once",
        "After loading, `state_dict()` equals what was loaded",
    ),
    Row(
        "`requires_grad_(False)` freezes a layer",
        f"With `zero_grad(set_to_none=False)` its weights go {way_of_frozen[False]:.3f} further in ten steps, and "
        "stand still once the run is resumed",
        "torch",
        "A gradient of zero is a gradient: averages and decay move the weight. A new process has none",
        "The weights before and after a step; `lost` names the model",
    ),
    Row(
        "bfloat16 weights go as far as float32 ones, but for rounding",
        f"With gradients of {1e-3:.0e} Adafactor goes {slower[1e-3]:.0f} times less far, of {1e-4:.0e} "
        f"{slower[1e-4]:.0f} times",
        "torch",
        f"Its first epsilon is that of the weights' dtype, {epsilon:.4f}, and no smaller root divides a gradient",
        "One step in each dtype: the ways are equal",
    ),
)
# --8<-- [end:settings_table]


# --8<-- [start:position]
def orders(loader, after, seed=None, draw=False):
    """What a run sees of 64 examples, epoch by epoch, without a stop and with one in the first epoch."""

    def begun():
        torch.manual_seed(0)
        generator = torch.Generator().manual_seed(seed) if seed is not None else None
        return loader(range(64), batch_size=8, shuffle=True, generator=generator)

    batches = begun()
    left = iter(batches)
    seen = [example for _ in range(after) for example in next(left).tolist()]
    state = batches.state_dict() if hasattr(batches, "state_dict") else None
    numbers = torch.get_rng_state()
    straight = [torch.cat(list(left)).tolist(), torch.cat(list(batches)).tolist()]
    batches = begun()
    if state:
        batches.load_state_dict(state)
    torch.set_rng_state(numbers)
    left = iter(batches)
    drew = not torch.equal(torch.get_rng_state(), numbers)
    if draw:
        torch.empty((), dtype=torch.int64).random_(generator=batches.generator)
    rest = [example for batch, _ in zip(left, range(8 - after), strict=False) for example in batch.tolist()]
    return seen, straight, [rest, torch.cat(list(batches)).tolist()], drew


seen, straight, resumed, _ = orders(DataLoader, after=4)
twice, never = len({*seen} & {*resumed[0]}), 64 - len({*seen} | {*resumed[0]})
assert twice == never > 8, "the random numbers were restored, and the order is another"
seen, straight, resumed, drew = orders(StatefulDataLoader, after=4)
assert straight == resumed and drew, "the order comes back, and to begin draws a number"
seen, straight, resumed, _ = orders(StatefulDataLoader, after=4, seed=3)
assert straight[0] == resumed[0] and straight[1] != resumed[1], "this epoch is right, and the next is another"
assert orders(StatefulDataLoader, after=4, seed=3, draw=True)[1:3] == (straight, straight), "one draw is missing"
moved_on = sum(a != b for a, b in zip(straight[1], resumed[1], strict=True))
# --8<-- [end:position]

# --8<-- [start:head]
CONFIG = dict(vocab_size=1000, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2)
torch.manual_seed(0)
model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**CONFIG, tie_word_embeddings=False))
model.lm_head.weight = model.model.embed_tokens.weight
model.save_pretrained(folder / "shared-by-hand")
again, loading = transformers.LlamaForCausalLM.from_pretrained(folder / "shared-by-hand", output_loading_info=True)
assert loading["missing_keys"] == {"lm_head.weight"}
kept_rows = (again.lm_head.weight == model.lm_head.weight).all(1).sum().item()
assert kept_rows == 0 and torch.equal(again.model.embed_tokens.weight, model.model.embed_tokens.weight)

model.config.tie_word_embeddings = True
model.save_pretrained(folder / "tied")
again, loading = transformers.LlamaForCausalLM.from_pretrained(folder / "tied", output_loading_info=True)
assert not loading["missing_keys"] and torch.equal(again.lm_head.weight, model.lm_head.weight)
# --8<-- [end:head]

# --8<-- [start:parts_table]
show(
    Row(
        "The state of the random numbers brings the order back",
        f"Stopped half-way through 64 examples, a run sees {twice} of them twice and {never} never",
        "torch",
        "A plain `DataLoader` has no state: it begins an epoch, with the next order",
        "Count the examples of an epoch; `lost` names the batches",
    ),
    Row(
        "A stateful loader with a seed of its own goes on as it would have",
        f"The epoch is finished rightly. Of the next, {moved_on} of 64 examples stand elsewhere",
        "torchdata",
        "An epoch draws its order from the `generator`, then a number; loading goes back, and draws the order alone",
        "Compare two epochs, not one",
    ),
    Row(
        "A head that shares the embedding is saved with it",
        f"Tied by hand and loaded again, {kept_rows} of the head's 1,000 rows are as they were: they are random",
        "transformers",
        "What shares storage is written once, and the config says that nothing is tied",
        "`output_loading_info=True`: no missing keys",
    ),
)
# --8<-- [end:parts_table]

# --8<-- [start:copies]
import torch.distributed.checkpoint as dcp

import weigh

tied = {name: model.state_dict()[name] for name in ("model.embed_tokens.weight", "lm_head.weight")}
states = {
    "tied": tied,
    "row": {"row": torch.zeros(720, 1000)[5]},
    "expanded": {"expanded": torch.zeros(1).expand(1000, 1000)},
}
written = {}
for name, state in states.items():
    torch.save(state, folder / f"{name}.pt")
    dcp.save(state, checkpoint_id=folder / f"{name}-dcp")
    both = (weigh.inspect(folder / file).by_component for file in (f"{name}.pt", f"{name}-dcp"))
    written[name] = [parts["weights"] + parts["unused"] for parts in both]
assert [dcp / pt for pt, dcp in written.values()] == [2, 1 / 720, 1_000_000]

torch.save({name: tensor.half() for name, tensor in tied.items()}, folder / "halved.pt")
halved = [weigh.inspect(folder / file).bytes_in_tensors for file in ("tied.pt", "halved.pt")]
assert halved[0] == halved[1], "half as many bytes, twice"
shared = copy.deepcopy(model).half().state_dict()
torch.save({name: shared[name] for name in tied}, folder / "halved-model.pt")
assert weigh.inspect(folder / "halved-model.pt").bytes_in_tensors == halved[0] / 2, "to halve the model keeps the tie"
# --8<-- [end:copies]

# --8<-- [start:adapter]
import peft

adapters = {}
for added in (0, 10):
    model = transformers.LlamaForCausalLM.from_pretrained(folder / "tied")
    model.resize_token_embeddings(1000 + added)
    model = peft.get_peft_model(model, peft.LoraConfig(r=8, target_modules=["q_proj", "v_proj"]))
    model.save_pretrained(folder / f"adapter-{added}")
    adapters[added] = weigh.inspect(folder / f"adapter-{added}/adapter_model.safetensors")
tables = [tensor.name for tensor in adapters[10].named if ".lora_" not in tensor.name]
assert len(tables) == 2 and not [tensor for tensor in adapters[0].named if ".lora_" not in tensor.name]
larger = adapters[10].bytes_on_disk / adapters[0].bytes_on_disk
assert larger > 20
model.save_pretrained(folder / "adapter-alone", save_embedding_layers=False)
alone = weigh.inspect(folder / "adapter-alone/adapter_model.safetensors")
assert alone.bytes_in_tensors == adapters[0].bytes_in_tensors
# --8<-- [end:adapter]

# --8<-- [start:copies_table]
show(
    Row(
        "DCP writes what `torch.save` writes",
        f"A tied table: {written['tied'][0]:,} bytes by `torch.save`, {written['tied'][1]:,} by DCP",
        "torch",
        "`torch.save` writes storages, DCP tensors by name",
        "Bytes in the file over bytes of the distinct tensors",
    ),
    Row(
        "A row of a table is saved as a row",
        f"One row of 720: {written['row'][0]:,} bytes by `torch.save`, {written['row'][1]:,} by DCP",
        "torch",
        "The same: a row's storage is that of the table",
        "`weigh inspect`: `unused` is zero",
    ),
    Row(
        "Half the bits are half the bytes",
        f"Halved entry by entry, a tied table and head stay at {halved[1]:,} bytes",
        "torch",
        "Each cast makes a tensor of its own, so that nothing is shared any more",
        "The bytes after, over those before",
    ),
    Row(
        "Ten tokens more add ten rows to an adapter",
        f"Its file has {adapters[10].bytes_on_disk:,} bytes, not {adapters[0].bytes_on_disk:,}: {larger:.0f} times",
        "peft",
        "The vocabulary is not the base's, so PEFT saves both tables whole, and the tied one twice",
        "`weigh inspect`: every name has `lora_` in it",
    ),
)
# --8<-- [end:copies_table]

# --8<-- [start:weigh_resume]
found = {}
for name in ("CAME.pt", "NAdam.pt", "AdamW.pt", "without-scheduler", "trainer/checkpoint-2"):
    found[name] = weigh.resume(folder / name)
print("| Checkpoint | Faults | The first | Is | Should be |\n| --- | ---: | --- | --- | --- |")
for name, result in found.items():
    faults = [fault for examined in result.results if examined.finding == "yes" for fault in examined.evidence]
    first = faults[0] if faults else dict.fromkeys(("place", "is", "should be"), "")
    print(f"| `{name}` | {len(faults)} | {first['place']} | {first['is']} | {first['should be']} |")
notes = {note for result in found.values() for examined in result.results for note in examined.notes}
assert [result.finding for result in found.values()] == ["yes", "yes", "no", "yes", "no"]
assert any("lr 0.001" in note for note in notes), "it says which rate a resume goes on with"
# --8<-- [end:weigh_resume]

# --8<-- [start:all]
print("| One believes | Why it is not so | What finds it |\n| --- | --- | --- |")
for row in rows:
    print(f"| {row.believed} | {row.cause} | {row.check} |")
# --8<-- [end:all]

# --8<-- [start:problems]
tables_bytes = 2 * (49_152 + 10) * 576 * 4
adapter_bytes = 1_800_000 + tables_bytes
halved_bytes = (40e6 + 2 * 60e6) / 2
# --8<-- [end:problems]

# --8<-- [start:clean_up]
temporary.cleanup()
# --8<-- [end:clean_up]
