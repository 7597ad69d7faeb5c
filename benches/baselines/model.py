"""The model of `src/model` and `src/protocol` in numbers: parameters of a scenario, its snapshot, and constants of one step.

All baselines read their numbers from here, and here they come from the program itself: `taorisk check` prints the complete
scenario. Amounts are in TAO and alpha tokens, times in blocks where no unit is named.

Not modelled, and refused: rules other than today's (E2H, J5, R4, A2, D2, S2) and switches between them, pool weights other than
1/2 (the program takes the same short cut where all are), validators other than the average, several books, free slots, steps of
one block.
"""

import csv
import math
import subprocess
import tomllib
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
BLOCKS_PER_DAY = 7_200
SUPPLY_CAP = 21e6
SELLABLE_PART = 0.999
LOADING_MAX = 0.8
RULES = {
    "share_rule": "E2H",
    "injection_rule": "J5",
    "root_rule": "R4",
    "pool_rule": "A2",
    "dissolve_rule": "D2",
    "seed_rule": "S2",
}


class Constants(NamedTuple):
    """Numbers that no path changes; names as in `configs/base.toml`, rates and moments over one step of `blocks` blocks."""

    blocks: float
    steps: int
    start_block: float
    # Flow (`FlowStep`).
    drift: float
    root_days: float
    volatility_sd_fast: float
    volatility_sd_slow: float
    persistence_fast: float
    persistence_slow: float
    innovation_fast: float
    innovation_slow: float
    log_volatility_shift: float
    log_volatility_cap: float
    size_exponent: float
    age_exponent: float
    log_reference: float
    reserve_floor: float
    age_floor: float
    flow_cap: float
    stake_floor: float
    inverse_loading_mean: float
    jump_rate: float
    jump_up: float
    jump_up_mean: float
    jump_down_mean: float
    jump_mean: float
    common_rate: float
    common_up: float
    common_up_mean: float
    common_down_mean: float
    common_mean: float
    log_scale_median: float
    scale_sd_log: float
    loading_mean: float
    loading_sd: float
    # TAO/USD and willingness to pay (`OutsideStep`).
    usd_drift: float
    usd_volatility: float
    correlation: float
    own_correlation: float
    usd_jump_rate: float
    usd_jump_mean: float
    usd_jump_sd: float
    willingness_persistence: float
    willingness_innovation: float
    willingness_median: float
    log_willingness: float
    # Registrations and entrants.
    hazard_per_block: float
    elasticity: float
    never_start: float
    never_start_incumbent: float
    start_delay: float
    enable_delay: float
    burn_all: float
    # Rules.
    gate_rank: int
    gate_exponent: int
    tao_weight: float
    owner_cut: float
    fee_rate: float
    lock_cost_min: float
    lock_interval: float
    rate_limit: float
    immunity: float
    start_call_delay: float
    entrants_enabled: float
    refund_block: float
    # Sales (`EmissionSales`).
    owner_sale: float
    miner_sale: float
    validator_sale: float
    root_swap: float
    claim_of_stock: float
    claim_of_new: float
    # Start.
    issuance_tao: float
    root_stake_tao: float
    free_tao: float
    tao_usd: float
    last_lock_tao: float
    last_lock_block: float


class Start(NamedTuple):
    """The state of every slot at a path's start, the book, and the age factors of the moving price."""

    reserve_alpha: np.ndarray
    reserve_tao: np.ndarray
    staked: np.ndarray
    protocol: np.ndarray
    burned: np.ndarray
    unclaimed: np.ndarray
    moving_price: np.ndarray
    miner_burned: np.ndarray
    alpha_emission: np.ndarray
    halving_issuance: np.ndarray
    started: np.ndarray
    enabled: np.ndarray
    registered_at: np.ndarray
    # Of each position: slot, alpha, part of dividends that the validator leaves.
    book_slot: np.ndarray
    book_alpha: np.ndarray
    book_keep: np.ndarray
    # log_keep, keep, gain, tilt, inverse denominator: of incumbents by step and slot, of others by steps since start_call.
    age_incumbent: np.ndarray
    age_entrant: np.ndarray


class Model(NamedTuple):
    constants: Constants
    start: Start
    netuids: np.ndarray


