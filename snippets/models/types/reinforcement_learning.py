"""The program of "Reinforcement learning": a policy and values from rewards, checked, and a reward that is gamed."""

# --8<-- [start:walk]
import gymnasium as gym

LEFT, DOWN, RIGHT, UP = range(4)
lake = gym.make("FrozenLake-v1", success_rate=0.8)
for row in lake.unwrapped.desc.astype(str):
    print(*row)
print()

state, info = lake.reset(seed=10)
for action in (DOWN, DOWN, RIGHT, DOWN, RIGHT, RIGHT):
    after, reward, terminated, truncated, info = lake.step(action)
    print(f"in {state}, action {action}: now in {after}, reward {reward}, over: {terminated}")
    state = after
# --8<-- [end:walk]

# --8<-- [start:learn]
import numpy as np

GAMMA = 0.99


def q_learning(env, steps=15_000, explore=0.5, seed=0):
    """Q[s, a]: the discounted reward to expect after action a in state s."""
    rng = np.random.default_rng(seed)
    Q = np.zeros((env.observation_space.n, env.action_space.n))
    tried = np.zeros_like(Q)
    state, _ = env.reset(seed=seed)
    for _ in range(steps):
        best = rng.choice(np.flatnonzero(Q[state] == Q[state].max()))
        action = rng.integers(Q.shape[1]) if rng.random() < explore else best
        after, reward, terminated, truncated, _ = env.step(int(action))
        target = reward + (0 if terminated else GAMMA * Q[after].max())
        tried[state, action] += 1
        rate = tried[state, action] ** -0.6
        Q[state, action] += rate * (target - Q[state, action])
        state = env.reset()[0] if terminated or truncated else after
    return Q


learned = q_learning(lake)
# --8<-- [end:learn]


# --8<-- [start:judge]
def reaches_goal(env, policy, episodes=500):
    """How many episodes of a policy, one action for each state, end on the goal."""
    wins = 0
    for episode in range(episodes):
        state, _ = env.reset(seed=episode)
        over = False
        while not over:
            state, _, terminated, truncated, _ = env.step(int(policy[state]))
            over = terminated or truncated
        wins += env.unwrapped.desc.flat[state] == b"G"
    return wins


won = reaches_goal(lake, learned.argmax(1))
print(f"{won} of 500 episodes reach the goal")
# --8<-- [end:judge]


# --8<-- [start:table]
class Lake:
    """The environment's own table, an array for each part of an outcome: (states, actions, outcomes)."""

    def __init__(self, env, extra=lambda state, after, over: 0.0):
        table = env.unwrapped.P
        shape = len(table), len(table[0]), max(len(row) for each in table.values() for row in each.values())
        self.chance, self.reward = np.zeros(shape), np.zeros(shape)
        self.after, self.over = np.zeros(shape, int), np.zeros(shape, bool)
        for state, actions in table.items():
            for action, outcomes in actions.items():
                for one, (chance, after, reward, over) in enumerate(outcomes):
                    at = state, action, one
                    self.chance[at], self.after[at], self.over[at] = chance, after, over
                    self.reward[at] = reward + extra(state, after, over)


class Walkers:
    """One walker for each seed, all in lockstep: each with random numbers of its own."""

    def __init__(self, lake, seeds, steps, limit):
        self.lake, self.limit, self.one = lake, limit, np.arange(len(seeds))
        self.draws = np.stack([np.random.default_rng(seed).random((steps, 7)) for seed in seeds], 1)
        self.up_to = lake.chance.cumsum(-1)[..., :-1]
        self.state, self.clock = np.zeros((2, len(seeds)), int)

    def step(self, action, luck):
        """What came of an action of each: reward, state, whether it ended and whether time was up."""
        at = self.state, action, (luck[:, None] >= self.up_to[self.state, action]).sum(1)
        after, ended = self.lake.after[at], self.lake.over[at]
        self.clock += 1
        time_up = self.clock >= self.limit
        over = ended | time_up
        self.state, self.clock = np.where(over, 0, after), np.where(over, 0, self.clock)
        return self.lake.reward[at], after, ended, time_up


