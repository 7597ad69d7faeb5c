"""The model in JAX: f64 on CPU, all steps of a block of paths in one compiled `lax.scan` over arrays of paths x slots.

Blocks run side by side, one on each core. Random words are SplitMix64 of a counter, a few integer operations that are fused
with what uses them: normals of `jax.random` take three times as long here, those of `rbg` too. What has no fixed shape is
given one: jumps are the first so many arrivals along all slots of the block, enough that none is lost in practice;
registrations are gathered into small groups of paths until none is left; the gate's rank is walked to by counting passes from
the last step's, as sorting rows is slow here.
"""

import math
import os
import time
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import numpy as np
from jax import lax

from model import LOADING_MAX, SELLABLE_PART, SUPPLY_CAP, Result

BLOCK_PATHS = 128
EVENT_PATHS = 16
HUGE = 1e300


class Runner:
    """Runs paths of a model; the first run compiles. Cores are those that the process may use: XLA takes them all."""

    def __init__(self, model, threads):
        self.simulate = jax.jit(lambda seed: simulate(model, seed))
        self.pool = ThreadPoolExecutor(threads)

    def run(self, paths, seed):
        blocks = -(-paths // BLOCK_PATHS)
        seeds = np.random.SeedSequence(seed).generate_state(blocks, np.uint64)
        parts = self.pool.map(lambda seed: [np.asarray(part) for part in self.simulate(jnp.uint64(seed))], seeds)
        return Result(*(np.concatenate(part)[:paths] for part in zip(*parts)))

    def cpu_seconds(self):
        return time.process_time()

    def close(self):
        pass


def simulate(model, seed):
    c, s = model.constants, model.start
    opening_key, key = split(seed, 2)
    state = open_paths(c, s, opening_key)
    steps = (jnp.arange(c.steps), split(key, c.steps), jnp.asarray(s.age_incumbent).transpose(1, 0, 2))
    state, _ = lax.scan(lambda state, xs: (advance(c, s, state, *xs), None), state, steps)
    return result(c, s, state)


# --- chance -----------------------------------------------------------------------------------------------------------------


def mix(word):
    word = (word ^ (word >> 30)) * jnp.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> 27)) * jnp.uint64(0x94D049BB133111EB)
    return word ^ (word >> 31)


def split(key, count):
    """Independent keys: a key is a word."""
    return mix(mix(key) + (1 + jnp.arange(count, dtype=jnp.uint64)) * jnp.uint64(0xD1342543DE82EF95))


def uniforms(key, shape):
    """In (0, 1]."""
    counter = 1 + jnp.arange(math.prod(shape), dtype=jnp.uint64)
    words = mix(key + counter * jnp.uint64(0x9E3779B97F4A7C15)) >> 11
    return ((words.astype(float) + 1.0) * 2.0**-53).reshape(shape)


