"""Training: the plan, the windows, a run that goes on where it was, and what the simpler models make of a text."""

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from quill import adapter, corpus, evaluation, training
from quill.model import Config, Quill
from quill.training import Plan, batch_of, train

TINY = Config(30, 16, 24, 1, 2, 1, max_position_embeddings=8)
IDS = torch.arange(400) * 7 % 23  # a text that can be learned
PLAN = Plan(steps=10, batch=4, peak=1e-2, warmup=3, every=3)


def fresh() -> Quill:
    torch.manual_seed(0)
    return Quill(TINY)


# The plan


def test_the_rate_rises_and_falls() -> None:
    plan = Plan(steps=1000, peak=2.0, warmup=100)
    assert plan.rate(0) == pytest.approx(2.0 / 100)
    assert plan.rate(49) == pytest.approx(1.0)
    assert plan.rate(99) == plan.rate(100) == pytest.approx(2.0)
    assert plan.rate(550) == pytest.approx(1.1), "half way down, between the peak and a tenth of it"
    assert plan.rate(999) == pytest.approx(0.2, rel=1e-4)
    assert all(a > b for a, b in pairwise(plan.rate(step) for step in range(100, 1000)))


def test_a_plan_without_warm_up_begins_at_its_peak() -> None:
    assert Plan(steps=10, peak=0.5, warmup=0).rate(0) == pytest.approx(0.5)


# The windows


def test_a_batch_follows_from_seed_and_step() -> None:
    ids = torch.arange(1000)
    inputs, targets = batch_of(ids, Plan(10, batch=5), 3, 16)
    assert inputs.shape == targets.shape == (5, 16)
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    torch.manual_seed(99)  # has no say in it
    assert torch.equal(batch_of(ids, Plan(10, batch=5), 3, 16)[0], inputs)
    assert not torch.equal(batch_of(ids, Plan(10, batch=5), 4, 16)[0], inputs)
    assert not torch.equal(batch_of(ids, Plan(10, batch=5, seed=1), 3, 16)[0], inputs)


def test_batches_reach_the_first_and_the_last_token_and_no_further() -> None:
    seen = [torch.cat(batch_of(torch.arange(12), Plan(1), step, 8)) for step in range(20)]
    assert torch.stack(seen).unique().tolist() == list(range(12))


# The run


def test_it_learns_and_reports(tmp_path: Path) -> None:
    told: list[tuple[int, float, float]] = []
    model = fresh()
    history = train(model, IDS, IDS[:50], PLAN, tmp_path / "run.pt", lambda *told_now: told.append(told_now))
    assert [point["step"] for point in history] == [3, 6, 9, 10], "at each look, and at the end"
    assert told == [(point["step"], point["loss"], point["validation"]) for point in history]
    assert history[-1]["validation"] < history[0]["validation"]
    assert history[-1]["validation"] == evaluation.mean_loss(model, IDS[:50])
    assert not model.training


@pytest.mark.parametrize("stop", [2, 3, 5, 9])
def test_an_interrupted_run_ends_as_one_that_ran_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    through = fresh()
    expected = train(through, IDS, IDS[:50], PLAN, tmp_path / "through.pt")

    def until(ids: Tensor, plan: Plan, step: int, tokens: int) -> tuple[Tensor, Tensor]:
        if step == stop:
            raise KeyboardInterrupt
        return batch_of(ids, plan, step, tokens)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "batch_of", until)
        train(fresh(), IDS, IDS[:50], PLAN, tmp_path / "stopped.pt")
    resumed = fresh()
    assert train(resumed, IDS, IDS[:50], PLAN, tmp_path / "stopped.pt") == expected
    assert all(torch.equal(a, b) for a, b in zip(through.parameters(), resumed.parameters(), strict=True))
    saved = [torch.load(tmp_path / f"{name}.pt") for name in ("through", "stopped")]
    assert [state["step"] for state in saved] == [10, 10]
    for state in ("model", "optimizer"):
        torch.testing.assert_close(saved[0][state], saved[1][state], rtol=0, atol=0)


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first, second = fresh(), fresh()
    history = train(first, IDS, IDS[:50], PLAN, tmp_path / "run.pt")
    assert train(second, IDS, IDS[:50], PLAN, tmp_path / "run.pt") == history
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_a_checkpoint_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save, saved = torch.save, []

    def full_disk(state: object, path: Path) -> None:
        if saved:
            path.write_bytes(b"half of it")
            raise OSError("no space left on device")
        save(state, path)
        saved.append(path.read_bytes())

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="no space"):
        train(fresh(), IDS, IDS[:50], Plan(steps=6, batch=4, every=3), tmp_path / "run.pt")
    assert (tmp_path / "run.pt").read_bytes() == saved[0]