def learn_q(lake, steps=15_000, seeds=range(10), limit=100, explore=0.5, time_ends=False, start=None):
    """Q-learning by many walkers, looked at 15 times: (times, walkers, states, actions)."""
    walk = Walkers(lake, seeds, steps, limit)
    Q, tried = np.zeros((2, len(seeds), *lake.chance.shape[:2]))
    if start is not None:
        Q, tried = start.copy(), tried + 100  # what was learned before is not forgotten at one step
    seen = []
    for now, draw in enumerate(walk.draws, 1):
        state = walk.state
        best = (Q[walk.one, state] + 1e-9 * draw[:, 3:]).argmax(1)  # ties fall at random
        action = np.where(draw[:, 0] < explore, (4 * draw[:, 1]).astype(int), best)
        reward, after, ended, time_up = walk.step(action, draw[:, 2])
        if time_ends:
            ended = ended | time_up  # the mistake: as if nothing could follow
        at = walk.one, state, action
        tried[at] += 1
        Q[at] += tried[at] ** -0.6 * (reward + GAMMA * ~ended * Q[walk.one, after].max(1) - Q[at])
        if now % (steps // 15) == 0:
            seen.append(Q.copy())
    return np.array(seen)


# --8<-- [end:table]


# --8<-- [start:outcome]
def greedy(Q):
    """The policy that takes the best action, as chances; near ties go to the first."""
    return np.eye(Q.shape[-1])[Q.round(9).argmax(-1)]


def outcome(lake, policies, limit=100):
    """Exactly: an episode's expected reward, and its chances to reach the goal and to run out of time."""
    move = np.zeros((*lake.chance.shape[:2], len(lake.chance)))
    state, action, _ = np.indices(lake.chance.shape)
    np.add.at(move, (state, action, lake.after), lake.chance * ~lake.over)
    at_goal = (lake.chance * (lake.over & (lake.after == len(lake.chance) - 1))).sum(-1)
    paid = (lake.chance * lake.reward).sum(-1)
    gains = np.stack([(policies * gain).sum(-1) for gain in (paid, at_goal)])
    follow = np.einsum("...sa,sat->...st", policies, move)
    here = np.zeros((*policies.shape[:-2], 1, len(lake.chance)))
    here[..., 0] = 1
    totals = np.zeros((2, *policies.shape[:-2]))
    for _ in range(limit):
        totals += (here[..., 0, :] * gains).sum(-1)
        here = here @ follow
    return *totals, here.sum((-1, -2))


# --8<-- [end:outcome]


# --8<-- [start:exact]
def exact_q(lake, gamma=GAMMA):
    """Value iteration: the best values that there are, from the table, without a single episode."""
    Q = np.zeros(lake.chance.shape[:2])
    while True:
        ahead = lake.reward + gamma * ~lake.over * Q.max(1)[lake.after]
        better = (lake.chance * ahead).sum(-1)
        if abs(better - Q).max() < 1e-12:
            return better
        Q = better


plain = Lake(lake)
best = exact_q(plain)
_, best_rate, _ = outcome(plain, greedy(best))
seen = learn_q(plain)
values = seen[-1].max(-1)  # (walkers, states)
# --8<-- [end:exact]

# --8<-- [start:exact_claims]
rates = outcome(plain, greedy(seen))[1]  # (times, walkers)
final = rates[-1]
middle = int(np.argsort(final)[len(final) // 2])
start_values = values[:, 0]
assert abs(np.median(start_values) - best[0].max()) < 0.04, (
    "the value of the start is learned to within a few hundredths"
)
assert np.median(final) > best_rate - 0.05, "half of the walkers find a policy nearly as good as the best"
alone = outcome(plain, greedy(learned))[1]
assert alone > 0.6 and abs(learned[0].max() - best[0].max()) < 0.1, "in Gymnasium's own steps it is learned alike"
beside, away = [], []  # cells next to a hole, and whether the best action points the other way
for state in range(16):
    y, x = divmod(state, 4)
    for action, (down, right) in enumerate(((0, -1), (1, 0), (0, 1), (-1, 0))):
        other = y + down, x + right
        if lake.unwrapped.desc[y, x] in b"SF" and set(other) <= set(range(4)) and lake.unwrapped.desc[other] == b"H":
            beside.append(state)
            away.append(best[state].round(9).argmax() == (action + 2) % 4)
assert sum(away) > 0.6 * len(set(beside)), "a slip goes to the side, so away from a hole it is harmless"
half_width = 1.96 * (alone * (1 - alone) / 500) ** 0.5
assert abs(won / 500 - alone) < 2 * half_width, "episodes agree with the exact rate"
random_policy = np.full((16, 4), 0.25)
random_rate = outcome(plain, random_policy)[1]
exploring = 0.5 * greedy(seen) + 0.5 * random_policy
exploring_rates = outcome(plain, exploring)[1]
assert np.median(exploring_rates[-1]) < np.median(final) - 0.3, (
    "the training curve shows the exploring policy, a worse one"
)
# --8<-- [end:exact_claims]

# --8<-- [start:grids]
import matplotlib.pyplot as plt


def draw(ax, title, Q):
    """A lake with the value of each cell, and an arrow for the best action there."""
    desc = lake.unwrapped.desc.astype(str)
    ax.set(xlim=(0, 4), ylim=(4, 0), aspect="equal", title=title, xticks=[], yticks=[])
    ax.grid(visible=False)
    for state, letter in enumerate(desc.flat):
        y, x = divmod(state, 4)
        alpha = 0 if letter == "H" else 1 if letter == "G" else Q[state].max()
        ax.add_patch(plt.Rectangle((x, y), 1, 1, facecolor="C0", alpha=0.45 * alpha))
        ax.add_patch(plt.Rectangle((x, y), 1, 1, fill=False, linewidth=0.8))
        if letter in "HG":
            ax.text(x + 0.5, y + 0.5, {"H": "hole", "G": "goal"}[letter], ha="center", va="center")
        else:
            arrow = "←↓→↑"[Q[state].round(9).argmax()]
            ax.text(x + 0.5, y + 0.32, arrow, ha="center", va="center", fontsize=15)
            ax.text(x + 0.5, y + 0.72, f"{Q[state].max():.2f}", ha="center", va="center")


fig, axes = plt.subplots(1, 2, figsize=(7, 3.7))
draw(axes[0], "learned, the median of ten", seen[-1, middle])
draw(axes[1], "exact", best)
fig
# --8<-- [end:grids]

# --8<-- [start:curve_words]
curve_words = (
    f"Chance to reach the goal against steps. The median of ten greedy policies rises to {np.median(final):.0%}, with "
    f"a band from {final.min():.0%} to {final.max():.0%} at the end; the exploring policy stays near "
    f"{np.median(exploring_rates[-1]):.0%}. The best policy has {best_rate:.0%}."
)
early = rates[1]
assert early.max() - early.min() > 0.2, "after 2,000 steps the seeds are far apart"
# --8<-- [end:curve_words]

# --8<-- [start:curve]
steps = np.arange(1, 16)
fig, ax = plt.subplots(figsize=(7, 3.3))
lines = {"greedy, judged apart": rates, "exploring, as in training": exploring_rates}
for name, each in lines.items():
    (line,) = ax.plot(steps, np.median(each, 1), label=name)
    ax.fill_between(steps, each.min(1), each.max(1), color=line.get_color(), alpha=0.2, linewidth=0)
ax.axhline(best_rate, color="C2", linestyle=":", label="the best policy")
ax.set(xlabel="thousand steps", ylabel="chance to reach the goal", ylim=(0, 1))
ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=9, borderaxespad=0, columnspacing=1)
fig
# --8<-- [end:curve]


# --8<-- [start:actor]
def learn_policy(lake, steps=15_000, seeds=range(10), limit=100):
    """Actor and critic: a table of preferences that becomes chances, and a value of each state."""
    walk = Walkers(lake, seeds, steps, limit)
    prefer, V = np.zeros((len(seeds), 16, 4)), np.zeros((len(seeds), 16))
    for draw in walk.draws:
        state = walk.state
        chances = np.exp(prefer[walk.one, state])
        chances /= chances.sum(1, keepdims=True)
        action = (draw[:, :1] >= chances.cumsum(1)[:, :-1]).sum(1)
        reward, after, ended, _ = walk.step(action, draw[:, 2])
        surprise = reward + GAMMA * ~ended * V[walk.one, after] - V[walk.one, state]
        V[walk.one, state] += 0.1 * surprise
        prefer[walk.one, state] += 0.2 * surprise[:, None] * (np.eye(4)[action] - chances)
    chances = np.exp(prefer)
    return chances / chances.sum(-1, keepdims=True), V


policies, critic = learn_policy(plain)
policy_rates = outcome(plain, policies)[1]
# --8<-- [end:actor]

# --8<-- [start:compare]
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors.numpy import save_file

import weigh


def saved(**tensors):
    """The bytes of the tensors of a saved file, and of the file."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "agent.safetensors")
        save_file(tensors, path)
        found = weigh.inspect(path)
        return found.bytes_in_tensors, found.bytes_on_disk


def spread(numbers, form=".0%"):
    return f"{np.median(numbers):{form}} [{min(numbers):{form}}–{max(numbers):{form}}]"


tables = saved(q=seen[-1, middle])
rows = {
    "Random actions": (f"{random_rate:.0%}", "", 0),
    "Q-learning": (spread(final), spread(start_values, ".2f"), tables[0]),
    "Actor–critic": (spread(policy_rates), spread(critic[:, 0], ".2f"), saved(p=policies[0], v=critic[0])[0]),
    "Exact, not learned": (f"{best_rate:.0%}", f"{best[0].max():.2f}", saved(v=best.max(1))[0]),
}
print("| Agent | Reaches the goal | Value of the start | Bytes |\n| --- | ---: | ---: | ---: |")
for name, (rate, value, size) in rows.items():
    print(f"| {name} | {rate} | {value} | {size} |")
assert random_rate < 0.1 < 0.5 < np.median(policy_rates), "both learn far more than chance"
# --8<-- [end:compare]


# --8<-- [start:bonus]
def distance(state):
    """Moves to the goal, were there no holes."""
    row, column = divmod(state, 4)
    return 3 - row + 3 - column


def bonus(state, after, over):
    """0.1 for each step that comes nearer; none is taken for a step away."""
    return 0.1 * (distance(after) < distance(state))


def potential(state, after, over):
    """The same hint as a difference: what a step nearer gives, a step away takes."""

    def level(state):
        return 0.1 * (distance(0) - distance(state))

    return GAMMA * level(after) * (not over) - level(state)


# --8<-- [end:bonus]


# --8<-- [start:gamed]
def lifted(state, after, over):
    """The potential less a constant, so that it is 0 at the goal and below elsewhere."""
    return GAMMA * -0.1 * distance(after) * (not over) + 0.1 * distance(state)


shaped = {"goal only": plain}
shaped |= {"bonus": Lake(lake, bonus), "potential": Lake(lake, potential), "potential, lower": Lake(lake, lifted)}
learning = {name: seen if name == "goal only" else learn_q(one) for name, one in shaped.items()}
paid, reached, unfinished = {}, {}, {}
for name, one in shaped.items():
    paid[name], reached[name], unfinished[name] = outcome(one, greedy(learning[name]))
# --8<-- [end:gamed]

# --8<-- [start:gamed_table]
print("| Reward | Best policy for it | Learned | Still walking |\n| --- | ---: | ---: | ---: |")
exact_rates = {}
for name, one in shaped.items():
    exact_rates[name] = float(outcome(plain, greedy(exact_q(one)))[1])
    rate, on = spread(reached[name][-1]), f"{np.median(unfinished[name][-1]):.0%}"
    print(f"| {name} | {exact_rates[name]:.0%} | {rate} | {on} |")
# --8<-- [end:gamed_table]

# --8<-- [start:gamed_claims]
honest = float(outcome(shaped["bonus"], greedy(best))[0])
farmed = float(np.median(paid["bonus"][-1]))
assert farmed > 1.5 * honest, "the bonus pays more to those who never arrive"
assert np.median(reached["bonus"][-1]) < 0.1 < 0.8 < np.median(reached["goal only"][-1]), "and they do not arrive"
turned = np.concatenate([seen[-1:], learn_q(shaped["bonus"], start=seen[-1])])
turned_paid, turned_rate, _ = outcome(shaped["bonus"], greedy(turned))
assert np.median(turned_paid[-1]) > 1.3 * np.median(turned_paid[0]), "what is paid rises"
assert np.median(turned_rate[-1]) < 0.1 < 0.8 < np.median(turned_rate[0]), "while the goal is given up"
for name in ("potential", "potential, lower"):
    same = exact_q(shaped[name]).round(9).argmax(1) == best.round(9).argmax(1)
    assert same.all(), "a potential leaves the best policy as it is"
    assert abs(exact_rates[name] - best_rate) < 1e-9
assert np.median(reached["potential"][-1]) > 0.75
assert np.median(reached["potential, lower"][0]) < 0.2 < 0.4 < np.median(reached["potential"][0]), "the constant slows"
gamed_words = (
    "Two panels against steps since the bonus was added, medians of ten walkers with their range. The reward paid "
    f"per episode rises from {np.median(turned_paid[0]):.1f} to {np.median(turned_paid[-1]):.1f}, and the chance to "
    f"reach the goal falls from {np.median(turned_rate[0]):.0%} to {np.median(turned_rate[-1]):.0%}."
)
# --8<-- [end:gamed_claims]

# --8<-- [start:gamed_plot]
fig, axes = plt.subplots(1, 2, figsize=(7, 3))
for ax, title, what in zip(
    axes, ("reward paid per episode", "chance to reach the goal"), (turned_paid, turned_rate), strict=True
):
    ax.plot(np.median(what, 1))
    ax.fill_between(range(16), what.min(1), what.max(1), color="C0", alpha=0.2, linewidth=0)
    ax.set(title=title, xlabel="thousand steps with the bonus", ylim=(0, None))
fig
# --8<-- [end:gamed_plot]

# --8<-- [start:time]
LIMIT = 10
print("| What follows when time is up | Value of the start | Reaches the goal |\n| --- | ---: | ---: |")
cut = {}
for said, ends in {"is estimated (right)": False, "counts as 0": True}.items():
    cut[ends] = learn_q(plain, limit=LIMIT, time_ends=ends)[-1]
    rate = outcome(plain, greedy(cut[ends]))[1]
    print(f"| {said} | {spread(cut[ends][:, 0].max(-1), '.2f')} | {spread(rate)} |")
# --8<-- [end:time]

# --8<-- [start:time_claims]
short, long = (cut[ends][:, 0].max(-1) for ends in (True, False))
lost = 1 - np.median(short) / best[0].max()
assert short.max() < long.min(), "each walker that takes the limit for an end values the start too low"
assert abs(np.median(long) - best[0].max()) < 0.05, "with the estimate the limit does no harm"
cut_rates = [np.median(outcome(plain, greedy(cut[ends]))[1]) for ends in (True, False)]
assert cut_rates[0] < cut_rates[1] - 0.03, "and the policy is worse"
# --8<-- [end:time_claims]

# --8<-- [start:discount]
print("| γ | In 100 steps | With time for 10,000 |\n| ---: | ---: | ---: |")
patience = {}
for gamma in (0.95, 0.99, 0.999, 1.0):
    policy = greedy(exact_q(plain, gamma))
    patience[gamma] = [float(outcome(plain, policy, limit)[1]) for limit in (100, 10_000)]
    print(f"| {gamma} | {patience[gamma][0]:.0%} | {patience[gamma][1]:.1%} |")
# --8<-- [end:discount]

# --8<-- [start:discount_claims]
assert patience[1.0][1] > 0.99 > patience[0.999][1] > patience[0.99][1] > patience[0.95][1], "patience is safer"
assert patience[0.99][0] > 0.8 > 0.4 > patience[1.0][0], "but has no time"
# --8<-- [end:discount_claims]


# --8<-- [start:seeds]
def beginnings(seed, environments=8):
    """What tells one environment's random numbers from another's."""
    many = gym.make_vec("FrozenLake-v1", num_envs=environments)
    many.reset(seed=seed)
    return {rng.integers(2**62) for rng in many.np_random}


streams = set().union(*(beginnings(seed) for seed in range(5)))
print(f"5 seeds of 8 environments: {len(streams)} different ones")
assert len(streams) == 12
# --8<-- [end:seeds]


# --8<-- [start:own]
def check(env, Q, gamma=GAMMA):
    """The largest error of learned values, if the environment has a table."""
    exact = exact_q(Lake(env), gamma).max(1)
    return abs(Q.max(1) - exact).max()


print(f"largest error: {check(lake, learned):.2f}")
# --8<-- [end:own]

# --8<-- [start:wrong]
big = {name: gym.make(name, map_name="8x8") for name in ("FrozenLake-v1", "FrozenLake8x8-v1")}
limits = {name: one.spec.max_episode_steps for name, one in big.items()}
tables_8x8 = {name: Lake(one) for name, one in big.items()}
by_limit = {name: float(outcome(one, greedy(exact_q(one)), limits[name])[1]) for name, one in tables_8x8.items()}
assert limits == {"FrozenLake-v1": 100, "FrozenLake8x8-v1": 200}
assert by_limit["FrozenLake8x8-v1"] - by_limit["FrozenLake-v1"] > 0.15

cliff = Lake(gym.make("CliffWalking-v1"))
right = exact_q(cliff)[36].max()
cliff.over[:] = False
wrong = exact_q(cliff)[36].max()
assert wrong < 5 * right < 0, "the goal of the cliff is left again if nobody says that it ends"

dry, fickle = (gym.make("Taxi-v4", fickle_passenger=one).unwrapped.P for one in (False, True))
assert dry == fickle, "the table of a fickle passenger is that of a steady one"
# --8<-- [end:wrong]

# --8<-- [start:problems]
ten = GAMMA**9
loop_worth = 0.1 / (1 - GAMMA**2)
taxi_bytes = 500 * 6 * 8
# --8<-- [end:problems]
