"""The model in NumPy: whole-array operations over paths x slots, in blocks of paths, large enough that calls cost little.

One process per core. Operations write into preallocated scratch (`out=`); what few slots have (jumps, entrants, events) is done
by index. Normals are ziggurat draws of SFC64; ranks come from `np.partition`.
"""

import multiprocessing
import time

import numpy as np

from model import LOADING_MAX, SELLABLE_PART, SUPPLY_CAP, Result, block_emission, next_halving

BLOCK_PATHS = 256


class Runner:
    """Runs paths of a model on `threads` cores."""

    def __init__(self, model, threads):
        self.pool = multiprocessing.get_context("spawn").Pool(threads, initialize, (model,))
        self.threads, self.cpu = threads, 0.0

    def run(self, paths, seed):
        blocks = max(self.threads, -(-paths // BLOCK_PATHS))
        blocks = -(-blocks // self.threads) * self.threads
        sizes = [(i + 1) * paths // blocks - i * paths // blocks for i in range(blocks)]
        seeds = np.random.SeedSequence(seed).spawn(blocks)
        work = [(size, seed) for size, seed in zip(sizes, seeds) if size > 0]
        parts, cpu = zip(*self.pool.starmap(run_block, work, chunksize=1))
        self.cpu += sum(cpu)
        return Result(*(np.concatenate(part) for part in zip(*parts)))

    def cpu_seconds(self):
        return self.cpu

    def close(self):
        self.pool.terminate()


def initialize(model):
    global MODEL
    MODEL = model


def run_block(paths, seed):
    start = time.process_time()
    block = Block(MODEL, paths, np.random.Generator(np.random.SFC64(seed)))
    for step in range(MODEL.constants.steps):
        block.advance(step)
    return tuple(block.result()), time.process_time() - start


class Block:
    """State of some paths, and one step forward. Arrays are over paths, or over paths and slots."""

    def __init__(self, model, paths, rng):
        self.c, self.s, self.rng = model.constants, model.start, rng
        c, s = self.c, self.s
        shape = self.shape = (paths, len(s.reserve_tao))
        spread = lambda row: np.tile(row, (paths, 1))
        self.x, self.y, self.staked = spread(s.reserve_alpha), spread(s.reserve_tao), spread(s.staked)
        self.protocol, self.burned, self.unclaimed = spread(s.protocol), spread(s.burned), spread(s.unclaimed)
        self.moving_price = spread(s.moving_price)
        self.paid_part = spread(1.0 - np.minimum(s.miner_burned, 1.0))
        self.rate, self.halving = spread(s.alpha_emission), spread(s.halving_issuance)
        self.started, self.enabled = spread(s.started), spread(s.enabled)
        self.registered_at = spread(s.registered_at)
        self.log_scale = np.full(shape, c.log_scale_median)
        self.loading = np.full(shape, c.loading_mean)
        self.own_loading = np.full(shape, np.sqrt(1.0 - c.loading_mean**2))
        self.fast = c.volatility_sd_fast * rng.standard_normal(shape)
        self.slow = c.volatility_sd_slow * rng.standard_normal(shape)
        self.entrant = np.zeros(shape, bool)
        self.started_here = np.zeros(shape, bool)
        self.started_step = np.zeros(shape, int)
        self.settle_incumbents()
        whole = lambda value: np.full(paths, value)
        self.issuance, self.root_stake, self.free = map(whole, (c.issuance_tao, c.root_stake_tao, c.free_tao))
        self.last_lock, self.last_block = whole(c.last_lock_tao), whole(c.last_lock_block)
        self.usd, self.log_willingness = whole(c.tao_usd), whole(c.log_willingness)
        self.clock = rng.standard_exponential(paths)
        self.open_book()
        count = lambda: np.zeros(paths)
        self.registrations, self.starts, self.enablings = count(), count(), count()
        self.lock_cost_sum, self.moving_price_sum = count(), count()
        self.deregistered = np.zeros(shape, bool)
        self.scratch = np.empty((14, *shape))

    def settle_incumbents(self):
        """When those not started or not enabled will be: delays run from the path's start."""
        c, s, rng = self.c, self.s, self.rng
        self.start_block, self.enable_block, self.enable_delay = np.full((3, *self.shape), np.inf)
        waits = np.flatnonzero((s.started == 0.0) | (s.enabled == 0.0))
        size = (self.shape[0], len(waits))
        start = c.start_block + c.start_delay * rng.standard_exponential(size)
        starts = (s.started[waits] == 0.0) & (rng.random(size) >= c.never_start_incumbent)
        self.enable_delay[:, waits] = c.enable_delay * rng.standard_exponential(size)
        self.start_block[:, waits] = np.where(starts, start, np.inf)
        enables = s.started[waits] > 0.0
        self.enable_block[:, waits] = np.where(enables, c.start_block + self.enable_delay[:, waits], np.inf)

    def open_book(self):
        s, paths = self.s, self.shape[0]
        self.alpha = np.tile(s.book_alpha, (paths, 1))
        self.cash, self.drawdown, self.settled = np.zeros((3, paths))
        self.opening = self.mark()
        self.peak = self.opening.copy()

    def advance(self, step):
        """One step of K blocks."""
        opening = self.c.start_block + step * self.c.blocks
        flow = self.flows(opening, *self.outside())
        share, sell_flag = self.shares()
        coinbase = self.coinbase(share, sell_flag)
        price_open, coinbase_move, sale_move, x, y, dividend = coinbase
        self.trade(flow, x, y)
        self.average(step, price_open, coinbase_move, sale_move, flow)
        self.share = share
        self.alpha *= 1.0 + self.s.book_keep * dividend
        self.run_clock(opening)
        self.act(step, opening + self.c.blocks)
        self.mark_book()

    def outside(self):
        """TAO/USD, willingness to pay, common factor and common jump."""
        c, rng, paths = self.c, self.rng, self.shape[0]
        factor, own, shock = rng.standard_normal((3, paths))
        counts = rng.poisson(c.usd_jump_rate, paths)
        jumps = counts * c.usd_jump_mean + np.sqrt(counts) * c.usd_jump_sd * rng.standard_normal(paths)
        shocks = c.correlation * factor + c.own_correlation * own
        self.usd *= np.exp(c.usd_drift + c.usd_volatility * shocks + jumps)
        self.log_willingness *= c.willingness_persistence
        self.log_willingness += c.willingness_innovation * shock
        hit = np.repeat(np.arange(paths), rng.poisson(c.common_rate, paths))
        sizes = kou(rng, len(hit), c.common_up, c.common_up_mean, c.common_down_mean)
        return factor, np.bincount(hit, sizes, paths)

    def flows(self, opening, factor, common):
        """Organic flow of the step, before the limit of sales."""
        c, rng = self.c, self.rng
        flow, volatility, normal, scale, level = self.scratch[:5]
        for part, persistence, innovation in (
            (self.fast, c.persistence_fast, c.innovation_fast),
            (self.slow, c.persistence_slow, c.innovation_slow),
        ):
            rng.standard_normal(out=normal)
            normal *= innovation
            part *= persistence
            part += normal
        np.add(self.fast, self.slow, out=volatility)
        volatility -= c.log_volatility_shift
        np.minimum(volatility, c.log_volatility_cap, out=volatility)
        np.exp(volatility, out=volatility)
        if c.root_days != 1.0:
            volatility *= c.root_days
        rng.standard_normal(out=normal)
        normal *= self.own_loading
        np.multiply(self.loading, factor[:, None], out=flow)
        flow += normal
        flow *= volatility
        shared = (common - c.common_mean) * c.inverse_loading_mean
        np.multiply(self.loading, shared[:, None], out=normal)
        normal -= c.jump_mean
        flow += normal
        # A Poisson count over all slots, spread evenly, is a Poisson count in each.
        count = rng.poisson(c.jump_rate * flow.size)
        jumps = kou(rng, count, c.jump_up, c.jump_up_mean, c.jump_down_mean)
        np.add.at(flow.reshape(-1), rng.integers(0, flow.size, count), jumps)

        age = np.maximum(opening - self.s.registered_at, c.age_floor)
        np.subtract(self.log_scale, c.age_exponent * np.log(age) - c.log_reference, out=scale)
        new = np.flatnonzero(self.entrant)
        age = np.maximum(opening - self.registered_at.reshape(-1)[new], c.age_floor)
        scale.reshape(-1)[new] = self.log_scale.reshape(-1)[new] - c.age_exponent * np.log(age) + c.log_reference
        np.maximum(self.y, c.reserve_floor, out=level)
        np.log(level, out=level)
        level *= c.size_exponent
        scale -= level
        np.exp(scale, out=scale)
        flow *= scale
        flow += c.drift
        np.clip(flow, -c.flow_cap, c.flow_cap, out=flow)
        flow *= self.started
        return flow

    def shares(self):
        """Shares of the TAO emission (rule E2H), and whether root alpha is claimable."""
        share, raw, power = self.scratch[5:8]
        np.multiply(self.moving_price, self.started, out=share)
        price_sum = share.sum(1)
        np.multiply(share, self.paid_part, out=raw)
        total = raw.sum(1)
        none = total <= 0.0
        if none.any():
            raw[none], total[none] = share[none], np.where(price_sum[none] > 0.0, price_sum[none], 1.0)
        raw *= (1.0 / total)[:, None]
        rank = self.c.gate_rank
        threshold = np.partition(raw, -rank, axis=1)[:, -rank]
        few = threshold <= 0.0
        if few.any():
            least = np.where(raw[few] > 0.0, raw[few], np.inf).min(1)
            threshold[few] = np.where(np.isfinite(least), least, 0.0)
        np.copyto(power, raw)
        for _ in range(1, self.c.gate_exponent):
            power *= raw
        np.multiply(raw, power, out=share)
        power += np.where(threshold > 0.0, threshold, 1.0)[:, None] ** self.c.gate_exponent
        share /= power
        share *= self.enabled
        total = share.sum(1)
        none = total <= 0.0
        if none.any():
            share[none] = raw[none] * self.enabled[none]
            total[none] = np.maximum(share[none].sum(1), 1e-300)
        share *= (1.0 / total)[:, None]
        return share, price_sum > 1.0

    def coinbase(self, share, sell_flag):
        """Injection, chain buy, emission, sales and root claims; prices, log moves, reserves, dividends per held alpha."""
        c, k = self.c, self.c.blocks
        price, issuance, rate, tao, excess, work = self.scratch[6:12]
        root = (c.tao_weight * self.root_stake)[:, None]
        np.divide(self.y, self.x, out=price)
        np.add(self.x, self.staked, out=issuance)
        for part in (self.protocol, self.burned, self.unclaimed):
            issuance += part
        emission, parts = self.emission_parts()
        np.multiply(self.rate, self.started, out=rate)
        for at, mean in self.cross_halvings(share, emission, price, issuance, root):
            rate[at] = mean

        # t = min(E, rho ae p); the rest buys.
        np.add(issuance, root, out=tao)
        np.divide(root, tao, out=tao)
        tao *= rate
        tao *= price
        np.multiply(share, emission[:, None], out=excess)
        if parts is None:
            np.minimum(tao, excess, out=tao)
        else:
            second = share * (0.5 * emission)[:, None]
            capped = parts[0][:, None] * np.minimum(tao, excess) + parts[1][:, None] * np.minimum(tao, second)
            np.copyto(tao, capped)
            excess *= (parts[0] + 0.5 * parts[1])[:, None]
        excess -= tao
        tao *= k
        excess *= k
        np.divide(tao, price, out=work)
        issuance += root

        x, y = self.scratch[12:14]
        y_bought = np.add(self.y, excess, out=y)
        bought = np.multiply(self.x, excess, out=x)
        bought /= y_bought
        self.protocol += bought
        np.subtract(self.x, bought, out=x)
        x += work
        y += tao
        self.issuance += tao.sum(1) + excess.sum(1)

        # Issuance of the middle block; K rate is the alpha minted.
        rate *= k
        work += rate
        work *= 0.5 * (k + 1.0) / k
        issuance += work
        root_part = np.divide(root, issuance, out=issuance)
        server, root_alpha = np.multiply(rate, 0.5 * (1.0 - c.owner_cut), out=tao), root_part
        root_alpha *= server
        validator = np.subtract(server, root_alpha, out=excess)
        miner = np.multiply(server, self.paid_part, out=work)
        slots = self.s.book_slot
        staked = self.staked[:, slots]
        dividend = np.where(staked > 0.0, validator[:, slots] / np.where(staked > 0.0, staked, 1.0), 0.0)
        self.burned += server
        self.burned -= miner
        self.staked += miner
        self.staked += validator
        rate *= c.owner_cut
        self.staked += rate
        sold = np.multiply(validator, c.validator_sale, out=excess)
        miner *= c.miner_sale
        sold += miner
        rate *= c.owner_sale
        sold += rate
        self.staked -= sold

        # Root claims, of the stock and of what accrues in the step.
        accrued = root_alpha
        accrued *= sell_flag[:, None]
        claimed = np.multiply(self.unclaimed, c.claim_of_stock, out=work)
        self.unclaimed += accrued
        accrued *= c.claim_of_new
        claimed += accrued
        self.unclaimed -= claimed
        swapped = np.multiply(claimed, c.root_swap, out=accrued)
        claimed -= swapped
        self.staked += claimed

        # Sales of emission, then of root alpha, at a constant product.
        coinbase_move = np.divide(y, x, out=work)
        coinbase_move /= price
        np.log(coinbase_move, out=coinbase_move)
        product = np.multiply(x, y, out=tao)
        xa = np.add(x, sold, out=sold)
        xb = np.add(xa, swapped, out=swapped)
        ya = np.divide(product, xa, out=xa)
        paid = y.sum(1) - ya.sum(1)
        self.free += paid
        sale_move = np.divide(x, xb, out=rate)
        np.log(sale_move, out=sale_move)
        sale_move *= 2.0
        np.divide(product, xb, out=y)
        self.root_stake += ya.sum(1) - y.sum(1)
        np.copyto(x, xb)
        return price, coinbase_move, sale_move, x, y, dividend

    def emission_parts(self):
        """TAO block emission, and the parts of the step before and after a halving of it where some path has one."""
        emission, k = block_emission(self.issuance), self.c.blocks
        before = np.clip(np.ceil((next_halving(self.issuance) - self.issuance) / emission), 0.0, k)
        return emission, None if (before >= k).all() else (before / k, 1.0 - before / k)

    def cross_halvings(self, share, emission, price, issuance, root):
        """Mean alpha emission of slots whose issuance crosses a halving in the step, and the emission after it."""
        k = self.c.blocks
        near = issuance + 2.0 * k >= self.halving
        if not near.any():
            return []
        at = np.nonzero(near & (self.started > 0.0))
        rate, root, price = self.rate[at], root[at[0], 0], price[at]
        tao = np.minimum(share[at] * emission[at[0]], root / (root + issuance[at]) * rate * price)
        before = np.maximum(np.ceil((self.halving[at] - issuance[at]) / (rate + tao / price)), 0.0)
        crosses = before < k
        at, rate, before = tuple(i[crosses] for i in at), rate[crosses], before[crosses]
        self.rate[at] = 0.5 * rate
        self.halving[at] = 0.5 * (self.halving[at] + SUPPLY_CAP)
        return [(at, rate * (before + 0.5 * (k - before)) / k)]

    def trade(self, flow, x, y):
        """Organic flow through the pools; sales end at the stake outside the book, buys at free TAO."""
        limit, x_new, growth = self.scratch[1:4]
        slots = self.s.book_slot
        np.add(self.staked, x, out=limit)
        limit *= self.c.stake_floor
        limit[:, slots] = np.maximum(limit[:, slots], self.alpha)
        np.subtract(self.staked, limit, out=limit)
        np.maximum(limit, 0.0, out=limit)
        limit *= SELLABLE_PART
        limit += x
        while True:
            np.exp(flow, out=growth)
            np.divide(x, growth, out=x_new)
            over = np.greater(x_new, limit)
            if over.any():
                at = np.nonzero(over)
                growth[at] = x[at] / limit[at]
                flow[at] = np.log(growth[at])
                x_new[at] = limit[at]
            np.multiply(y, growth, out=self.y)
            cost = self.y.sum(1) - y.sum(1)
            free = np.maximum(self.free, 0.0)
            poor = cost > free
            if not poor.any():
                break
            flow[poor] *= (0.99 * free[poor] / cost[poor])[:, None]
        self.free -= cost
        self.staked += x
        self.staked -= x_new
        np.copyto(self.x, x_new)

    def average(self, step, price_open, coinbase, sale, flow):
        """Moving prices over the step; subnets started on the path have the age factors of their own age."""
        s = self.s
        new = np.flatnonzero(self.started_here)
        flat = lambda array: array.reshape(-1)[new]
        since = step - flat(self.started_step)
        own = self.moved(flat(self.moving_price), *map(flat, (price_open, coinbase, sale, flow)), s.age_entrant[:, since])
        moved = self.moved(self.moving_price, price_open, coinbase, sale, flow, s.age_incumbent[:, step], self.scratch)
        moved.reshape(-1)[new] = own
        np.copyto(self.moving_price, moved, where=self.started > 0.0)

    def moved(self, old, price_open, coinbase, sale, flow, age, scratch=None):
        """The average after the step: the spot price moves evenly in logs through it (MODEL 3.5)."""
        k = self.c.blocks
        log_keep, keep, gain, tilt, inverse_denominator = age
        total, growth, rate, s0 = (None,) * 4 if scratch is None else scratch[1:5]
        total = np.multiply(flow, 2.0, out=total)
        total += sale
        total += coinbase
        total -= log_keep
        rate = np.multiply(total, 1.0 / k, out=rate)
        small = np.abs(total) < 1e-4
        rate_growth = np.expm1(rate, out=rate)
        growth = np.expm1(total, out=growth)
        s0 = np.divide(growth, rate_growth, out=s0)
        # S1 = (K (growth + 1) - (rate_growth + 1) S0) / rate_growth, in place of growth.
        growth += 1.0
        growth *= k
        growth -= s0
        growth /= rate_growth
        growth -= s0
        if small.any():
            r = total[small] / k
            series = k * (1.0 + r * (0.5 * (k - 1.0) + r * (k - 1.0) * (2.0 * k - 1.0) / 12.0))
            s0[small] = series
            growth[small] = 0.5 * k * (k - 1.0) * (1.0 + r * (2.0 * k - 1.0) / 3.0)
        # S0 + t (S1 - J S0)
        growth *= tilt
        s0 *= 1.0 - 0.5 * (k - 1.0) * tilt
        s0 += growth
        s0 *= inverse_denominator
        s0 *= price_open
        s0 *= np.exp(np.multiply(coinbase, 1.0 / k, out=growth), out=growth)
        np.minimum(s0, 1.0, out=s0)
        s0 *= gain
        s0 += np.multiply(old, keep, out=growth)
        return s0

    def run_clock(self, opening):
        """Runs the registration clock through the step; attempts where it ends."""
        c, closing = self.c, opening + self.c.blocks
        start = np.maximum(self.last_block + c.rate_limit, opening)
        interval = np.floor(c.lock_interval * block_emission(self.issuance))
        fall = self.last_lock / interval
        cost_at = lambda block: np.maximum(2.0 * self.last_lock - fall * (block - self.last_block), c.lock_cost_min)
        cost, blocks = cost_at(start), np.maximum(closing - start, 0.0)
        falling = np.minimum(np.maximum((cost - c.lock_cost_min) / fall, 0.0), blocks)
        end_cost = np.maximum(cost - fall * falling, c.lock_cost_min)
        willingness = c.willingness_median * np.exp(self.log_willingness)
        scale, excess = c.hazard_per_block * willingness / fall, c.elasticity - 1.0
        power = (willingness / cost) ** excess
        hazard = scale * ((willingness / end_cost) ** excess - power) / excess
        floor_rate = c.hazard_per_block * (willingness / np.maximum(cost - fall * blocks, c.lock_cost_min)) ** c.elasticity
        in_fall = self.clock <= hazard
        left = self.clock - hazard
        at_cost = willingness * (power + self.clock * excess / scale) ** (-1.0 / excess)
        time = np.where(in_fall, np.minimum((cost - at_cost) / fall, falling), falling + left / floor_rate)
        flat = floor_rate * (blocks - falling)
        hit = (blocks > 0.0) & (in_fall | (left <= flat))
        self.clock = np.where(blocks > 0.0, left - flat, self.clock)
        paths = np.flatnonzero(hit)
        if len(paths) == 0:
            return
        block = np.minimum(start + np.maximum(np.ceil(time), 1.0), closing)
        self.clock[paths] = self.rng.standard_exponential(len(paths))
        self.register(paths, block[paths], cost_at(block)[paths])

    def register(self, paths, block, cost):
        """Prunes the lowest moving price past immunity and puts an entrant into its slot."""
        c, rng = self.c, self.rng
        registered = self.registered_at[paths]
        price = np.where(registered + c.immunity <= block[:, None], self.moving_price[paths], np.inf)
        lowest = price.min(1)
        can = np.isfinite(lowest) & (cost <= self.free[paths])
        slot = np.where(price == lowest[:, None], registered, np.inf).argmin(1)
        paths, block, cost, slot, lowest = (values[can] for values in (paths, block, cost, slot, lowest))
        at, count = (paths, slot), len(paths)
        if count == 0:
            return
        self.dissolve(at)
        spot = self.y[paths] / self.x[paths]
        spot[np.arange(count), slot] = np.inf
        others = spot.shape[1] - 1
        spot = np.partition(spot, (others // 2 - 1, others // 2), axis=1)
        upper, lower = spot[:, others // 2], spot[:, others // 2 - 1]
        median = upper if others % 2 else 0.5 * (lower + upper)
        self.registrations[paths] += 1.0
        self.lock_cost_sum[paths] += cost
        self.moving_price_sum[paths] += lowest
        self.deregistered[at] |= ~self.entrant[at]
        lock = np.maximum(cost, c.lock_cost_min)
        self.free[paths] -= cost
        self.issuance[paths] -= cost - lock
        self.last_lock[paths], self.last_block[paths] = cost, block
        self.y[at], self.x[at] = lock, lock / median
        for array in (self.staked, self.protocol, self.burned, self.unclaimed, self.moving_price, self.started):
            array[at] = 0.0
        self.rate[at], self.halving[at] = block_emission(self.x[at]), next_halving(self.x[at])
        self.enabled[at] = c.entrants_enabled
        self.registered_at[at], self.entrant[at], self.started_here[at] = block, True, False
        normals = rng.standard_normal((4, count))
        loading = np.clip(c.loading_mean + c.loading_sd * normals[1], -LOADING_MAX, LOADING_MAX)
        self.log_scale[at] = c.log_scale_median + c.scale_sd_log * normals[0]
        self.loading[at], self.own_loading[at] = loading, np.sqrt(1.0 - loading * loading)
        self.fast[at], self.slow[at] = c.volatility_sd_fast * normals[2], c.volatility_sd_slow * normals[3]
        uniforms = rng.random((2, count))
        self.paid_part[at] = np.where(uniforms[0] < c.burn_all, 0.0, 1.0)
        delay = np.maximum(c.start_delay * rng.standard_exponential(count), c.start_call_delay)
        self.start_block[at] = np.where(uniforms[1] >= c.never_start, block + delay, np.inf)
        self.enable_delay[at] = c.enable_delay * rng.standard_exponential(count)
        self.enable_block[at] = np.inf

    def dissolve(self, at):
        """Shares the pool's TAO out to stakers and the protocol; the book's holding becomes cash."""
        paths, slot = at
        pool = np.where(self.registered_at[at] > self.c.refund_block, self.x[at], 0.0)
        weights = self.staked[at] + self.protocol[at] + pool
        payout = np.where(weights > 0.0, self.y[at] / np.where(weights > 0.0, weights, 1.0), 0.0)
        self.free[paths] += payout * self.staked[at]
        self.issuance[paths] -= self.y[at] - payout * self.staked[at]
        held = (self.s.book_slot == slot[:, None]) & (self.alpha[paths] > 0.0)
        event, position = np.nonzero(held)
        owner = paths[event]
        self.cash[owner] += payout[event] * self.alpha[owner, position]
        self.settled[owner] += 1.0
        self.alpha[owner, position] = 0.0

    def act(self, step, closing):
        """start_call and emission enabling act at the first step end after their block."""
        at = np.nonzero(self.start_block <= closing)
        if len(at[0]):
            self.started[at], self.started_here[at], self.started_step[at] = 1.0, True, step + 1
            enable = self.start_block[at] + self.enable_delay[at]
            self.enable_block[at] = np.where(self.enabled[at] > 0.0, np.inf, enable)
            self.start_block[at] = np.inf
            np.add.at(self.starts, at[0], 1.0)
        at = np.nonzero(self.enable_block <= closing)
        if len(at[0]):
            self.enabled[at], self.enable_block[at] = 1.0, np.inf
            np.add.at(self.enablings, at[0], 1.0)

    def mark(self):
        slots = self.s.book_slot
        return self.cash + (self.alpha * (self.y[:, slots] / self.x[:, slots])).sum(1)

    def mark_book(self):
        value = self.mark()
        np.maximum(self.peak, value, out=self.peak)
        np.maximum(self.drawdown, 1.0 - value / self.peak, out=self.drawdown)

    def result(self):
        c, slots = self.c, self.s.book_slot
        mark = self.mark()
        net = self.alpha * (1.0 - c.fee_rate)
        liquidation = self.cash + (self.y[:, slots] * (net / (self.x[:, slots] + net))).sum(1)
        return Result(
            pnl_mark_tao=mark - self.opening,
            pnl_liquidation_tao=liquidation - self.opening,
            pnl_mark_usd=mark * self.usd - self.opening * c.tao_usd,
            max_drawdown=self.drawdown,
            deregistered_holdings=self.settled,
            registrations=self.registrations,
            starts=self.starts,
            enablings=self.enablings,
            lock_cost_sum=self.lock_cost_sum,
            moving_price_sum=self.moving_price_sum,
            deregistered=self.deregistered,
            price=self.y / self.x,
            moving_price=self.moving_price,
            share=self.share.copy(),
        )


def kou(rng, count, up, up_mean, down_mean):
    """Two-sided exponential jumps."""
    mean = np.where(rng.random(count) < up, up_mean, -down_mean)
    return mean * rng.standard_exponential(count)
