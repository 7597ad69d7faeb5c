//! The JSON documents that the program writes or prints, as data: keys and meanings.
//!
//! Rows of a table have the names of its columns and are not listed again.

/// One document.
#[derive(Debug, PartialEq, Eq)]
pub struct Document {
    /// File, or command that prints it.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    /// Keys as paths, and meanings.
    pub keys: &'static [(&'static str, &'static str)],
}

const SCENARIO_HASH: (&str, &str) = ("scenario_hash", "hash of the complete scenario (hexadecimal)");
const SEED: (&str, &str) = ("seed", "seed of all chance");
const SCHEMA: (&str, &str) = ("schema_version", "raised when a column is removed or redefined");

/// All documents.
pub static DOCUMENTS: &[Document] = &[
    Document {
        name: "manifest.json",
        what: "Everything that decides a run's results, and their hash; it exists only for a finished run",
        keys: &[
            ("version", "version of the program"),
            ("commit", "its commit, or unknown"),
            ("chain_commit", "commit of the chain whose rules are implemented"),
            SCHEMA,
            SCENARIO_HASH,
            ("scenario", "the complete scenario, defaults filled in, by section and key"),
            ("inputs", "SHA-256 of each input file (hexadecimal), by its role"),
            SEED,
            ("first_path", "first path"),
            ("end_path", "path after the last one"),
            ("result_hash", "hash of all results"),
            (
                "estimator",
                "the method that made them: plain, control, importance, sobol, stratified or antithetic; the scenario says so too, but \
                    for auto",
            ),
        ],
    },
    Document {
        name: "runtime.json",
        what: "How a run went on one machine; the only file that differs between repetitions",
        keys: &[
            ("started", "when it started (RFC 3339, UTC)"),
            ("elapsed_seconds", "wall time of the whole command (s)"),
            ("simulation_seconds", "wall time of the simulation (s)"),
            ("host", "name of the machine"),
            ("threads", "threads that simulated"),
            ("simd_backend", "vector instructions in use"),
            (
                "peak_memory_bytes",
                "largest resident memory of the process (bytes); null where the system does not tell",
            ),
            ("paths_per_second", "paths over simulation_seconds"),
            (
                "targets",
                "only with --target-error: of each target, as asked, value, ci_low and ci_high (95 % interval that holds at all \
                    looks; null where infinite) and is_met",
            ),
            (
                "figures_of_merit",
                "of each measure of the books at the last report day: book, measure, basis, currency, level, horizon_days as in summary.parquet, and \
                    figure_of_merit, 1 / (squared standard error x simulation seconds): what compares methods and machines",
            ),
        ],
    },
    Document {
        name: "summary.json",
        what: "The rows of summary.parquet, for readers without Parquet; what run, merge and summarize give with --json",
        keys: &[SCHEMA, SCENARIO_HASH, SEED, ("rows", "columns of summary.parquet")],
    },
    Document {
        name: "taorisk replay --json",
        what: "The story of one path",
        keys: &[
            SCHEMA,
            SCENARIO_HASH,
            SEED,
            ("path", "path index"),
            ("blocks_per_step", "blocks of a step"),
            (
                "books",
                "of each book name, opening_tao (mark value at the start) and worst_days: end_day, opening_tao and loss_tao of \
                    the day, and of its positions netuid, loss_tao, deregistered",
            ),
            ("horizons", "columns of paths.parquet, by book and report horizon"),
            (
                "steps",
                "of each step step, days, block, tao_usd; organic_flow_tao (by organic flows and buybacks into the pools, net), \
                    chain_spending_tao (by the chain into them), emission_sales_tao (paid by them for emission sold); books \
                    (columns of paths.parquet up to the step)",
            ),
            (
                "events",
                "columns of events.parquet, and step, price (spot, TAO per alpha), rank_from_lowest (by moving price, from 1), \
                    subnets (then), settlements: book, alpha, mark_tao, paid_tao",
            ),
            ("shocks", "shock (its number in the scenario) and block, of shocks that begin"),
            ("states", "columns of samples.parquet"),
            ("blocks", "columns of blocks.parquet"),
        ],
    },
    Document {
        name: "taorisk converge --json",
        what: "Results at several step lengths",
        keys: &[SCENARIO_HASH, SEED, ("rows", "columns of convergence")],
    },
    Document {
        name: "taorisk attribute --json",
        what: "Parts of the drivers in a book's losses",
        keys: &[
            SCENARIO_HASH,
            SEED,
            ("absent", "drivers that the scenario gives nothing to do"),
            ("rows", "columns of drivers"),
        ],
    },
    Document {
        name: "taorisk sensitivity --json",
        what: "What moves a book's losses",
        keys: &[SCENARIO_HASH, SEED, ("rows", "columns of sensitivity")],
    },
    Document {
        name: "taorisk stress --json",
        what: "Stress scenarios against their base",
        keys: &[
            SCENARIO_HASH,
            SEED,
            ("scenarios[].name", "name of a scenario that was run"),
            ("scenarios[].description", "what happens in it; empty where its text does not say"),
            ("scenarios[].scenario_hash", "hash of the scenario laid over the base (hexadecimal)"),
            ("scenarios[].notes", "what is to be known of its results"),
            ("left_out[].name", "name of a scenario of the library that does not go with the base"),
            ("left_out[].reason", "why it was refused"),
            ("rows", "columns of stress"),
        ],
    },
    Document {
        name: "taorisk sweep --json",
        what: "Measures over values of keys",
        keys: &[SCENARIO_HASH, SEED, ("rows", "columns of sweep")],
    },
    Document {
        name: "taorisk reverse --json",
        what: "The most likely shock that makes a loss; losses are fractions of the book's opening value at spot",
        keys: &[
            SCENARIO_HASH,
            SEED,
            ("book", "name of the book"),
            ("horizon_days", "days from the start"),
            ("window_days", "days over which the shock spreads"),
            ("currency", "TAO or USD"),
            ("basis", "mark or liquidation"),
            ("paths", "paths of every figure"),
            ("loss", "mean loss asked for"),
            ("common_factor_sd", "shift of the common factor's sum over the window (standard deviations)"),
            ("tao_usd_sd", "shift of log TAO/USD over the window (standard deviations)"),
            ("tao_usd_change", "the same as a relative change"),
            ("jumps[].name", "a jump that comes with it"),
            ("jumps[].probability", "probability of at least one such jump over the window"),
            ("distance", "Mahalanobis distance of both shifts"),
            ("distance_with_jumps", "square root of its square less twice the logs of the jumps' probabilities"),
            ("probability", "probability to be so far or farther on that side, times the jumps'"),
            ("probability_any_direction", "the same in any direction"),
            ("loss_probability", "probability of that loss or more without the shock"),
            ("loss_probability_interval", "its 95 % interval: lower and upper end"),
            ("base_loss", "mean loss without the shock"),
            ("base_loss_standard_error", "its standard error"),
            ("found_loss", "mean loss with it"),
            ("found_loss_standard_error", "its standard error"),
            ("fresh_loss", "mean loss with it on fresh chance"),
            ("fresh_loss_standard_error", "its standard error"),
            ("positions[].name", "a position"),
            ("positions[].added_loss", "what it loses more than without the shock, on the same chance"),
            ("positions[].added_loss_standard_error", "its standard error"),
            ("overlay", "the shock as the text of an overlay"),
        ],
    },
    Document {
        name: "taorisk rare --json",
        what: "Probabilities of rare deregistrations, by splitting",
        keys: &[
            SCENARIO_HASH,
            SEED,
            ("horizon_days", "days from the start"),
            ("particles", "particles of each level and replication"),
            ("replications", "independent repetitions, from whose spread errors are taken"),
            ("subnets[].netuid", "a subnet"),
            ("subnets[].name", "its name"),
            ("subnets[].probability", "probability that it is deregistered by the horizon"),
            ("subnets[].standard_error", "its standard error; null where nothing was reached"),
            ("subnets[].ci_low", "lower end of its 95 % interval"),
            ("subnets[].ci_high", "upper end of its 95 % interval"),
            (
                "subnets[].is_bound",
                "whether these are of the last level, which is not yet the deregistration: an upper bound",
            ),
            ("subnets[].subnet_steps", "work: steps of subnets, the search for levels included"),
            (
                "subnets[].plain_subnet_steps",
                "steps that plain paths take for the same standard error; null where nothing was reached",
            ),
            ("subnets[].gain", "their ratio"),
            (
                "subnets[].levels[].nearness",
                "how near the subnet is to its deregistration, in standard deviations, negative; null at the deregistration",
            ),
            ("subnets[].levels[].share", "part of the particles that reached it from the level before"),
            ("subnets[].levels[].share_standard_error", "its standard error over replications"),
        ],
    },
    Document {
        name: "taorisk liquidity --json",
        what: "What leaving costs, and how large the book may be",
        keys: &[
            SCENARIO_HASH,
            SEED,
            ("capacity[].exit_days", "days that the exit takes"),
            ("capacity[].limit", "largest cost (fraction)"),
            ("capacity[].verdict", "found, below_smallest or above_largest of the sizes tried"),
            ("capacity[].size", "largest multiple of the book at that cost; null unless found"),
            ("capacity[].ci_low", "lower end of its 95 % interval"),
            ("capacity[].ci_high", "upper end of its 95 % interval"),
            ("capacity[].opening_tao", "the multiple at the opening (TAO)"),
            ("rows", "columns of liquidity"),
        ],
    },
    Document {
        name: "taorisk allocate --json",
        what: "Weights and what they lose",
        keys: &[SCENARIO_HASH, SEED, ("currency", "TAO or USD"), ("rows", "columns of allocation")],
    },
    Document {
        name: "taorisk backtest --json",
        what: "Scores of forecasts",
        keys: &[
            ("inputs_hash", "hash of scenario and history (hexadecimal)"),
            SEED,
            ("starts", "days (UTC) from which was forecast"),
            ("scores", "columns of scores.parquet"),
        ],
    },
    Document {
        name: "taorisk calibrate --json",
        what: "Estimates from a history",
        keys: &[
            ("parameters[].key", "key of the parameter"),
            ("parameters[].estimate", "its estimate, after shrinkage where the method says so"),
            ("parameters[].standard_error", "its standard error"),
            ("parameters[].default", "the value before"),
            ("parameters[].z_to_default", "their difference in standard errors"),
            ("parameters[].method", "how it was estimated"),
            ("parameters[].used", "whether the parameter file has it"),
            ("correlation", "correlations of the parameters used, in the order of the parameter file, row by row"),
            (
                "provenance",
                "as the table of that name in the parameter file: program, inputs with their hashes, flows, rows, days, \
                    subnets, seed, simulations, notes",
            ),
        ],
    },
    Document {
        name: "taorisk yuma --json",
        what: "One epoch of consensus; shares are fractions of their sum over uids",
        keys: &[
            ("rule", "rule of the bonds"),
            ("kappa", "part of stake that must agree on a weight"),
            ("uids[].uid", "index of the neuron"),
            ("uids[].permit", "whether it may set weights that count"),
            ("uids[].stake", "stake weight"),
            ("uids[].consensus", "weight that enough stake agrees on"),
            ("uids[].incentive", "share of the miners' emission"),
            ("uids[].validator_trust", "part of its weights within consensus"),
            ("uids[].dividend", "share of the validators' emission"),
            ("uids[].server_emission", "part of the emission received as a miner"),
            ("uids[].validator_emission", "part of the emission received as a validator"),
            ("clipped_weights", "weights clipped to consensus, a row per validator"),
            ("bonds_u16", "bonds after the epoch, in parts of 65,535, a row per validator"),
        ],
    },
    Document {
        name: "taorisk yuma --law --json",
        what: "The law of ln v, v a validator's dividends against the average by stake; figures have value and standard_error",
        keys: &[
            ("simulated", SIMULATED),
            ("spread_sd_log", "standard deviation between validators"),
            ("noise_sd_log", "stationary standard deviation in time"),
            ("noise_half_life_days", "half-life of that (days)"),
            ("observer_dividend", "mean v of validators that see today's quality; null where the sets have none"),
            ("laggard_dividend", "mean v of those that see that of some days ago; null likewise"),
            ("copier_dividend", "mean v of those that copy; null likewise"),
        ],
    },
    Document {
        name: "taorisk yuma --collusion --json",
        what: "What a group gains that gives all of its weight to its own miner; figures have value and standard_error",
        keys: &[
            ("simulated", SIMULATED),
            ("members", "validators of the group"),
            ("honest_weight", "part of their weight that the others give its miner"),
            ("cartels[].stake_fraction", "the group's part of the stake"),
            ("cartels[].incentive_share", "share of its miner in what miners earn"),
            ("cartels[].cartel_dividend", "its dividends against the average by stake"),
            ("cartels[].honest_dividend", "those of all others"),
        ],
    },
    Document {
        name: "taorisk ingest --json",
        what: "Where the cells of a snapshot or positions file come from",
        keys: &[
            ("kind", "snapshot or positions"),
            ("files[].file", "name of a file that was read"),
            ("files[].form", "its form"),
            ("files[].records", "number of its records"),
            ("files[].unused_fields", "its fields that no column is read from"),
            ("rows", "number of rows of the table"),
            ("block", "block of a snapshot; null for positions"),
            ("columns[].column", "column of the table; the rest are numbers of its rows"),
            ("columns[].from_files", "from the files, as they stand there"),
            ("columns[].from_files_rao", "from the files, and converted from rao"),
            ("columns[].derived", "computed from other columns"),
            ("columns[].from_base", "from the other snapshot"),
            ("columns[].from_constant", "the mapping's constant"),
            ("columns[].empty", "from nowhere"),
            ("dropped", "number of records and cells that are not in the table, by reason"),
            ("remarks", "what a reader should look at"),
        ],
    },
];

