"""The program of the case "A resume replays another epoch": the sampler's epoch is set back, and no loss tells."""

# --8<-- [start:loader]
import torch
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

EXAMPLES, BATCH, SAVED = 1000, 8, 200  # 125 steps an epoch; the checkpoint is of step 200
data = TensorDataset(torch.arange(EXAMPLES))


def epoch_order(epoch):
    """The examples of each batch of an epoch, in the order in which the loader gives them."""
    sampler = DistributedSampler(data, num_replicas=1, rank=0, shuffle=True, seed=0)
    sampler.set_epoch(epoch)
    return [batch.tolist() for (batch,) in DataLoader(data, batch_size=BATCH, sampler=sampler)]


steps = EXAMPLES // BATCH
epoch, done = divmod(SAVED, steps)
before = epoch_order(epoch)[:done]  # what the interrupted run read of the epoch
faithful = epoch_order(epoch)[done:]
replayed = epoch_order(0)[done:]  # the batches are skipped, and the epoch is set to 0
# --8<-- [end:loader]

# --8<-- [start:table]
from collections import Counter


def seen(batches):
    """How many examples of the epoch were read never, once and twice."""
    times = Counter(example for batch in batches for example in batch)
    read = Counter(times.values())
    return EXAMPLES - len(times), read[1], read[2]


counts = {"not interrupted": seen(before + faithful), "resumed as reported": seen(before + replayed)}
print("| Epoch 1 | Never read | Once | Twice |")
print("| --- | ---: | ---: | ---: |")
for name, row in counts.items():
    print(f"| {name} | {' | '.join(f'{number:,}' for number in row)} |")
# --8<-- [end:table]

# --8<-- [start:claims]
part = done / steps
never, once, twice = counts["resumed as reported"]
expected = part * (1 - part) * EXAMPLES  # in the first part of one order and the second of another
assert (steps, epoch, done) == (125, 1, 75)
assert counts["not interrupted"] == (0, EXAMPLES, 0)
assert never == twice and abs(never - expected) < 45, "three standard deviations"
worst = max(range(1, steps), key=lambda at: at * (steps - at))
# --8<-- [end:claims]

# --8<-- [start:own]
import hashlib


def digest(batches):
    """One line for a log: what was read, in which order."""
    text = ",".join(str(example) for batch in batches for example in batch)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


print("steps 201 to 250, not interrupted:", digest(faithful))
print("steps 201 to 250, resumed:        ", digest(replayed))
# --8<-- [end:own]

# --8<-- [start:problem]
border_epoch, border_done = divmod(250, steps)
assert (border_epoch, border_done) == (2, 0) and digest(faithful) != digest(replayed)
first_epoch, at = divmod(75, steps)
assert epoch_order(first_epoch)[at:] == replayed, "stopped within epoch 0, the epoch that is set is the right one"
# --8<-- [end:problem]
