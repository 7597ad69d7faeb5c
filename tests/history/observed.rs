//! The observed chain: daily states of all subnets, the flows between them, and what is known of single subnets.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::str::FromStr;

use flate2::read::GzDecoder;
use taorisk::units::NetUid;

/// A subnet as seen at one block. Amounts in TAO and alpha tokens.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    pub netuid: NetUid,
    /// `NetworkRegisteredAt` (block).
    pub registered_at: u64,
    pub started: bool,
    pub reserve_tao: f64,
    pub reserve_alpha: f64,
    pub outstanding_alpha: f64,
    pub price: f64,
    pub moving_price: f64,
    /// TAO injected in the block.
    pub emission_tao: f64,
    /// Average of the flow of users (TAO per block); 0 before there was one.
    pub flow_average_tao: f64,
}

/// All subnets at one block, ascending by netuid.
#[derive(Clone, Debug)]
pub struct Day {
    pub block: u64,
    pub subnets: Vec<Observation>,
}

impl Day {
    pub fn find(&self, netuid: NetUid) -> Option<&Observation> {
        self.subnets.iter().find(|seen| seen.netuid == netuid)
    }
}

/// Net TAO that trades of all kinds brought into each pool since the row before, by slot; 0 where it is not known.
#[derive(Clone, Debug)]
pub struct Flows {
    pub block: u64,
    pub net_tao: Vec<f64>,
}

/// A registration that took the slot of a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Replacement {
    pub block: u64,
    pub netuid: NetUid,
}

/// Everything observed.
#[derive(Clone, Debug)]
pub struct History {
    pub days: Vec<Day>,
    pub flows: Vec<Flows>,
    /// In order of time.
    pub replacements: Vec<Replacement>,
    first_emission_blocks: BTreeMap<(u16, u64), u64>,
    root_stake: Vec<(u64, f64)>,
}

impl History {
    pub fn read() -> Self {
        let subnets: Vec<Vec<String>> = table("history_subnets.csv");
        let mut replacements: Vec<Replacement> = subnets
            .windows(2)
            .filter(|pair| pair[0][0] == pair[1][0])
            .map(|pair| Replacement { block: parse(&pair[1][1]), netuid: NetUid(parse(&pair[1][0])) })
            .collect();
        replacements.sort();
        let started = subnets.iter().filter(|row| !row[2].is_empty());
        let first_emission_blocks = started.map(|row| ((parse(&row[0]), parse(&row[1])), parse(&row[2]))).collect();
        let root_stake = table("history_root_stake.csv").iter().map(|row| (parse(&row[0]), parse(&row[1]))).collect();
        Self { days: days(), flows: flows(), replacements, first_emission_blocks, root_stake }
    }

    /// The day nearest to `block`.
    pub fn day_near(&self, block: u64) -> usize {
        let distance = |day: &usize| self.days[*day].block.abs_diff(block);
        (0..self.days.len()).min_by_key(distance).expect("there are days")
    }

    /// `FirstEmissionBlockNumber` of a subnet seen started.
    pub fn first_emission_block(&self, netuid: NetUid, registered_at: u64) -> u64 {
        self.first_emission_blocks[&(netuid.0, registered_at)]
    }

    /// TAO staked on root at `block`.
    pub fn root_stake_tao(&self, block: u64) -> f64 {
        let next = self.root_stake.partition_point(|(at, _)| *at < block).clamp(1, self.root_stake.len() - 1);
        let ((b0, r0), (b1, r1)) = (self.root_stake[next - 1], self.root_stake[next]);
        r0 + (r1 - r0) * (block as f64 - b0 as f64) / (b1 - b0) as f64
    }
}

fn days() -> Vec<Day> {
    let mut days: Vec<Day> = Vec::new();
    for row in table("history_observations.csv.gz") {
        let block = parse(&row[0]);
        if days.last().is_none_or(|day| day.block != block) {
            days.push(Day { block, subnets: Vec::new() });
        }
        let number = |column: usize| -> f64 { parse(&row[column]) };
        let seen = Observation {
            netuid: NetUid(parse(&row[1])),
            registered_at: parse(&row[2]),
            started: row[3] == "1",
            reserve_tao: number(4),
            reserve_alpha: number(5),
            outstanding_alpha: number(6),
            price: number(7),
            moving_price: number(8),
            emission_tao: number(9),
            flow_average_tao: number(10),
        };
        days.last_mut().expect("pushed above").subnets.push(seen);
    }
    days
}

fn flows() -> Vec<Flows> {
    let milli_tao = |text: &String| if text.is_empty() { 0.0 } else { parse::<f64>(text) / 1e3 };
    let row = |row: Vec<String>| Flows { block: parse(&row[0]), net_tao: row[1..].iter().map(milli_tao).collect() };
    table("history_flows.csv.gz").into_iter().map(row).collect()
}

/// Cells of a file of `tests/reference`, without its head.
fn table(name: &str) -> Vec<Vec<String>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name);
    let mut file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = String::new();
    if name.ends_with(".gz") {
        GzDecoder::new(file).read_to_string(&mut text).expect("the file is gzip of text");
    } else {
        file.read_to_string(&mut text).expect("the file is text");
    }
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

fn parse<T: FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}
