"""Attribution by Shapley's value, against games solved by hand and against the definition over all orders."""

from __future__ import annotations

from itertools import chain, combinations, permutations
from math import factorial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weigh.artifacts.attributing import Attribution, attribution
from weigh.errors import InvalidSetting

Game = dict[frozenset[str], int]


@st.composite
def games(draw: st.DrawFn) -> Game:
    """A whole number for each set of at most five parts."""
    parts = "abcde"[: draw(st.integers(1, 5))]
    sets = chain.from_iterable(combinations(parts, size) for size in range(len(parts) + 1))
    return {frozenset(some): draw(st.integers(-1000, 1000)) for some in sets}


def solve(game: Game) -> Attribution:
    return attribution(sorted(frozenset().union(*game)), game.__getitem__)


def test_the_glove_game() -> None:
    """One left glove and two right ones, of which a pair is worth 1."""
    found = attribution(["left", "right", "other right"], lambda parts: "left" in parts and len(parts) > 1)
    assert found.shapley == pytest.approx({"left": 2 / 3, "right": 1 / 6, "other right": 1 / 6})
    assert found.restoring() == (frozenset({"left"}), frozenset({"right", "other right"}))


def test_two_changes_that_are_harmful_only_together() -> None:
    found = attribution("ab", lambda parts: -10 * (len(parts) == 2))
    assert found.alone == {"a": 0, "b": 0} and found.shapley == {"a": -5, "b": -5}
    assert found.interactions == {frozenset("ab"): -10} and set(found.restoring()) == {frozenset("a"), frozenset("b")}
    assert found.as_dict()["effects"] == {"a": 0, "b": 0, "a + b": -10}


def test_two_changes_that_cancel() -> None:
    found = attribution("ab", lambda parts: len(parts) % 2)
    assert (found.change, found.shapley) == (0, {"a": 0, "b": 0}) and found.interactions == {frozenset("ab"): -2}
    assert found.alone == found.put_back == {"a": 1, "b": 1} and found.restoring() == (frozenset(),)


@settings(deadline=None, max_examples=30)
@given(games())
def test_it_is_the_mean_over_all_orders(game: Game) -> None:
    found = solve(game)
    total = dict.fromkeys(found.parts, 0)
    for order in permutations(found.parts):
        for place, part in enumerate(order):
            total[part] += game[frozenset(order[: place + 1])] - game[frozenset(order[:place])]
    assert found.shapley == pytest.approx({p: t / factorial(len(found.parts)) for p, t in total.items()}, abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(games())
def test_shares_and_effects_add_up_to_the_change(game: Game) -> None:
    found = solve(game)
    assert sum(found.shapley.values()) == pytest.approx(found.change, abs=1e-9)
    for some in game:
        inside = sum(effect for parts, effect in found.effects.items() if parts <= some)
        assert inside + found.before == game[some]


@settings(deadline=None, max_examples=20)
@given(games(), games())
def test_symmetry_a_part_without_effect_and_additivity(game: Game, other: Game) -> None:
    alike = attribution("ab", lambda parts: game[frozenset()] * len(parts) ** 2)
    assert alike.shapley["a"] == alike.shapley["b"]
    parts = sorted(frozenset().union(*game))
    idle = attribution([*parts, "idle"], lambda some: game[some - {"idle"}])
    assert idle.shapley["idle"] == 0 and solve(game).shapley == {p: idle.shapley[p] for p in parts}
    both = attribution(parts, lambda some: game[some] + other.get(some, 0))
    second = attribution(parts, lambda some: other.get(some, 0))
    summed = {part: solve(game).shapley[part] + second.shapley[part] for part in parts}
    assert both.shapley == pytest.approx(summed, abs=1e-9)


def test_each_mixture_is_measured_once() -> None:
    asked = []
    attribution("abcd", lambda parts: asked.append(parts) or 0)  # type: ignore[func-returns-value]
    assert len(asked) == len(set(asked)) == 16


def test_sums_of_floats_have_no_rounding_of_their_own() -> None:
    found = attribution("abc", lambda parts: 0.1 * len(parts))
    assert found.interactions == {} and sum(found.shapley.values()) == pytest.approx(0.3)


@pytest.mark.parametrize("parts", [[], ["a", "a"], [str(number) for number in range(11)]])
def test_parts_that_cannot_be_mixed_are_refused(parts: list[str]) -> None:
    with pytest.raises(InvalidSetting):
        attribution(parts, lambda some: 0)


@pytest.mark.parametrize("figure", [float("nan"), float("inf"), None, "x", 10**400])
def test_a_figure_that_is_no_number_is_refused(figure: float) -> None:
    with pytest.raises(InvalidSetting, match="with a new"):
        attribution("a", lambda some: figure if some else 0)