def normals(key, shape):
    """Arrays of standard normals, as many as the first number of `shape`, by Box-Muller."""
    count, *rest = shape
    arrays = []
    for pair in split(key, (count + 1) // 2):
        radius_key, angle_key = split(pair, 2)
        radius = jnp.sqrt(-2.0 * jnp.log(uniforms(radius_key, rest)))
        angle = 2.0 * math.pi * uniforms(angle_key, rest)
        arrays += [radius * jnp.cos(angle), radius * jnp.sin(angle)]
    return arrays[:count]


def exponentials(key, shape):
    return -jnp.log(uniforms(key, shape))


def poisson(uniform, mean):
    """Counts of a Poisson law from uniform draws, by its distribution function up to where it is 1."""
    probability, below, count = math.exp(-mean), math.exp(-mean), jnp.zeros_like(uniform)
    for n in range(1, 40):
        count += uniform >= below
        probability *= mean / n
        below += probability
        if probability < 1e-17:
            break
    return count


def kou(uniform, exponential, up, up_mean, down_mean):
    return jnp.where(uniform < up, up_mean, -down_mean) * exponential


def outside(c, state, key):
    """TAO/USD, willingness to pay, common factor and common jump."""
    paths = state["usd"].shape
    a, b, d, e = split(key, 4)
    factor, own, shock, size = normals(a, (4, *paths))
    counts = uniforms(b, (2, *paths))
    jumps = poisson(counts[0], c.usd_jump_rate)
    jumps = jumps * c.usd_jump_mean + jnp.sqrt(jumps) * c.usd_jump_sd * size
    shocks = c.correlation * factor + c.own_correlation * own
    usd = state["usd"] * jnp.exp(c.usd_drift + c.usd_volatility * shocks + jumps)
    log_willingness = c.willingness_persistence * state["log_willingness"] + c.willingness_innovation * shock
    # More than three common jumps in a step do not happen: 4e-12 a step.
    count = poisson(counts[1], c.common_rate)
    sizes = kou(uniforms(d, (3, *paths)), exponentials(e, (3, *paths)), c.common_up, c.common_up_mean, c.common_down_mean)
    jump = jnp.where(jnp.arange(3)[:, None] < count, sizes, 0.0).sum(0)
    return factor, jump, dict(usd=usd, log_willingness=log_willingness)


def slot_jumps(c, key, shape):
    """Sum of each slot's jumps: arrivals of a Poisson process along all slots, a slot being a unit of time."""
    cells = math.prod(shape)
    mean = c.jump_rate * cells
    most = int(mean + 8.0 * math.sqrt(mean)) + 8
    a, b, d = split(key, 3)
    place = jnp.cumsum(exponentials(a, (most,))) / c.jump_rate
    sizes = kou(uniforms(b, (most,)), exponentials(d, (most,)), c.jump_up, c.jump_up_mean, c.jump_down_mean)
    index = jnp.minimum(place, float(cells)).astype(jnp.int32)
    return jnp.zeros(cells).at[index].add(sizes, mode="drop", indices_are_sorted=True).reshape(shape)


def flows(c, state, opening, factor, jump, key):
    """Organic flow of the step before the limit of sales, and the log-volatilities."""
    a, b = split(key, 2)
    shape = state["x"].shape
    own, z_fast, z_slow = normals(a, (3, *shape))
    fast = c.persistence_fast * state["fast"] + c.innovation_fast * z_fast
    slow = c.persistence_slow * state["slow"] + c.innovation_slow * z_slow
    volatility = jnp.exp(jnp.minimum(fast + slow - c.log_volatility_shift, c.log_volatility_cap)) * c.root_days
    loading = state["loading"]
    shared = (jump - c.common_mean) * c.inverse_loading_mean
    move = volatility * (loading * factor[:, None] + jnp.sqrt(1.0 - loading * loading) * own)
    move += slot_jumps(c, b, shape) - c.jump_mean + loading * shared[:, None]
    age = jnp.maximum(opening - state["registered_at"], c.age_floor)
    by_size = c.size_exponent * jnp.log(jnp.maximum(state["y"], c.reserve_floor))
    scale = jnp.exp(state["log_scale"] + c.log_reference - by_size - c.age_exponent * jnp.log(age))
    flow = jnp.clip(scale * move + c.drift, -c.flow_cap, c.flow_cap)
    return jnp.where(state["started"], flow, 0.0), dict(fast=fast, slow=slow)


# --- rules ------------------------------------------------------------------------------------------------------------------


def block_emission(issuance):
    halvings = jnp.floor(jnp.log2(jnp.floor(SUPPLY_CAP / (SUPPLY_CAP - issuance))))
    return jnp.exp2(-halvings)


def next_halving(issuance):
    return SUPPLY_CAP * (1.0 - 0.5 * block_emission(issuance))


def ranked(values, rank, guess):
    """The value of that rank in each row, walked to from a guess; the smallest positive where there are fewer."""

    def look(candidate):
        bound = candidate[:, None]
        is_above, is_below = values > bound, values < bound
        above = is_above.sum(1, dtype=jnp.int32)
        up = jnp.where(is_above, values, HUGE).min(1)
        down = jnp.where(is_below, values, 0.0).max(1)
        at_least = values.shape[1] - is_below.sum(1, dtype=jnp.int32)
        return jnp.where(above >= rank, up, jnp.where((at_least >= rank) | (down <= 0.0), candidate, down))

    def walk(pair):
        candidate = pair[1]
        return candidate, look(candidate)

    start = jnp.maximum(guess, 1e-300)
    found, _ = lax.while_loop(lambda pair: (pair[0] != pair[1]).any(), walk, (start, look(start)))
    least = jnp.where(values > 0.0, values, HUGE).min(1)
    return jnp.where(least < HUGE, jnp.maximum(found, least), 0.0)


def shares(c, state):
    """Shares of the TAO emission, the threshold of the gate, and whether root alpha is claimable."""
    price = jnp.where(state["started"], state["moving_price"], 0.0)
    weight = price * state["paid"]
    price_sum, total = price.sum(1), weight.sum(1)
    fallback = total <= 0.0
    total = jnp.where(fallback, jnp.where(price_sum > 0.0, price_sum, 1.0), total)
    raw = jnp.where(fallback[:, None], price, weight) / total[:, None]
    threshold = ranked(raw, c.gate_rank, state["threshold"])
    level = jnp.where(threshold > 0.0, threshold, 1.0)[:, None] ** c.gate_exponent
    power = raw**c.gate_exponent
    open_part = raw * state["enabled"]
    share = open_part * (power / (power + level))
    total, plain = share.sum(1), open_part.sum(1)
    share = jnp.where((total > 0.0)[:, None], share, open_part)
    total = jnp.where(total > 0.0, total, jnp.where(plain > 0.0, plain, 1.0))
    return share / total[:, None], threshold, price_sum > 1.0


def coinbase(c, state, share, sell_flag):
    """Injection, chain buy, emission, sales, root claims: the step's figures, and what of the state is new."""
    k = c.blocks
    x, y, staked, unclaimed = state["x"], state["y"], state["staked"], state["unclaimed"]
    root = (c.tao_weight * state["root"])[:, None]
    emission = block_emission(state["issuance"])
    before = jnp.clip(jnp.ceil((next_halving(state["issuance"]) - state["issuance"]) / emission), 0.0, k)
    first, second = (before / k)[:, None], (1.0 - before / k)[:, None]
    issuance = x + staked + state["protocol"] + state["burned"] + unclaimed
    price = y / x
    rho = root / (root + issuance)
    whole = share * emission[:, None]

    # A halving inside the step: the mean rate over it.
    full = state["rate"]
    growth = full + jnp.minimum(whole, rho * full * price) / price
    passed = jnp.maximum(jnp.ceil((state["halving"] - issuance) / growth), 0.0)
    crosses = (passed < k) & state["started"]
    mean = jnp.where(crosses, full * (passed + 0.5 * (k - passed)) / k, full)
    rate = jnp.where(state["started"], mean, 0.0)

    cap = rho * rate * price
    injected = first * jnp.minimum(whole, cap) + second * jnp.minimum(0.5 * whole, cap)
    excess = whole * (first + 0.5 * second) - injected
    alpha = injected / price
    bought = x * (k * excess) / (y + k * excess)
    middle = root + issuance + (alpha + rate) * (0.5 * (k + 1.0))
    minted = k * rate
    cut = minted * c.owner_cut
    server = 0.5 * (minted - cut)
    root_alpha = server * (root / middle)
    validator = server - root_alpha
    miner = server * state["paid"]
    sold = cut * c.owner_sale + miner * c.miner_sale + validator * c.validator_sale
    accrued = jnp.where(sell_flag[:, None], root_alpha, 0.0)
    claimed = unclaimed * c.claim_of_stock + accrued * c.claim_of_new
    swapped = claimed * c.root_swap
    spent = k * (injected + excess)
    x, y = x - bought + k * alpha, y + spent
    xa = x + sold
    xb = xa + swapped
    ya, yb = x * y / xa, x * y / xb
    step = dict(
        price=price,
        coinbase_move=jnp.log(y / (x * price)),
        sale_move=2.0 * jnp.log(x / xb),
        x=xb,
        y=yb,
        validator=validator,
    )
    new = dict(
        staked=staked + (cut + miner + (validator - sold) + (claimed - swapped)),
        protocol=state["protocol"] + bought,
        burned=state["burned"] + (server - miner),
        unclaimed=unclaimed + (accrued - claimed),
        rate=jnp.where(crosses, 0.5 * full, full),
        halving=jnp.where(crosses, 0.5 * (state["halving"] + SUPPLY_CAP), state["halving"]),
        issuance=state["issuance"] + spent.sum(1),
        root=state["root"] + (ya - yb).sum(1),
        free=state["free"] + (y - ya).sum(1),
    )
    return step, new


def trade(c, s, state, step, flow):
    """Organic flow through the pools; sales end at the stake outside the book, buys at free TAO."""
    x, y, staked = step["x"], step["y"], state["staked"]
    held = jnp.zeros_like(staked).at[:, s.book_slot].set(state["alpha"])
    kept = jnp.maximum(held, c.stake_floor * (staked + x))
    limit = x + SELLABLE_PART * jnp.maximum(staked - kept, 0.0)
    free = jnp.maximum(state["free"], 0.0)

    def limited(flow):
        growth = jnp.exp(flow)
        over = x > limit * growth
        growth = jnp.where(over, x / limit, growth)
        return jnp.where(over, jnp.log(growth), flow), growth, (y * (growth - 1.0)).sum(1)

    def scale_down(tried):
        flow, _, cost = tried
        poor = cost > free
        return limited(flow * jnp.where(poor, 0.99 * free / jnp.where(poor, cost, 1.0), 1.0)[:, None])

    flow, growth, cost = lax.while_loop(lambda tried: (tried[2] > free).any(), scale_down, limited(flow))
    x_new = x / growth
    return flow, dict(x=x_new, y=y * growth, staked=staked + (x - x_new), free=state["free"] - cost)


def average(c, s, state, step, flow, number, row):
    """Moving prices over the step (MODEL 3.5); subnets started on the path have the age factors of their own age."""
    k = c.blocks
    since = number - state["started_step"]
    own = jnp.asarray(s.age_entrant.T)[jnp.maximum(since, 0)]
    is_own = state["started_step"] > 0
    log_keep, keep, gain, tilt, inverse = (jnp.where(is_own, own[..., i], row[i]) for i in range(5))
    total = 2.0 * flow + step["sale_move"] + step["coinbase_move"] - log_keep
    r = total * (1.0 / k)
    rate_growth = r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0))))
    growth = jnp.exp(total) - 1.0
    small = jnp.abs(total) < 1e-4
    per_rate = 1.0 / jnp.where(small, 1.0, rate_growth)
    s0 = growth * per_rate
    s1 = (k * (growth + 1.0) - (rate_growth + 1.0) * s0) * per_rate
    s0 = jnp.where(small, k * (1.0 + r * (0.5 * (k - 1.0) + r * (k - 1.0) * (2.0 * k - 1.0) / 12.0)), s0)
    s1 = jnp.where(small, 0.5 * k * (k - 1.0) * (1.0 + r * (2.0 * k - 1.0) / 3.0), s1)
    effective = step["price"] * jnp.exp(step["coinbase_move"] * (1.0 / k))
    effective *= (s0 + tilt * (s1 - 0.5 * (k - 1.0) * s0)) * inverse
    moved = keep * state["moving_price"] + gain * jnp.minimum(effective, 1.0)
    return jnp.where(state["started"], moved, state["moving_price"])