class Result(NamedTuple):
    """Outcomes of the paths at the horizon; arrays over paths, or over paths and slots."""

    pnl_mark_tao: np.ndarray
    pnl_liquidation_tao: np.ndarray
    pnl_mark_usd: np.ndarray
    max_drawdown: np.ndarray
    deregistered_holdings: np.ndarray
    registrations: np.ndarray
    starts: np.ndarray
    enablings: np.ndarray
    lock_cost_sum: np.ndarray
    moving_price_sum: np.ndarray  # of the deregistered, when they were
    deregistered: np.ndarray  # incumbents, by slot
    price: np.ndarray
    moving_price: np.ndarray
    share: np.ndarray


def complete_scenario(program, scenario):
    """The complete form of a scenario file, as the program prints it."""
    done = subprocess.run([program, "check", "--quiet", scenario], check=True, stdout=subprocess.PIPE)
    return tomllib.loads(done.stdout.decode())


def load(program, scenario):
    """The model of a scenario file."""
    return build(complete_scenario(program, scenario), Path(scenario).parent)


def build(full, folder):
    """The model of a complete scenario; its paths are relative to `folder`."""
    protocol = full["protocol"]
    for key, rule in RULES.items():
        require(protocol[key] == rule, f"{key} = {protocol[key]}, only {rule} is written here")
    require(not full["switches"], "switches of rules are not written here")
    validators = full["validators"]
    require(
        validators["spread_sd_log"] == validators["noise_sd_log"] == 0.0 and validators["dividend_factor"] == 1.0,
        "validators other than the average are not written here",
    )
    rows = read_csv(full["input"]["snapshot"], folder, "snapshot-2026-09-30.csv")
    rows.sort(key=lambda row: int(row["netuid"]))
    require(len(rows) == protocol["subnet_limit"], f"{len(rows)} subnets under a limit of {protocol['subnet_limit']}")
    slots = start_slots(rows, full)
    c = constants(full, slots["reserve_tao"].sum())
    ages = age_tables(c, slots.pop("first_emission"), protocol)
    book = read_book(read_csv(full["input"]["positions"], folder, "sample-book.csv"), rows, full["input"]["default_take"])
    netuids = np.array([int(row["netuid"]) for row in rows])
    return Model(c, Start(**slots, **book, **ages), netuids)


def require(condition, problem):
    if not condition:
        raise SystemExit(problem)


def read_csv(name, folder, embedded):
    path = ROOT / "configs" / embedded if name == "embedded" else folder / name
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def block_emission(issuance):
    """Emission per block at an issuance: 1, halved as often as the issuance has passed a halving."""
    halvings = np.floor(np.log2(np.floor(SUPPLY_CAP / (SUPPLY_CAP - issuance))))
    return np.floor(1e9 * 0.5**halvings) * 1e-9


def next_halving(issuance):
    halvings = np.floor(np.log2(np.floor(SUPPLY_CAP / (SUPPLY_CAP - issuance))))
    return SUPPLY_CAP * (1.0 - 0.5 ** (halvings + 1.0))


def start_slots(rows, full):
    """`config/start.rs`: the snapshot, completed by what it does not show."""
    column = lambda name: np.array([float(row[name]) for row in rows])
    x, y, price = column("alpha_in"), column("tao_in"), column("price")
    require(np.all(np.abs(price * x / y - 1.0) <= 1e-9), "pool weights other than 1/2 are not written here")
    staked, protocol, burned = map(column, ("alpha_staked_by_wallets", "alpha_protocol_owned", "alpha_burned"))
    registered, block = column("registration_block"), float(full["chain"]["block"])
    outside = staked + protocol + burned
    started = outside > 0.0
    delay = np.where(registered < 7_366_000, 50_401, 7_201)
    earliest = np.where(registered > 8_400_000, block - np.round(outside), 0.0)
    first = np.minimum(np.maximum(registered + delay, earliest), block)
    moving_price = np.where(started, np.minimum(price, 1.0), 0.0)
    issuance = x + outside
    unclaimed = np.zeros(len(rows))
    if moving_price.sum() > 1.0:
        weighted_root = full["protocol"]["tao_weight"] * full["chain"]["root_stake_tao"]
        root = weighted_root / (weighted_root + issuance)
        rate = block_emission(issuance) * (1.0 - full["protocol"]["owner_cut"]) * 0.5 * root
        delay_blocks = full["sales"]["root_claim_delay_days"] * BLOCKS_PER_DAY
        unclaimed = np.where(started, np.minimum(rate * delay_blocks, 0.5 * staked), 0.0)
    return dict(
        reserve_alpha=x,
        reserve_tao=y,
        staked=staked - unclaimed,
        protocol=protocol,
        burned=burned,
        unclaimed=unclaimed,
        moving_price=moving_price,
        miner_burned=column("miner_burned_fraction"),
        alpha_emission=block_emission(issuance),
        halving_issuance=next_halving(issuance),
        started=started.astype(float),
        enabled=column("emission_enabled"),
        registered_at=registered,
        first_emission=np.where(started, first, np.inf),
    )


