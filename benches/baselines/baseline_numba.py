"""The model in Numba: f64, one path at a time, `prange` over blocks of paths.

A step is a row of short loops over the slots of a path, whose state and buffers (70 kB) stay in the inner caches. What makes
them vector code: the number of slots and all parameters are compile-time constants; state and buffers are rows of one flat
array, so that offsets tell the compiler that nothing overlaps; elementary functions are those of Intel's SVML where Numba can call
them, up to 0.61. What few slots have is done in scalar code by index: jumps (by exponential gaps along the slots),
entrants, events. Nothing is allocated in a step.

Two runners differ in draws and in the width of vectors. `Runner` draws with `numpy.random`, as Numba has it, under the
compiler's defaults. `TunedRunner`, of `baseline_numba_tuned`, makes its own draws, without a branch (words are SplitMix64 of a
counter, normals are Box-Muller), and has the compiler use the widest vectors.
"""

import ctypes
import math
import sys
import time
from pathlib import Path

import numpy as np

# Numba looks for libsvml.so by name, and a library that is loaded is found.
for library in ("libintlc.so.5", "libsvml.so"):
    if (found := Path(sys.prefix) / "lib" / library).exists():
        ctypes.CDLL(str(found), ctypes.RTLD_GLOBAL)
import numba
from numba import njit, prange

from model import LOADING_MAX, SELLABLE_PART, SUPPLY_CAP, Result

BLOCK_PATHS = 16
HUGE = 1e300
GAMMA = np.uint64(0x9E3779B97F4A7C15)

PATH_COLUMNS = (
    "pnl_mark_tao",
    "pnl_liquidation_tao",
    "pnl_mark_usd",
    "max_drawdown",
    "deregistered_holdings",
    "registrations",
    "starts",
    "enablings",
    "lock_cost_sum",
    "moving_price_sum",
)


class Runner:
    """Runs paths of a model on `threads` cores; the first run compiles."""

    library_draws = True

    def __init__(self, model, threads):
        numba.set_num_threads(threads)
        self.slots = len(model.netuids)
        self.simulate = compiled(model, self.library_draws)

    def run(self, paths, seed):
        columns = np.empty((paths, len(PATH_COLUMNS)))
        slots = np.empty((4, paths, self.slots))
        self.simulate(np.uint64(seed), columns, slots)
        deregistered, price, moving_price, share = slots
        by_name = dict(zip(PATH_COLUMNS, columns.T))
        return Result(**by_name, deregistered=deregistered > 0.0, price=price, moving_price=moving_price, share=share)

    def cpu_seconds(self):
        return time.process_time()

    def close(self):
        pass


class TunedRunner(Runner):
    """The same with draws of its own; `baseline_numba_tuned` sets the width of vectors before Numba is loaded."""

    library_draws = False