# --- lifecycle --------------------------------------------------------------------------------------------------------------


def run_clock(c, state, opening):
    """Runs the registration clock through the step: which paths have an attempt, at which block and cost; the clock."""
    closing = opening + c.blocks
    start = jnp.maximum(state["last_block"] + c.rate_limit, opening)
    blocks = jnp.maximum(closing - start, 0.0)
    fall = state["last_lock"] / jnp.floor(c.lock_interval * block_emission(state["issuance"]))
    cost_at = lambda block: jnp.maximum(2.0 * state["last_lock"] - fall * (block - state["last_block"]), c.lock_cost_min)
    cost = cost_at(start)
    willingness = c.willingness_median * jnp.exp(state["log_willingness"])
    falling = jnp.minimum(jnp.maximum((cost - c.lock_cost_min) / fall, 0.0), blocks)
    excess, scale = c.elasticity - 1.0, c.hazard_per_block * willingness / fall
    power = (willingness / cost) ** excess
    end_power = (willingness / jnp.maximum(cost - fall * falling, c.lock_cost_min)) ** excess
    whole = scale * (end_power - power) / excess
    in_fall = state["clock"] <= whole
    left = state["clock"] - whole
    flat_rate = c.hazard_per_block * (willingness / jnp.maximum(cost - fall * blocks, c.lock_cost_min)) ** c.elasticity
    flat = flat_rate * (blocks - falling)
    end_cost = willingness * (power + state["clock"] * excess / scale) ** (-1.0 / excess)
    time = jnp.where(in_fall, jnp.minimum((cost - end_cost) / fall, falling), falling + left / flat_rate)
    hit = (blocks > 0.0) & (in_fall | (left <= flat))
    block = jnp.minimum(start + jnp.maximum(jnp.ceil(time), 1.0), closing)
    return hit, block, cost_at(block), jnp.where(blocks > 0.0, left - flat, state["clock"])