def read_book(positions, rows, default_take):
    by_netuid = {int(row["netuid"]): (slot, float(row["price"])) for slot, row in enumerate(rows)}
    positions = sorted(positions, key=lambda row: int(row["netuid"]))
    slots, prices = zip(*(by_netuid[int(row["netuid"])] for row in positions))
    values = np.array([float(row["value_tao"]) for row in positions])
    keep = np.full(len(positions), 1.0 - default_take)
    return dict(book_slot=np.array(slots), book_alpha=values / np.array(prices), book_keep=keep)


def age_tables(c, first_emission, protocol):
    """Factors of the moving price over each step, of incumbents and of subnets started on the path."""
    blocks = c.start_block + c.blocks * np.arange(c.steps)
    ages = np.maximum(blocks[:, None] - (first_emission - 2.0), 1.0)
    since_start = 1.0 + c.blocks * np.arange(c.steps + 1)
    return dict(
        age_incumbent=age_factors(ages, c.blocks, protocol),
        age_entrant=age_factors(since_start, c.blocks, protocol),
    )


def age_factors(first_age, k, protocol):
    """`AgeRule::factors`, MODEL 3.5; the factors come first, then the axes of `first_age`."""
    half_width = math.sqrt((k * k - 1.0) / 12.0)
    middle = first_age + 0.5 * (k - 1.0)
    smoothing, half_age = protocol["moving_price_smoothing"], protocol["moving_price_age_blocks"]
    low, high = (smoothing * (age / (age + half_age)) for age in (middle - half_width, middle + half_width))
    log_keep = 0.5 * k * (np.log1p(-low) + np.log1p(-high))
    gain = -np.expm1(log_keep)
    tilt = (high - low) / (half_width * (high + low))
    rate = -log_keep / k
    s0 = np.expm1(-log_keep) / np.expm1(rate)
    s1 = (k * np.exp(-log_keep) - np.exp(rate) * s0) / np.expm1(rate)
    small = np.abs(log_keep) < 1e-4
    s0 = np.where(small, k * (1.0 + rate * (k - 1.0) / 2.0), s0)
    s1 = np.where(small, 0.5 * k * (k - 1.0) * (1.0 + rate * (2.0 * k - 1.0) / 3.0), s1)
    denominator = s0 + tilt * (s1 - 0.5 * (k - 1.0) * s0)
    return np.stack([log_keep, 1.0 - gain, gain, tilt, 1.0 / denominator])


def jump_mean(jumps):
    up = jumps["up_probability"]
    return jumps["rate_per_day"] * (up * jumps["up_mean"] - (1.0 - up) * jumps["down_mean"])