def compiled(model, library_draws):
    """The simulation of one model as a compiled function of seed and outputs."""
    c, s = model.constants, model.start
    S, K, STEPS = len(model.netuids), c.blocks, c.steps
    POSITIONS = len(s.book_slot)
    # Rows of a path's state: those that the snapshot gives, then those drawn.
    given = (
        (s.reserve_alpha, s.reserve_tao, s.staked, s.protocol, s.burned, s.unclaimed, s.moving_price)
        + (1.0 - np.minimum(s.miner_burned, 1.0), s.alpha_emission, s.halving_issuance, s.started, s.enabled)
        + (s.registered_at, np.full(S, c.log_scale_median), np.full(S, c.loading_mean))
        + (np.full(S, math.sqrt(1.0 - c.loading_mean**2)),)
    )
    GIVEN = np.concatenate(given)
    rows = iter(range(0, 60 * S, S))
    X, Y, STAKED, PROTOCOL, BURNED, UNCLAIMED, M, PAID = (next(rows) for _ in range(8))
    RATE, HALVING, STARTED, ENABLED, REGISTERED, LOG_SCALE, LOADING, OWN_LOADING = (next(rows) for _ in range(8))
    FAST_H, SLOW_H, START_AT, ENABLE_AT, ENABLE_DELAY, STARTED_STEP, DEREGISTERED = (next(rows) for _ in range(7))
    # Rows of buffers.
    N, N_END = next(rows), [next(rows) for _ in range(3)][-1]
    U, U_END = next(rows), [next(rows) for _ in range(3)][-1]
    FLOW, SCALE, SHARE, RAW, PRICE, EXCESS, SPENT, INJECTED, MINTED, MIDDLE = (next(rows) for _ in range(10))
    VALIDATOR, SOLD, SWAPPED, X_MID, Y_MID, COINBASE, SALE, HELD, S0, S1 = (next(rows) for _ in range(10))
    LOG_KEEP, KEEP, GAIN, TILT, DENOMINATOR = (next(rows) for _ in range(5))
    SIZE = next(rows)
    assert N_END - N == U_END - U == 3 * S
    PAIRS = (3 * S + 1) // 2
    AGES = np.ascontiguousarray(s.age_incumbent.transpose(1, 0, 2)).reshape(STEPS, 5 * S)
    ENTRANT_AGES = np.ascontiguousarray(s.age_entrant.T)
    opening_blocks = c.start_block + K * np.arange(STEPS)
    log_age = np.log(np.maximum(opening_blocks[:, None] - s.registered_at, c.age_floor))
    AGE_SCALE = c.log_reference - c.age_exponent * log_age
    WAITING = np.flatnonzero((s.started == 0.0) | (s.enabled == 0.0))
    IDLE = np.flatnonzero(s.started == 0.0)
    BOOK_SLOT, BOOK_ALPHA, BOOK_KEEP = s.book_slot, s.book_alpha, s.book_keep
    OPENING = float((s.book_alpha * s.reserve_tao[s.book_slot] / s.reserve_alpha[s.book_slot]).sum())
    GATE_RANK, GATE_EXPONENT = c.gate_rank, c.gate_exponent
    EXCESS_ELASTICITY = c.elasticity - 1.0
    jit = njit(fastmath=True, error_model="numpy", boundscheck=False)

    # --- chance -------------------------------------------------------------------------------------------------------------

    @jit
    def mix(word):
        word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return word ^ (word >> np.uint64(31))

    @jit
    def uniform(rng):
        """In (0, 1]."""
        rng[0] += GAMMA
        return (np.float64(mix(rng[0]) >> np.uint64(11)) + 1.0) * 2.0**-53

    @jit
    def exponential(rng):
        return -math.log(uniform(rng))

    @jit
    def normal(rng):
        return math.sqrt(2.0 * exponential(rng)) * math.cos(2.0 * math.pi * uniform(rng))

    @jit
    def draw_normals(w, rng):
        """3 S standard normals from N on."""
        state = rng[0]
        for i in range(2 * PAIRS):
            word = mix(state + np.uint64(i + 1) * GAMMA)
            w[U + i] = (np.float64(word >> np.uint64(11)) + 1.0) * 2.0**-53
        rng[0] = state + np.uint64(2 * PAIRS) * GAMMA
        for i in range(PAIRS):
            w[U + i] = math.sqrt(-2.0 * math.log(w[U + i]))
        for i in range(PAIRS):
            angle = 2.0 * math.pi * w[U + PAIRS + i]
            w[N + i] = w[U + i] * math.cos(angle)
            w[N + PAIRS + i] = w[U + i] * math.sin(angle)

    @jit
    def reseed(rng, seed, path):
        rng[0] = mix(mix(seed + GAMMA) ^ mix(np.uint64(path) * np.uint64(0xD1342543DE82EF95)))

    if library_draws:
        uniform = jit(lambda rng: 1.0 - np.random.random())
        exponential = jit(lambda rng: np.random.standard_exponential())
        normal = jit(lambda rng: np.random.standard_normal())

        @jit
        def draw_normals(w, rng):
            for i in range(3 * S):
                w[N + i] = np.random.standard_normal()

        @jit
        def reseed(rng, seed, path):
            np.random.seed((seed * np.uint64(0x9E3779B1) + np.uint64(path)) & np.uint64(0xFFFFFFFF))

    @jit
    def poisson(rng, mean):
        count, left = 0, mean - exponential(rng)
        while left > 0.0:
            count += 1
            left -= exponential(rng)
        return count

    @jit
    def kou(rng, up, up_mean, down_mean):
        mean = up_mean if uniform(rng) <= up else -down_mean
        return mean * exponential(rng)

    @jit
    def advance_outside(rng, g):
        """TAO/USD and willingness; returns common factor and common jump."""
        factor = normal(rng)
        jumps = 0.0
        for _ in range(poisson(rng, c.usd_jump_rate)):
            jumps += c.usd_jump_mean + c.usd_jump_sd * normal(rng)
        shock = c.correlation * factor + c.own_correlation * normal(rng)
        g[USD] *= math.exp(c.usd_drift + c.usd_volatility * shock + jumps)
        g[LOG_W] = c.willingness_persistence * g[LOG_W] + c.willingness_innovation * normal(rng)
        jump = 0.0
        for _ in range(poisson(rng, c.common_rate)):
            jump += kou(rng, c.common_up, c.common_up_mean, c.common_down_mean)
        return factor, jump

    @jit
    def draw_flows(w, rng, step, factor, jump, fresh, count):
        draw_normals(w, rng)
        for i in range(S):
            fast = c.persistence_fast * w[FAST_H + i] + c.innovation_fast * w[N + S + i]
            slow = c.persistence_slow * w[SLOW_H + i] + c.innovation_slow * w[N + 2 * S + i]
            w[FAST_H + i] = fast
            w[SLOW_H + i] = slow
            volatility = math.exp(min(fast + slow - c.log_volatility_shift, c.log_volatility_cap)) * c.root_days
            own = w[OWN_LOADING + i] * w[N + i]
            w[FLOW + i] = volatility * (w[LOADING + i] * factor + own)
        shared = (jump - c.common_mean) * c.inverse_loading_mean
        for i in range(S):
            w[FLOW + i] += w[LOADING + i] * shared - c.jump_mean
        place = exponential(rng) * (1.0 / c.jump_rate) if c.jump_rate > 0.0 else 1e18
        while place < S:
            w[FLOW + int(place)] += kou(rng, c.jump_up, c.jump_up_mean, c.jump_down_mean)
            place += exponential(rng) * (1.0 / c.jump_rate)
        for i in range(S):
            w[SCALE + i] = AGE_SCALE[step, i]
        opening = c.start_block + step * K
        for j in range(count):
            i = fresh[j]
            w[SCALE + i] = c.log_reference - c.age_exponent * math.log(max(opening - w[REGISTERED + i], c.age_floor))
        for i in range(S):
            by_size = c.size_exponent * math.log(max(w[Y + i], c.reserve_floor))
            scale = math.exp(w[LOG_SCALE + i] + w[SCALE + i] - by_size)
            w[FLOW + i] = max(-c.flow_cap, min(c.flow_cap, scale * w[FLOW + i] + c.drift)) * w[STARTED + i]

    # --- rules --------------------------------------------------------------------------------------------------------------

    @jit
    def block_emission(issuance):
        emission, left = 1.0, SUPPLY_CAP - issuance
        while 2.0 * left <= SUPPLY_CAP * emission:
            emission *= 0.5
        return emission

    @jit
    def next_halving(issuance):
        return SUPPLY_CAP * (1.0 - 0.5 * block_emission(issuance))

    @jit
    def ranked(w, rank, guess):
        """The value of that rank of RAW, walked to from a guess; the smallest positive where there are fewer."""
        candidate = max(guess, 1e-300)
        while True:
            above, equal, up, down = 0.0, 0.0, HUGE, 0.0
            for i in range(S):
                value = w[RAW + i]
                above += 1.0 if value > candidate else 0.0
                equal += 1.0 if value == candidate else 0.0
            if above >= rank:
                for i in range(S):
                    value = w[RAW + i]
                    up = min(up, value if value > candidate else HUGE)
                candidate = up
            elif above + equal >= rank:
                return candidate
            else:
                for i in range(S):
                    value = w[RAW + i]
                    down = max(down, value if value < candidate else 0.0)
                if down <= 0.0:
                    least = HUGE
                    for i in range(S):
                        value = w[RAW + i]
                        least = min(least, value if value > 0.0 else HUGE)
                    return least if least < HUGE else 0.0
                candidate = down

    @jit
    def shares(w, guess):
        """Shares of the TAO emission; returns the sum of moving prices and the threshold of the gate."""
        price_sum, total = 0.0, 0.0
        for i in range(S):
            price = w[M + i] * w[STARTED + i]
            weight = price * w[PAID + i]
            price_sum += price
            total += weight
            w[RAW + i] = weight
        if total <= 0.0:
            total = price_sum if price_sum > 0.0 else 1.0
            for i in range(S):
                w[RAW + i] = w[M + i] * w[STARTED + i]
        factor = 1.0 / total
        for i in range(S):
            w[RAW + i] *= factor
        threshold = ranked(w, GATE_RANK, guess)
        level = threshold**GATE_EXPONENT if threshold > 0.0 else 1.0
        total = 0.0
        for i in range(S):
            raw = w[RAW + i]
            power = raw**GATE_EXPONENT
            share = raw * w[ENABLED + i] * (power / (power + level))
            total += share
            w[SHARE + i] = share
        if total <= 0.0:
            for i in range(S):
                w[SHARE + i] = w[RAW + i] * w[ENABLED + i]
                total += w[SHARE + i]
        factor = 1.0 / total if total > 0.0 else 0.0
        for i in range(S):
            w[SHARE + i] *= factor
        return price_sum, threshold

    @jit
    def coinbase(w, g, sell_flag):
        root = c.tao_weight * g[ROOT]
        emission = block_emission(g[ISSUANCE])
        before = min(max(math.ceil((next_halving(g[ISSUANCE]) - g[ISSUANCE]) / emission), 0.0), K)
        first, second = before / K, 1.0 - before / K
        nearest = -HUGE
        for i in range(S):
            outside = w[STAKED + i] + w[PROTOCOL + i] + (w[BURNED + i] + w[UNCLAIMED + i])
            issuance = w[X + i] + outside
            w[MIDDLE + i] = issuance + root
            w[MINTED + i] = w[RATE + i]
            nearest = max(nearest, issuance + 2.0 * K - w[HALVING + i])
        if nearest >= 0.0:
            cross_halvings(w, root, emission)
        # Quotients known at the same time share one division.
        for i in range(S):
            x, y, diluted = w[X + i], w[Y + i], w[MIDDLE + i]
            inverse = 1.0 / (x * y * diluted)
            price, per_price = y * y * diluted * inverse, x * x * diluted * inverse
            rate = w[MINTED + i] * w[STARTED + i]
            cap = root * (x * y * inverse) * rate * price
            whole = w[SHARE + i] * emission
            half = 0.5 * whole
            injected = first * min(whole, cap) + second * min(half, cap)
            excess = first * whole + second * half - injected
            alpha = injected * per_price
            w[PRICE + i] = price
            w[COINBASE + i] = per_price
            w[EXCESS + i] = K * excess
            w[SPENT + i] = K * (injected + excess)
            w[INJECTED + i] = K * alpha
            w[MINTED + i] = K * rate
            w[MIDDLE + i] = diluted + (alpha + rate) * (0.5 * (K + 1.0))
        accrues = 1.0 if sell_flag else 0.0
        for i in range(S):
            x, excess = w[X + i], w[EXCESS + i]
            y_bought, middle = w[Y + i] + excess, w[MIDDLE + i]
            inverse = 1.0 / (y_bought * middle)
            bought = x * excess * (middle * inverse)
            minted = w[MINTED + i]
            cut = minted * c.owner_cut
            server = (minted - cut) * 0.5
            root_alpha = server * (root * (y_bought * inverse))
            validator = server - root_alpha
            miner = server * w[PAID + i]
            sold = cut * c.owner_sale + miner * c.miner_sale + validator * c.validator_sale
            accrued = root_alpha * accrues
            claimed = w[UNCLAIMED + i] * c.claim_of_stock + accrued * c.claim_of_new
            swapped = claimed * c.root_swap
            w[HELD + i] = w[STAKED + i]  # the opening stake, until the book is taken off
            w[VALIDATOR + i] = validator
            w[SOLD + i] = sold
            w[SWAPPED + i] = swapped
            w[X_MID + i] = x - bought + w[INJECTED + i]
            w[STAKED + i] += cut + miner + validator - sold + (claimed - swapped)
            w[PROTOCOL + i] += bought
            w[BURNED + i] += server - miner
            w[UNCLAIMED + i] += accrued - claimed
        spent, to_sellers, to_root = 0.0, 0.0, 0.0
        for i in range(S):
            x, y = w[X_MID + i], w[Y + i] + w[SPENT + i]
            xa = x + w[SOLD + i]
            xb = xa + w[SWAPPED + i]
            inverse = 1.0 / (x * xa * xb)
            product = x * y * x * inverse
            ya, yb = product * xb, product * xa
            spent += w[SPENT + i]
            to_sellers += y - ya
            to_root += ya - yb
            w[COINBASE + i] *= y * (xa * xb * inverse)
            w[SALE + i] = x * xa * x * inverse
            w[X_MID + i] = xb
            w[Y_MID + i] = yb
        for i in range(S):
            w[COINBASE + i] = math.log(w[COINBASE + i])
            w[SALE + i] = 2.0 * math.log(w[SALE + i])
        g[ISSUANCE] += spent
        g[FREE] += to_sellers
        g[ROOT] += to_root

    @jit
    def cross_halvings(w, root, emission):
        """Mean alpha emission of slots whose issuance crosses a halving in the step, and the emission after it."""
        for i in range(S):
            issuance, rate = w[MIDDLE + i] - root, w[RATE + i]
            price = w[Y + i] / w[X + i]
            tao = min(w[SHARE + i] * emission, root / w[MIDDLE + i] * rate * price)
            before = max(math.ceil((w[HALVING + i] - issuance) / (rate + tao / price)), 0.0)
            if before < K and w[STARTED + i] > 0.0:
                w[MINTED + i] = rate * (before + 0.5 * (K - before)) / K
                w[RATE + i] = 0.5 * rate
                w[HALVING + i] = 0.5 * (w[HALVING + i] + SUPPLY_CAP)

    @jit
    def trade(w, g, alpha):
        """Organic flow; sales end at the stake outside the book, buys at free TAO."""
        for i in range(S):
            w[HELD + i] = 0.0
        for j in range(POSITIONS):
            w[HELD + BOOK_SLOT[j]] = alpha[j]
        while True:
            cost, over = 0.0, 0.0
            for i in range(S):
                w[S1 + i] = math.exp(w[FLOW + i])
            for i in range(S):
                x, growth = w[X_MID + i], w[S1 + i]
                x_new = x / growth
                limit = x + SELLABLE_PART * max(w[STAKED + i] - max(w[HELD + i], c.stake_floor * (w[STAKED + i] + x)), 0.0)
                over = max(over, x_new - limit)
                y_new = w[Y_MID + i] * growth
                cost += y_new - w[Y_MID + i]
                w[X + i] = x_new
                w[Y + i] = y_new
            if over > 0.0:
                for i in range(S):
                    x = w[X_MID + i]
                    limit = x + SELLABLE_PART * max(w[STAKED + i] - max(w[HELD + i], c.stake_floor * (w[STAKED + i] + x)), 0.0)
                    if w[X + i] > limit:
                        growth = w[X_MID + i] / limit
                        cost += w[Y_MID + i] * growth - w[Y + i]
                        w[FLOW + i] = math.log(growth)
                        w[X + i] = limit
                        w[Y + i] = w[Y_MID + i] * growth
            free = max(g[FREE], 0.0)
            if cost <= free:
                break
            for i in range(S):
                w[FLOW + i] *= 0.99 * free / cost
        for i in range(S):
            w[STAKED + i] += w[X_MID + i] - w[X + i]
        g[FREE] -= cost

    @jit
    def average(w, step, fresh, count):
        """Moving prices over the step (MODEL 3.5)."""
        for i in range(5 * S):
            w[LOG_KEEP + i] = AGES[step, i]
        for j in range(count):
            i = fresh[j]
            if w[STARTED + i] > 0.0:
                age = step - int(w[STARTED_STEP + i])
                for factor in range(5):
                    w[LOG_KEEP + factor * S + i] = ENTRANT_AGES[age, factor]
        small = HUGE
        for i in range(S):
            w[SCALE + i] = 2.0 * w[FLOW + i] + w[SALE + i] + w[COINBASE + i] - w[LOG_KEEP + i]
            w[S0 + i] = math.exp(w[SCALE + i])
        for i in range(S):
            small = min(small, abs(w[SCALE + i]))
        for i in range(S):
            rate = w[SCALE + i] * (1.0 / K)
            # expm1 is no vector function here. The rate is below 1e-3; a total near 0 is for the series below.
            rate_growth = rate * (1.0 + rate * (0.5 + rate * (1.0 / 6.0 + rate * (1.0 / 24.0))))
            growth = w[S0 + i] - 1.0
            inverse = 1.0 / rate_growth
            s0 = growth * inverse
            w[S0 + i] = s0
            w[S1 + i] = (K * (growth + 1.0) - (rate_growth + 1.0) * s0) * inverse
        if small < 1e-4:
            for i in range(S):
                r = w[SCALE + i] / K
                if abs(w[SCALE + i]) < 1e-4:
                    w[S0 + i] = K * (1.0 + r * (0.5 * (K - 1.0) + r * (K - 1.0) * (2.0 * K - 1.0) / 12.0))
                    w[S1 + i] = 0.5 * K * (K - 1.0) * (1.0 + r * (2.0 * K - 1.0) / 3.0)
        for i in range(S):
            price = w[PRICE + i] * math.exp(w[COINBASE + i] * (1.0 / K))
            weighted = w[S0 + i] + w[TILT + i] * (w[S1 + i] - 0.5 * (K - 1.0) * w[S0 + i])
            effective = price * (weighted * w[DENOMINATOR + i])
            moved = w[KEEP + i] * w[M + i] + w[GAIN + i] * min(1.0, effective)
            w[M + i] = moved if w[STARTED + i] > 0.0 else w[M + i]

    # --- lifecycle ----------------------------------------------------------------------------------------------------------

    @jit
    def lock_cost(g, block):
        fall = g[LAST_LOCK] / math.floor(c.lock_interval * block_emission(g[ISSUANCE]))
        return max(2.0 * g[LAST_LOCK] - fall * (block - g[LAST_BLOCK]), c.lock_cost_min), fall

    @jit
    def run_clock(g, start, closing):
        """Blocks until the attempt, -1 if none comes."""
        cost, fall = lock_cost(g, start)
        blocks = closing - start
        willingness = c.willingness_median * math.exp(g[LOG_W])
        falling = min(max((cost - c.lock_cost_min) / fall, 0.0), blocks)
        if falling > 0.0:
            end_cost = max(cost - fall * falling, c.lock_cost_min)
            scale = c.hazard_per_block * willingness / fall
            power = (willingness / cost) ** EXCESS_ELASTICITY
            whole = scale * ((willingness / end_cost) ** EXCESS_ELASTICITY - power) / EXCESS_ELASTICITY
            if g[CLOCK] <= whole:
                base = power + g[CLOCK] * EXCESS_ELASTICITY / scale
                return min((cost - willingness * base ** (-1.0 / EXCESS_ELASTICITY)) / fall, falling)
            g[CLOCK] -= whole
        flat = blocks - falling
        if flat > 0.0:
            rate = c.hazard_per_block * (willingness / max(cost - fall * blocks, c.lock_cost_min)) ** c.elasticity
            if g[CLOCK] <= rate * flat:
                return falling + g[CLOCK] / rate
            g[CLOCK] -= rate * flat
        return -1.0

    @jit
    def attempt(w, g, rng, block, alpha, fresh, count, prices):
        """Prunes the lowest moving price past immunity and puts an entrant into its slot; the number of fresh slots."""
        cost, _ = lock_cost(g, block)
        slot, lowest, oldest = -1, HUGE, HUGE
        for i in range(S):
            if w[REGISTERED + i] + c.immunity <= block:
                m, registered = w[M + i], w[REGISTERED + i]
                if m < lowest or (m == lowest and registered < oldest):
                    slot, lowest, oldest = i, m, registered
        if slot < 0 or cost > g[FREE]:
            return count
        is_listed = False
        for j in range(count):
            is_listed |= fresh[j] == slot
        dissolve(w, g, slot, alpha)
        g[MOVING_PRICE_SUM] += lowest
        if oldest <= c.start_block:
            w[DEREGISTERED + slot] = 1.0
        if not is_listed:
            fresh[count] = slot
            count += 1
        others = 0
        for i in range(S):
            if i != slot:
                prices[others] = w[Y + i] / w[X + i]
                others += 1
        prices.sort()
        median = prices[others // 2]
        if others % 2 == 0:
            median = 0.5 * (prices[others // 2 - 1] + median)
        settle(w, g, rng, slot, block, cost, median)
        return count

    @jit
    def dissolve(w, g, slot, alpha):
        weights = w[STAKED + slot] + w[PROTOCOL + slot]
        if w[REGISTERED + slot] > c.refund_block:
            weights += w[X + slot]
        payout = w[Y + slot] / weights if weights > 0.0 else 0.0
        g[FREE] += payout * w[STAKED + slot]
        g[ISSUANCE] -= w[Y + slot] - payout * w[STAKED + slot]
        for j in range(POSITIONS):
            if BOOK_SLOT[j] == slot and alpha[j] > 0.0:
                g[CASH] += payout * alpha[j]
                g[SETTLED] += 1.0
                alpha[j] = 0.0

    @jit
    def settle(w, g, rng, slot, block, cost, median):
        lock = max(cost, c.lock_cost_min)
        g[FREE] -= cost
        g[ISSUANCE] -= cost - lock
        g[LAST_LOCK] = cost
        g[LAST_BLOCK] = block
        g[REGISTRATIONS] += 1.0
        g[LOCK_COST_SUM] += cost
        w[X + slot] = lock / median
        w[Y + slot] = lock
        w[STAKED + slot] = 0.0
        w[PROTOCOL + slot] = 0.0
        w[BURNED + slot] = 0.0
        w[UNCLAIMED + slot] = 0.0
        w[M + slot] = 0.0
        w[PAID + slot] = 0.0 if uniform(rng) <= c.burn_all else 1.0
        w[RATE + slot] = block_emission(lock / median)
        w[HALVING + slot] = next_halving(lock / median)
        w[STARTED + slot] = 0.0
        w[ENABLED + slot] = c.entrants_enabled
        w[REGISTERED + slot] = block
        loading = min(max(c.loading_mean + c.loading_sd * normal(rng), -LOADING_MAX), LOADING_MAX)
        w[LOG_SCALE + slot] = c.log_scale_median + c.scale_sd_log * normal(rng)
        w[LOADING + slot] = loading
        w[OWN_LOADING + slot] = math.sqrt(1.0 - loading * loading)
        w[FAST_H + slot] = c.volatility_sd_fast * normal(rng)
        w[SLOW_H + slot] = c.volatility_sd_slow * normal(rng)
        delay = max(c.start_delay * exponential(rng), c.start_call_delay)
        w[START_AT + slot] = HUGE if uniform(rng) <= c.never_start else block + delay
        w[ENABLE_AT + slot] = HUGE
        w[ENABLE_DELAY + slot] = c.enable_delay * exponential(rng)

    @jit
    def act(w, g, step, closing):
        """start_call and emission enabling act at the first step end after their block."""
        due = HUGE
        for i in range(S):
            due = min(due, min(w[START_AT + i], w[ENABLE_AT + i]))
        if due > closing:
            return
        for i in range(S):
            if w[START_AT + i] <= closing:
                if w[ENABLED + i] == 0.0:
                    w[ENABLE_AT + i] = w[START_AT + i] + w[ENABLE_DELAY + i]
                w[STARTED + i] = 1.0
                w[STARTED_STEP + i] = step + 1.0
                w[START_AT + i] = HUGE
                g[STARTS] += 1.0
            if w[ENABLE_AT + i] <= closing:
                w[ENABLED + i] = 1.0
                w[ENABLE_AT + i] = HUGE
                g[ENABLINGS] += 1.0

    # --- paths --------------------------------------------------------------------------------------------------------------

    @jit
    def open_path(w, g, rng, alpha, fresh):
        """The snapshot, and what it does not tell drawn; the number of slots that are or will be of an age of their own."""
        for i in range(16 * S):
            w[i] = GIVEN[i]
        draw_normals(w, rng)
        for i in range(S):
            w[FAST_H + i] = c.volatility_sd_fast * w[N + i]
            w[SLOW_H + i] = c.volatility_sd_slow * w[N + S + i]
            w[START_AT + i] = HUGE
            w[ENABLE_AT + i] = HUGE
            w[DEREGISTERED + i] = 0.0
        for i in WAITING:
            w[ENABLE_DELAY + i] = c.enable_delay * exponential(rng)
            if w[STARTED + i] > 0.0:
                w[ENABLE_AT + i] = c.start_block + w[ENABLE_DELAY + i]
            elif uniform(rng) > c.never_start_incumbent:
                w[START_AT + i] = c.start_block + c.start_delay * exponential(rng)
        g[:] = 0.0
        g[ISSUANCE] = c.issuance_tao
        g[ROOT] = c.root_stake_tao
        g[FREE] = c.free_tao
        g[USD] = c.tao_usd
        g[LOG_W] = c.log_willingness
        g[CLOCK] = exponential(rng)
        g[LAST_LOCK] = c.last_lock_tao
        g[LAST_BLOCK] = c.last_lock_block
        g[PEAK] = OPENING
        alpha[:] = BOOK_ALPHA
        fresh[: len(IDLE)] = IDLE
        return len(IDLE)

    @jit
    def mark(w, g, alpha):
        value = g[CASH]
        for j in range(POSITIONS):
            value += alpha[j] * w[Y + BOOK_SLOT[j]] / w[X + BOOK_SLOT[j]]
        return value

    @jit
    def simulate_path(w, g, rng, alpha, fresh, prices):
        count, threshold = open_path(w, g, rng, alpha, fresh), 1.0 / S
        for step in range(STEPS):
            opening = c.start_block + step * K
            factor, jump = advance_outside(rng, g)
            draw_flows(w, rng, step, factor, jump, fresh, count)
            price_sum, threshold = shares(w, threshold)
            coinbase(w, g, price_sum > 1.0)
            for j in range(POSITIONS):
                staked = w[HELD + BOOK_SLOT[j]]
                w[S0 + j] = BOOK_KEEP[j] * w[VALIDATOR + BOOK_SLOT[j]] / staked if staked > 0.0 else 0.0
            trade(w, g, alpha)
            for j in range(POSITIONS):
                alpha[j] *= 1.0 + w[S0 + j]
            average(w, step, fresh, count)
            closing = opening + K
            start = max(g[LAST_BLOCK] + c.rate_limit, opening)
            if start < closing:
                blocks = run_clock(g, start, closing)
                if blocks >= 0.0:
                    block = min(start + max(math.ceil(blocks), 1.0), closing)
                    count = attempt(w, g, rng, block, alpha, fresh, count, prices)
                    g[CLOCK] = exponential(rng)
            act(w, g, step, closing)
            value = mark(w, g, alpha)
            g[PEAK] = max(g[PEAK], value)
            g[DRAWDOWN] = max(g[DRAWDOWN], 1.0 - value / g[PEAK])

    @jit
    def record(w, g, alpha, column, deregistered, price, moving_price, share):
        value, liquidation = mark(w, g, alpha), g[CASH]
        for j in range(POSITIONS):
            net = alpha[j] * (1.0 - c.fee_rate)
            liquidation += w[Y + BOOK_SLOT[j]] * (net / (w[X + BOOK_SLOT[j]] + net))
        column[0] = value - OPENING
        column[1] = liquidation - OPENING
        column[2] = value * g[USD] - OPENING * c.tao_usd
        column[3:] = g[DRAWDOWN : DRAWDOWN + 7]
        for i in range(S):
            deregistered[i] = w[DEREGISTERED + i]
            price[i] = w[Y + i] / w[X + i]
            moving_price[i] = w[M + i]
            share[i] = w[SHARE + i]

    @njit(parallel=True, fastmath=True, error_model="numpy")
    def simulate(seed, columns, slots):
        paths = columns.shape[0]
        for block in prange((paths + BLOCK_PATHS - 1) // BLOCK_PATHS):
            w, g, prices = np.empty(SIZE), np.empty(GLOBALS), np.empty(S - 1)
            alpha, fresh = np.empty(POSITIONS), np.empty(S, np.int64)
            rng = np.empty(1, np.uint64)
            for path in range(block * BLOCK_PATHS, min(paths, (block + 1) * BLOCK_PATHS)):
                reseed(rng, seed, path)
                simulate_path(w, g, rng, alpha, fresh, prices)
                record(w, g, alpha, columns[path], slots[0, path], slots[1, path], slots[2, path], slots[3, path])

    return simulate


# Figures of a path; those from DRAWDOWN on are reported as they are.
ISSUANCE, ROOT, FREE, USD, LOG_W, CLOCK, LAST_LOCK, LAST_BLOCK, PEAK, CASH = range(10)
DRAWDOWN, SETTLED, REGISTRATIONS, STARTS, ENABLINGS, LOCK_COST_SUM, MOVING_PRICE_SUM = range(10, 17)
GLOBALS = 17