def register_all(c, s, state, opening, key):
    """Lets every attempt of the step happen, a few paths at a time."""
    hit, block, cost, clock = run_clock(c, state, opening)
    clock_key, key = split(key, 2)
    state = {**state, "clock": jnp.where(hit, exponentials(clock_key, hit.shape), clock)}

    def some(carry):
        state, hit, key = carry
        draw, key = split(key, 2)
        (paths,) = jnp.nonzero(hit, size=EVENT_PATHS, fill_value=len(hit))
        state = register(c, s, state, paths, block, cost, draw)
        return state, hit.at[paths].set(False, mode="drop"), key

    state, _, _ = lax.while_loop(lambda carry: carry[1].any(), some, (state, hit, key))
    return state


def register(c, s, state, paths, block, cost, key):
    """Prunes the lowest moving price past immunity and puts an entrant into its slot; paths beyond the last are none."""
    row = lambda name: state[name].at[paths].get(mode="clip")
    block, cost = block.at[paths].get(mode="clip"), cost.at[paths].get(mode="clip")
    registered = row("registered_at")
    price = jnp.where(registered + c.immunity <= block[:, None], row("moving_price"), HUGE)
    lowest = price.min(1)
    slot = jnp.where(price == lowest[:, None], registered, HUGE).argmin(1)
    can = (lowest < HUGE) & (cost <= row("free"))
    paths = jnp.where(can, paths, len(state["free"]))
    every = jnp.arange(len(paths))
    x, y, staked = row("x"), row("y"), row("staked")[every, slot]
    pool, pot, old = x[every, slot], y[every, slot], registered[every, slot]
    weights = staked + row("protocol")[every, slot] + jnp.where(old > c.refund_block, pool, 0.0)
    payout = jnp.where(weights > 0.0, pot / jnp.where(weights > 0.0, weights, 1.0), 0.0)
    others = x.shape[1] - 1
    spot = jnp.sort((y / x).at[every, slot].set(HUGE), axis=1)
    median = 0.5 * (spot[:, others // 2] + spot[:, (others - 1) // 2])
    lock = jnp.maximum(cost, c.lock_cost_min)
    alpha = row("alpha")
    held = (jnp.asarray(s.book_slot) == slot[:, None]) & (alpha > 0.0)

    a, b, d = split(key, 3)
    n_scale, n_loading, n_fast, n_slow = normals(a, (4, *slot.shape))
    u_burn, u_never = uniforms(b, (2, *slot.shape))
    start_delay, enable_delay = exponentials(d, (2, *slot.shape))
    start_at = block + jnp.maximum(c.start_delay * start_delay, c.start_call_delay)
    entrant = dict(
        x=lock / median,
        y=lock,
        moving_price=0.0,
        staked=0.0,
        protocol=0.0,
        burned=0.0,
        unclaimed=0.0,
        paid=jnp.where(u_burn < c.burn_all, 0.0, 1.0),
        rate=block_emission(lock / median),
        halving=next_halving(lock / median),
        started=False,
        enabled=c.entrants_enabled,
        registered_at=block,
        log_scale=c.log_scale_median + c.scale_sd_log * n_scale,
        loading=jnp.clip(c.loading_mean + c.loading_sd * n_loading, -LOADING_MAX, LOADING_MAX),
        fast=c.volatility_sd_fast * n_fast,
        slow=c.volatility_sd_slow * n_slow,
        start_at=jnp.where(u_never >= c.never_start, start_at, HUGE),
        enable_at=HUGE,
        enable_delay=c.enable_delay * enable_delay,
        started_step=0,
    )
    new = {name: state[name].at[paths, slot].set(value, mode="drop") for name, value in entrant.items()}
    add = lambda name, amount: state[name].at[paths].add(amount, mode="drop")
    new |= dict(
        free=add("free", payout * staked - cost),
        issuance=add("issuance", payout * staked - pot - cost + lock),
        last_lock=state["last_lock"].at[paths].set(cost, mode="drop"),
        last_block=state["last_block"].at[paths].set(block, mode="drop"),
        alpha=state["alpha"].at[paths].set(jnp.where(held, 0.0, alpha), mode="drop"),
        cash=add("cash", jnp.where(held, alpha * payout[:, None], 0.0).sum(1)),
        settled=add("settled", held.sum(1).astype(float)),
        registrations=add("registrations", 1.0),
        lock_cost_sum=add("lock_cost_sum", cost),
        moving_price_sum=add("moving_price_sum", lowest),
        deregistered=state["deregistered"].at[paths, slot].max(old <= c.start_block, mode="drop"),
    )
    return {**state, **new}


def act(state, number, closing):
    """start_call and emission enabling act at the first step end after their block."""
    starts = state["start_at"] <= closing
    enabled = state["enabled"]
    enable_at = jnp.where(starts & (enabled == 0.0), state["start_at"] + state["enable_delay"], state["enable_at"])
    enables = enable_at <= closing
    return dict(
        started=state["started"] | starts,
        started_step=jnp.where(starts, number + 1, state["started_step"]),
        start_at=jnp.where(starts, HUGE, state["start_at"]),
        enabled=jnp.where(enables, 1.0, enabled),
        enable_at=jnp.where(enables, HUGE, enable_at),
        starts=state["starts"] + starts.sum(1),
        enablings=state["enablings"] + enables.sum(1),
    )


# --- paths ------------------------------------------------------------------------------------------------------------------


def open_paths(c, s, key):
    """The snapshot, and what it does not tell drawn."""
    paths, slots = BLOCK_PATHS, len(s.reserve_tao)
    shape = (paths, slots)
    a, b, d, e = split(key, 4)
    n_fast, n_slow = normals(a, (2, *shape))
    spread = lambda row: jnp.broadcast_to(jnp.asarray(row), shape)
    whole = lambda value: jnp.full(paths, float(value))
    delays = exponentials(b, (2, *shape))
    enable_delay = c.enable_delay * delays[1]
    starts = (s.started == 0.0) & (uniforms(d, shape) >= c.never_start_incumbent)
    enables = (s.started > 0.0) & (s.enabled == 0.0)
    state = dict(
        x=s.reserve_alpha,
        y=s.reserve_tao,
        staked=s.staked,
        protocol=s.protocol,
        burned=s.burned,
        unclaimed=s.unclaimed,
        moving_price=s.moving_price,
        paid=1.0 - np.minimum(s.miner_burned, 1.0),
        rate=s.alpha_emission,
        halving=s.halving_issuance,
        started=s.started > 0.0,
        enabled=s.enabled,
        registered_at=s.registered_at,
        log_scale=np.full(slots, c.log_scale_median),
        loading=np.full(slots, c.loading_mean),
        started_step=np.zeros(slots, np.int64),
        deregistered=np.zeros(slots, bool),
        share=np.zeros(slots),
    )
    state = {name: spread(row) for name, row in state.items()}
    state |= dict(
        fast=c.volatility_sd_fast * n_fast,
        slow=c.volatility_sd_slow * n_slow,
        enable_delay=enable_delay,
        start_at=jnp.where(starts, c.start_block + c.start_delay * delays[0], HUGE),
        enable_at=jnp.where(enables, c.start_block + enable_delay, HUGE),
        threshold=whole(1.0 / slots),
        issuance=whole(c.issuance_tao),
        root=whole(c.root_stake_tao),
        free=whole(c.free_tao),
        usd=whole(c.tao_usd),
        log_willingness=whole(c.log_willingness),
        clock=exponentials(e, (paths,)),
        last_lock=whole(c.last_lock_tao),
        last_block=whole(c.last_lock_block),
        alpha=jnp.broadcast_to(jnp.asarray(s.book_alpha), (paths, len(s.book_slot))),
    )
    counts = ("cash", "drawdown", "settled", "registrations", "starts", "enablings", "lock_cost_sum", "moving_price_sum")
    state |= {name: whole(0.0) for name in counts}
    return state | dict(peak=mark(s, state))


def mark(s, state):
    slots = s.book_slot
    return state["cash"] + (state["alpha"] * (state["y"][:, slots] / state["x"][:, slots])).sum(1)


def advance(c, s, state, number, key, ages):
    """One step of K blocks."""
    outside_key, flow_key, event_key = split(key, 3)
    opening = c.start_block + number * c.blocks
    factor, jump, new = outside(c, state, outside_key)
    state = state | new
    flow, new = flows(c, state, opening, factor, jump, flow_key)
    state = state | new
    share, threshold, sell_flag = shares(c, state)
    staked = state["staked"][:, s.book_slot]
    step, new = coinbase(c, state, share, sell_flag)
    state = state | new | dict(share=share, threshold=threshold)
    flow, new = trade(c, s, state, step, flow)
    state = state | new
    part = jnp.where(staked > 0.0, step["validator"][:, s.book_slot] / jnp.where(staked > 0.0, staked, 1.0), 0.0)
    state = state | dict(
        moving_price=average(c, s, state, step, flow, number, ages),
        alpha=state["alpha"] * (1.0 + s.book_keep * part),
    )
    state = register_all(c, s, state, opening, event_key)
    state = state | act(state, number, opening + c.blocks)
    value = mark(s, state)
    peak = jnp.maximum(state["peak"], value)
    return state | dict(peak=peak, drawdown=jnp.maximum(state["drawdown"], 1.0 - value / peak))


def result(c, s, state):
    slots = s.book_slot
    value, opening = mark(s, state), (s.book_alpha * s.reserve_tao[slots] / s.reserve_alpha[slots]).sum()
    net = state["alpha"] * (1.0 - c.fee_rate)
    sold = state["y"][:, slots] * (net / (state["x"][:, slots] + net))
    return Result(
        pnl_mark_tao=value - opening,
        pnl_liquidation_tao=state["cash"] + sold.sum(1) - opening,
        pnl_mark_usd=value * state["usd"] - opening * c.tao_usd,
        max_drawdown=state["drawdown"],
        deregistered_holdings=state["settled"],
        registrations=state["registrations"],
        starts=state["starts"],
        enablings=state["enablings"],
        lock_cost_sum=state["lock_cost_sum"],
        moving_price_sum=state["moving_price_sum"],
        deregistered=state["deregistered"],
        price=state["y"] / state["x"],
        moving_price=state["moving_price"],
        share=state["share"],
    )