const SIMULATED: &str =
    "what was simulated: rule, kappa, sets, epochs, validators, miners, noise, copiers, laggards, lag_days, seed";

#[cfg(test)]
pub(crate) mod check {
    use super::DOCUMENTS;
    use serde_json::Value;
    use std::collections::BTreeSet;

    /// Panics unless the keys of `text` are those that the list has of the document `name`.
    pub(crate) fn assert_documented(name: &str, text: &str) {
        let document = DOCUMENTS.iter().find(|document| document.name == name).expect(name);
        let listed: BTreeSet<String> = document.keys.iter().map(|(key, _)| (*key).to_owned()).collect();
        let mut found = BTreeSet::new();
        collect(&serde_json::from_str(text).expect("JSON"), "", &listed, &mut found);
        assert_eq!(found, listed, "{name}");
    }

    /// Paths of the leaves; a path that is listed is one, whatever it holds.
    fn collect(value: &Value, path: &str, listed: &BTreeSet<String>, found: &mut BTreeSet<String>) {
        match value {
            _ if listed.contains(path) => drop(found.insert(path.to_owned())),
            Value::Object(map) => {
                let dot = if path.is_empty() { "" } else { "." };
                map.iter().for_each(|(key, value)| collect(value, &format!("{path}{dot}{key}"), listed, found));
            }
            Value::Array(items) if items.first().is_some_and(Value::is_object) => {
                items.iter().for_each(|item| collect(item, &format!("{path}[]"), listed, found));
            }
            _ => drop(found.insert(path.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check::assert_documented;
    use super::*;
    use crate::calibration::backtest::Forecasts;
    use crate::output::allocation;
    use crate::output::backtest;
    use crate::output::convergence::ConvergenceRow;
    use crate::output::drivers;
    use crate::output::epoch::EpochDocument;
    use crate::output::epoch::UidOutcome;
    use crate::output::liquidity;
    use crate::output::manifest::Manifest;
    use crate::output::manifest::Runtime;
    use crate::output::manifest::TargetReached;
    use crate::output::parquet::Identity;
    use crate::output::rare;
    use crate::output::rare::RareLevel;
    use crate::output::rare::RareResult;
    use crate::output::rare::RareSubnet;
    use crate::output::replay::StoryDocument;
    use crate::output::reverse;
    use crate::output::reverse::ReverseJump;
    use crate::output::reverse::ReversePosition;
    use crate::output::reverse::ReverseResult;
    use crate::output::sensitivity::SensitivityRow;
    use crate::output::stress;
    use crate::output::summary;
    use crate::output::sweep::SweepRow;
    use crate::output::table_file;
    use crate::output::validators;
    use crate::output::validators::CartelFigures;
    use crate::output::validators::CollusionDocument;
    use crate::output::validators::FittedFigure;
    use crate::output::validators::LawDocument;
    use crate::output::validators::SetsDescription;
    use crate::output::writer::Labels;
    use crate::risk::replay::Replay;
    use std::collections::BTreeMap;
    use std::collections::BTreeSet;

    fn identity() -> Identity {
        Identity { scenario_hash: "ab".to_owned(), seed: 7 }
    }

    #[test]
    fn documents_and_keys_are_distinct_and_explained() {
        let names: BTreeSet<_> = DOCUMENTS.iter().map(|document| document.name).collect();
        assert_eq!(names.len(), DOCUMENTS.len());
        for Document { name, what, keys } in DOCUMENTS {
            let distinct: BTreeSet<_> = keys.iter().map(|(key, _)| key).collect();
            assert_eq!(distinct.len(), keys.len(), "{name}");
            let says = |text: &str| text.len() > 3 && !text.ends_with('.') && !text.contains('|');
            assert!(says(what) && keys.iter().all(|(_, meaning)| says(meaning)), "{name}");
        }
    }

    #[test]
    fn files_of_a_run_have_the_keys_of_the_list() {
        let text = String::new;
        let manifest = Manifest {
            version: text(),
            commit: text(),
            chain_commit: text(),
            schema_version: 1,
            scenario_hash: text(),
            scenario: serde_json::json!({ "run": { "seed": 1 } }),
            inputs: BTreeMap::from([("snapshot".to_owned(), text())]),
            seed: 1,
            first_path: 0,
            end_path: 1,
            result_hash: text(),
            estimator: Some(text()),
        };
        assert_documented("manifest.json", &serde_json::to_string(&manifest).unwrap());
        let reached = TargetReached { target: text(), value: None, ci_low: None, ci_high: None, is_met: false };
        let runtime = Runtime {
            started: text(),
            elapsed_seconds: 1.0,
            simulation_seconds: 1.0,
            host: text(),
            threads: 1,
            simd_backend: text(),
            peak_memory_bytes: None,
            paths_per_second: 1.0,
            targets: vec![reached],
            figures_of_merit: Vec::new(),
        };
        assert_documented("runtime.json", &serde_json::to_string(&runtime).unwrap());
        assert_documented("summary.json", &summary::summary_json(&identity(), &[]));
    }

    #[test]
    fn tables_have_the_keys_of_the_list() {
        let identity = identity();
        assert_documented("taorisk converge --json", &table_file::json::<ConvergenceRow>(&identity, &[]));
        assert_documented("taorisk attribute --json", &drivers::json(&identity, &[], &[]));
        assert_documented("taorisk sensitivity --json", &table_file::json::<SensitivityRow>(&identity, &[]));
        assert_documented("taorisk sweep --json", &table_file::json::<SweepRow>(&identity, &[]));
        assert_documented("taorisk allocate --json", &allocation::json(&identity, "TAO", &[]));
        assert_documented("taorisk backtest --json", &backtest::json(&identity, &Forecasts::default(), &[]));
        let run = stress::StressScenario {
            name: String::new(),
            description: String::new(),
            scenario_hash: String::new(),
            notes: Vec::new(),
        };
        let left_out = stress::LeftOut { name: String::new(), reason: String::new() };
        assert_documented("taorisk stress --json", &stress::json(&identity, &[run], &[left_out], &[]));
        let capacity = liquidity::CapacityRow {
            exit_days: 1.0,
            limit: 0.1,
            verdict: "found",
            size: Some(1.0),
            ci_low: None,
            ci_high: None,
            opening_tao: None,
        };
        assert_documented("taorisk liquidity --json", &liquidity::json(&identity, &[capacity], &[]));
    }

    #[test]
    fn stories_and_shocks_have_the_keys_of_the_list() {
        let identity = identity();
        let labels = Labels { books: Vec::new(), horizons_days: Vec::new() };
        let replay = Replay::default();
        let story = StoryDocument {
            identity: &identity,
            labels: &labels,
            path: 1,
            blocks_per_step: 7_200,
            replay: &replay,
            blocks: &[],
            worst_days: 3,
        };
        assert_documented("taorisk replay --json", &story.to_json());
        let result = ReverseResult {
            book: String::new(),
            horizon_days: 90.0,
            window_days: 10.0,
            currency: "TAO",
            basis: "mark",
            paths: 1,
            loss: 0.5,
            common_factor_sd: -2.0,
            tao_usd_sd: 0.0,
            tao_usd_change: 0.0,
            jumps: vec![ReverseJump { name: String::new(), probability: 0.1 }],
            distance: 2.0,
            distance_with_jumps: 3.0,
            probability: 0.1,
            probability_any_direction: 0.2,
            loss_probability: 0.1,
            loss_probability_interval: [0.0, 0.2],
            base_loss: 0.1,
            base_loss_standard_error: 0.1,
            found_loss: 0.5,
            found_loss_standard_error: 0.1,
            fresh_loss: 0.5,
            fresh_loss_standard_error: 0.1,
            positions: vec![ReversePosition { name: String::new(), added_loss: 0.1, added_loss_standard_error: 0.1 }],
            overlay: String::new(),
        };
        assert_documented("taorisk reverse --json", &reverse::json(&identity, &result));
    }

    #[test]
    fn rare_deregistrations_have_the_keys_of_the_list() {
        let subnet = RareSubnet {
            netuid: 1,
            name: String::new(),
            probability: 0.0,
            standard_error: f64::INFINITY,
            ci_low: 0.0,
            ci_high: 1.0,
            is_bound: false,
            subnet_steps: 1.0,
            plain_subnet_steps: f64::INFINITY,
            gain: f64::INFINITY,
            levels: vec![RareLevel { nearness: f64::INFINITY, share: 0.0, share_standard_error: 0.0 }],
        };
        let result = RareResult { horizon_days: 90.0, particles: 1, replications: 1, subnets: vec![subnet] };
        assert_documented("taorisk rare --json", &rare::json(&identity(), &result));
    }

    #[test]
    fn epochs_and_sets_have_the_keys_of_the_list() {
        let uid = UidOutcome {
            uid: 0,
            permit: true,
            stake: 1.0,
            consensus: 0.0,
            incentive: 0.0,
            validator_trust: 0.0,
            dividend: 0.0,
            server_emission: 0.0,
            validator_emission: 0.0,
        };
        let epoch = EpochDocument {
            rule: "",
            kappa: 0.5,
            uids: vec![uid],
            clipped_weights: vec![vec![0.0]],
            bonds_u16: vec![vec![0]],
        };
        assert_documented("taorisk yuma --json", &epoch.to_json());
        let simulated = SetsDescription {
            rule: "",
            kappa: 0.5,
            sets: 1,
            epochs: 1,
            validators: 1,
            miners: 1,
            noise: 0.0,
            copiers: 0.0,
            laggards: 0.0,
            lag_days: 0.0,
            seed: 1,
        };
        let object = serde_json::to_value(&simulated).unwrap();
        assert!(object.as_object().unwrap().keys().all(|key| SIMULATED.contains(key.as_str())), "{object}");
        let figure = FittedFigure { value: 1.0, standard_error: 0.1 };
        let law = LawDocument {
            simulated: simulated.clone(),
            spread_sd_log: figure,
            noise_sd_log: figure,
            noise_half_life_days: figure,
            observer_dividend: Some(figure),
            laggard_dividend: None,
            copier_dividend: None,
        };
        assert_documented("taorisk yuma --law --json", &validators::to_json(&law));
        let cartel = CartelFigures {
            stake_fraction: 0.4,
            incentive_share: figure,
            cartel_dividend: figure,
            honest_dividend: figure,
        };
        let collusion = CollusionDocument { simulated, members: 3, honest_weight: 0.0, cartels: vec![cartel] };
        assert_documented("taorisk yuma --collusion --json", &validators::to_json(&collusion));
    }
}
