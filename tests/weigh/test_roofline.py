"""Bounds on speed, against counts made in other ways."""

from pathlib import Path

import pytest
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

import weigh
from weigh.memory.roofline import _looks
from weigh.models.caches import KeyValue

from .test_caches import CACHED, counted

H100 = {"bandwidth": 3.35e12, "flops": 989e12}


def test_a_token_reads_every_weight_but_the_embeddings() -> None:
    model = weigh.params("models/llama-2-7b")
    found = weigh.decode_bound(model, context=4096, **H100)
    assert found.bytes_moved == 2 * (model.parameters - 32_000 * 4096 - 4096) + 2 * weigh.GiB
    assert found.limited_by == "memory"
    assert found.seconds == found.bytes_moved / 3.35e12
    assert found.tokens_per_second == pytest.approx(218, abs=1)
    assert weigh.prefill_bound(model, context=4096, **H100).limited_by == "compute"


def test_a_batch_shares_the_weights_until_the_cache_is_all() -> None:
    model = weigh.params("models/llama-3-8b")
    speeds = [weigh.decode_bound(model, batch=batch, **H100).tokens_per_second for batch in (1, 8, 64)]
    assert speeds == sorted(speeds)
    assert speeds[1] < 8 * speeds[0]


@pytest.mark.parametrize("case", ["llama", "gpt2", "gpt_neox", "qwen3", "mistral"])
def test_operations_are_those_that_torch_counts(case: str, tmp_path: Path) -> None:
    model_type, fields = CACHED[case]
    config = transformers.AutoConfig.for_model(model_type, **fields)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.ones(2, 16, dtype=torch.long), logits_to_keep=1)
    found = weigh.prefill_bound(counted(tmp_path, model_type=model_type, **fields), context=16, batch=2, **H100)
    # Unfused attention multiplies all 16 x 16 pairs, of which 16 x 17 / 2 are looked at. Rotations are not counted.
    layers = counted(tmp_path, model_type=model_type, **fields).caches
    pairs = 2 * 4 * 32 * (16 * 16 - 16 * 17 // 2) * len(layers)
    if model_type == "qwen3":
        pairs = pairs * 48 // 32  # heads of 12
    angles = sum(
        flops
        for name, by_op in counter.get_flop_counts().items()
        if name.endswith("rotary_emb")
        for flops in by_op.values()
    )
    assert found.flops == counter.get_total_flops() - pairs - angles


def test_experts_are_touched_as_a_batch_grows() -> None:
    assert weigh.experts_touched(2, 8, 1) == 2
    assert weigh.experts_touched(2, 8, 4) == pytest.approx(8 * (1 - 0.75**4))
    assert weigh.experts_touched(8, 256, 10_000) == pytest.approx(256)
    model = weigh.params("models/mixtral-8x7b")
    active = 2 * (model.active_parameters - 32_000 * 4096)
    one = weigh.decode_bound(model, context=1, **H100)
    assert one.bytes_moved == pytest.approx(active, rel=1e-4), "at batch 1, the active parameters"
    many = weigh.decode_bound(model, context=1, batch=64, **H100)
    assert many.bytes_moved > 0.99 * 2 * (model.parameters - 32_000 * 4096), "with a batch, nearly all"


@pytest.mark.parametrize(("before", "tokens", "window"), [(0, 9, None), (0, 9, 4), (5, 3, 4), (2, 5, 4), (7, 1, None)])
def test_how_often_tokens_look_at_tokens(before: int, tokens: int, window: int | None) -> None:
    counted = sum(min(i, window or i) for i in range(before + 1, before + tokens + 1))
    assert _looks(before, tokens, KeyValue(1, 1, 1, window)) == counted


@pytest.mark.parametrize("name", ["bert-base", "t5-small"])
def test_no_bound_without_a_decoder(name: str) -> None:
    with pytest.raises(weigh.WeighError, match="is no decoder"):
        weigh.decode_bound(weigh.params(f"models/{name}"), **H100)


def test_a_device_that_does_nothing_is_refused() -> None:
    with pytest.raises(weigh.WeighError, match="more than 0"):
        weigh.decode_bound(weigh.params("models/gpt2"), bandwidth=0, flops=1)