def test_a_checkpoint_of_another_plan_or_another_model_is_not_gone_on_from(tmp_path: Path) -> None:
    plan = Plan(steps=3, batch=4, every=3)
    train(fresh(), IDS, IDS[:50], plan, tmp_path / "run.pt")
    with pytest.raises(SystemExit, match="another plan"):
        train(fresh(), IDS, IDS[:50], Plan(steps=6, batch=4, every=3), tmp_path / "run.pt")
    model = fresh()
    train(model, IDS, IDS[:50], plan, tmp_path / "adapter.pt", trained=adapter.adapt(model))
    other = fresh()
    with torch.no_grad():
        other.model.norm.weight += 1
    with pytest.raises(SystemExit, match="another model"):
        train(other, IDS, IDS[:50], plan, tmp_path / "adapter.pt", trained=adapter.adapt(other))


def test_only_the_weights_that_are_to_be_trained_are(tmp_path: Path) -> None:
    model = fresh()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    train(model, IDS, IDS[:50], PLAN, tmp_path / "run.pt", trained=adapter.adapt(model))
    after = {name.replace(".base.", "."): tensor for name, tensor in model.state_dict().items()}
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert all(bool(after[name].any()) for name in after if "lora_B" in name)


# The measures


@torch.no_grad()
@pytest.mark.parametrize("count", [2, 5, 9, 10, 33])
def test_each_token_is_measured_once_with_half_a_context_before_it(count: int) -> None:
    model, half = fresh().eval(), TINY.max_position_embeddings // 2
    ids = IDS[:count]
    found = evaluation.token_losses(model, ids)
    expected = []
    for i in range(1, count):
        begin = max(0, (i - 1) // half * half - half)
        assert i - begin > half or begin == 0
        logits, _ = model(ids[None, begin:i])
        expected.append(F.cross_entropy(logits[0, -1], ids[i]))
    torch.testing.assert_close(found, torch.stack(expected))
    assert evaluation.mean_loss(model, ids) == pytest.approx(float(found.mean()))


def brute_force(train: list[int], entries: int, discount: float) -> Callable[[list[int], int], float]:
    """The trigram's probability, counted anew each time it is asked for."""

    def probability(context: list[int], token: int) -> float:
        n = len(context)
        below = probability(context[1:], token) if context else 1 / entries
        follows = [train[i] for i in range(n, len(train)) if train[i - n : i] == context]
        if not follows:
            return below
        own = max(follows.count(token) - discount, 0) / len(follows)
        return own + discount * len(set(follows)) / len(follows) * below

    return probability


def test_the_trigram_is_what_a_recount_says() -> None:
    generator = torch.Generator().manual_seed(0)
    text, test = (torch.randint(6, (size,), generator=generator).tolist() for size in (60, 40))
    test += [7, 0, 7, 7]  # one that the text never has
    probability = brute_force(text, 8, 0.75)
    for context in ([], [3], [3, 1], [7, 7]):
        assert sum(probability(context, token) for token in range(8)) == pytest.approx(1)
    losses = [-math.log(probability(test[max(0, i - 2) : i], test[i])) for i in range(1, len(test))]
    assert evaluation.trigram_loss(text, test, 8) == pytest.approx(sum(losses) / len(losses))


def test_simple_models_of_simple_texts() -> None:
    assert evaluation.uniform_loss(8) == pytest.approx(math.log(8))
    assert evaluation.unigram_loss([], [0, 1, 2], 8) == pytest.approx(math.log(8)), "it has read nothing"
    assert evaluation.unigram_loss([5] * 92, [0, 5], 8) == pytest.approx(-math.log(0.93))
    assert evaluation.trigram_loss([], [0, 1, 2], 8) == pytest.approx(math.log(8))
    again = [0, 1, 2, 3] * 200
    assert evaluation.trigram_loss(again, again[:40], 8) < 0.1 < evaluation.unigram_loss(again, again[:40], 8)


# The text


def test_texts_are_cleaned() -> None:
    assert corpus.clean("\r\n A  line, \r\n\r\n\r\n\r\nJack\ufffds \n\n\n") == "A  line,\n\nJack's\n"
    assert corpus.clean(corpus.clean("a\n\n\n\nb ")) == "a\n\nb\n"