def constants(full, pool_tao):
    """All of [`Constants`] from a complete scenario."""
    run, chain, flow, usd = full["run"], full["chain"], full["flow"], full["tao_usd"]
    protocol, sales, entrants, registration = (full[key] for key in ("protocol", "sales", "entrants", "registration"))
    k = float(run["blocks_per_step"])
    require(k > 1.0, "steps of one block are not written here")
    days = k / BLOCKS_PER_DAY
    fast, slow = flow["volatility_fast"], flow["volatility_slow"]
    persistence = [math.exp(-days * math.log(2.0) / part["half_life_days"]) for part in (fast, slow)]
    innovation = [part["sd_log"] * math.sqrt(1.0 - p * p) for part, p in zip((fast, slow), persistence)]
    usd_jump_growth = math.expm1(usd["jump_mean"] + 0.5 * usd["jump_sd"] ** 2)
    usd_drift = usd["drift_per_day"] - 0.5 * usd["volatility_per_sqrt_day"] ** 2
    willingness = math.exp(-days * math.log(2.0) / registration["willingness_half_life_days"])
    claim = -1.0 / (sales["root_claim_delay_days"] * BLOCKS_PER_DAY)
    claim_of_stock, per_block = -math.expm1(claim * k), -math.expm1(claim)
    return Constants(
        blocks=k,
        steps=round(run["horizon_days"] / days),
        start_block=float(chain["block"]),
        drift=flow["drift_per_day"] * days,
        root_days=math.sqrt(days),
        volatility_sd_fast=fast["sd_log"],
        volatility_sd_slow=slow["sd_log"],
        persistence_fast=persistence[0],
        persistence_slow=persistence[1],
        innovation_fast=innovation[0],
        innovation_slow=innovation[1],
        log_volatility_shift=0.5 * (fast["sd_log"] ** 2 + slow["sd_log"] ** 2),
        log_volatility_cap=math.log(flow["volatility_cap"]),
        size_exponent=flow["size_exponent"],
        age_exponent=flow["age_exponent"],
        log_reference=flow["size_exponent"] * math.log(5_000.0)
        + flow["age_exponent"] * math.log(200.0 * BLOCKS_PER_DAY),
        reserve_floor=flow["reserve_floor_tao"],
        age_floor=flow["age_floor_days"] * BLOCKS_PER_DAY,
        flow_cap=flow["flow_cap"],
        stake_floor=flow["stake_floor"],
        inverse_loading_mean=1.0 / flow["loading_mean"],
        jump_rate=flow["jumps"]["rate_per_day"] * days,
        jump_up=flow["jumps"]["up_probability"],
        jump_up_mean=flow["jumps"]["up_mean"],
        jump_down_mean=flow["jumps"]["down_mean"],
        jump_mean=jump_mean(flow["jumps"]) * days,
        common_rate=flow["common_jump"]["rate_per_day"] * days,
        common_up=flow["common_jump"]["up_probability"],
        common_up_mean=flow["common_jump"]["up_mean"],
        common_down_mean=flow["common_jump"]["down_mean"],
        common_mean=jump_mean(flow["common_jump"]) * days,
        log_scale_median=math.log(flow["scale_median"]),
        scale_sd_log=flow["scale_sd_log"],
        loading_mean=flow["loading_mean"],
        loading_sd=flow["loading_sd"],
        usd_drift=(usd_drift - usd["jump_rate_per_day"] * usd_jump_growth) * days,
        usd_volatility=usd["volatility_per_sqrt_day"] * math.sqrt(days),
        correlation=usd["correlation_with_flow"],
        own_correlation=math.sqrt(1.0 - usd["correlation_with_flow"] ** 2),
        usd_jump_rate=usd["jump_rate_per_day"] * days,
        usd_jump_mean=usd["jump_mean"],
        usd_jump_sd=usd["jump_sd"],
        willingness_persistence=willingness,
        willingness_innovation=registration["willingness_sd_log"] * math.sqrt(1.0 - willingness**2),
        willingness_median=registration["willingness_median_tao"],
        log_willingness=math.log(registration["willingness_start_tao"] / registration["willingness_median_tao"]),
        hazard_per_block=registration["hazard_per_day"] / BLOCKS_PER_DAY,
        elasticity=registration["elasticity"],
        never_start=entrants["never_start_probability"],
        never_start_incumbent=entrants["never_start_probability_incumbent"],
        start_delay=entrants["start_delay_mean_days"] * BLOCKS_PER_DAY,
        enable_delay=entrants["enable_delay_mean_days"] * BLOCKS_PER_DAY,
        burn_all=entrants["burn_all_probability"],
        gate_rank=protocol["hill_rank"],
        gate_exponent=protocol["hill_exponent"],
        tao_weight=protocol["tao_weight"],
        owner_cut=protocol["owner_cut"],
        fee_rate=protocol["fee_rate"],
        lock_cost_min=protocol["lock_cost_min_tao"],
        lock_interval=float(protocol["lock_reduction_interval_blocks"]),
        rate_limit=float(protocol["registration_rate_limit_blocks"]),
        immunity=float(protocol["immunity_period_blocks"]),
        start_call_delay=float(protocol["start_call_delay_blocks"]),
        entrants_enabled=float(protocol["entrants_enabled"]),
        refund_block=float(protocol["tao_in_refund_block"]),
        owner_sale=sales["owner"],
        miner_sale=sales["miner"],
        validator_sale=sales["validator"],
        root_swap=sales["root_swap_fraction"],
        claim_of_stock=claim_of_stock,
        claim_of_new=1.0 - (1.0 - per_block) * claim_of_stock / per_block / k,
        issuance_tao=chain["issuance_tao"],
        root_stake_tao=chain["root_stake_tao"],
        free_tao=chain["issuance_tao"] - pool_tao - chain["root_stake_tao"],
        tao_usd=chain["tao_usd"],
        last_lock_tao=chain["last_lock_tao"],
        last_lock_block=float(chain["last_lock_block"]),
    )
