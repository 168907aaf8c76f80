"""How long does it take to count parameters from a config, and how much memory?

Counts the largest configs of `models/` with `weigh params`, by building the model with transformers on the meta device,
and with accelerate's empty weights, kept on the meta device from the start: by default, as its `estimate-memory` uses
them, each tensor is allocated first, which a machine of 24 GiB cannot for DeepSeek-V3. Each runs in a process of its
own; all must agree to the integer. Prints wall time and peak memory, and the ratios. Goal: at least 50 times faster, at
a tenth of the memory.

    python bench/count_parameters.py
"""

import json
import os
import statistics
import subprocess
import sys
import time

RUNS = 5
MODELS = ("llama-3.1-405b", "deepseek-v3", "mixtral-8x7b", "gpt2")

WEIGH = "from weigh.cli import main; main(['params', 'models/{}', '--json'])"
META = """
import json, pathlib, torch, transformers
fields = json.loads(pathlib.Path('models/{}/config.json').read_text())
with torch.device('meta'):
    model = getattr(transformers, fields['architectures'][0])(transformers.AutoConfig.for_model(**fields))
print(json.dumps({{"parameters": sum(p.numel() for p in model.parameters())}}))
"""

ACCELERATE = """
import json, pathlib, transformers
from accelerate import init_empty_weights
fields = json.loads(pathlib.Path('models/{}/config.json').read_text())
with init_empty_weights(include_buffers=True):
    model = getattr(transformers, fields['architectures'][0])(transformers.AutoConfig.for_model(**fields))
model.tie_weights()
print(json.dumps({{"parameters": sum(p.numel() for p in model.parameters())}}))
"""


def measure(program: str) -> tuple[float, int, int]:
    """Median wall seconds, peak bytes of memory, and the count that a program prints."""
    seconds, peak, count = [], 0, 0
    for _ in range(RUNS):
        start = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdout
        count = json.loads(process.stdout.read())["parameters"]
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds.append(time.perf_counter() - start)
        peak = max(peak, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
    return statistics.median(seconds), peak, count


def main() -> None:
    print(f"{os.cpu_count()} cores, medians of {RUNS} fresh processes")
    print("| model | parameters | by | time | × weigh | peak memory | × weigh |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: |")
    for name in MODELS:
        ours, memory, count = measure(WEIGH.format(name))
        print(f"| {name} | {count:,} | weigh | {ours * 1e3:.0f} ms | 1 | {memory / 1e6:.0f} MB | 1 |")
        for peer, program in (("meta device", META), ("accelerate", ACCELERATE)):
            theirs, their_memory, reference = measure(program.format(name))
            assert count == reference, f"{name}: {count:,}, and {peer} {reference:,}"
            seconds, megabytes = f"{theirs * 1e3:.0f} ms", f"{their_memory / 1e6:.0f} MB"
            print(f"| | | {peer} | {seconds} | {theirs / ours:.0f} | {megabytes} | {their_memory / memory:.0f} |")


main()
