//! The example books: their pages in the documentation are what the program prints.
//!
//! `UPDATE_GOLDEN=1` writes the pages anew.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use taorisk::config::scenario::Overrides;
use taorisk::config::scenario::Scenario;
use tempfile::TempDir;

const PAGE_FILE: &str = "src/portfolio/BOOKS.md";
const BOOKS: [&str; 4] = ["broad", "top-5", "near-prune-line", "revenue-subnet"];
const FENCE: &str = "```text\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What the command of a page prints; where the run's files go is not in it.
fn printed(book: &str) -> String {
    let directory = TempDir::new().expect("a temporary directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_taorisk"));
    let scenario = format!("configs/portfolios/{book}.toml");
    command.current_dir(root()).args(["run", &scenario, "--paths", "20000", "--quiet", "--out"]);
    let output = command.arg(directory.path().join("run")).output().expect("the program starts");
    assert!(output.status.success(), "{book}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Where in the pages the print of a book stands, from after its opening fence to its closing one.
fn place(pages: &str, book: &str) -> std::ops::Range<usize> {
    let command = format!("`taorisk run configs/portfolios/{book}.toml --paths 20000` prints");
    let after = pages.find(&command).unwrap_or_else(|| panic!("{PAGE_FILE} has no page of {book}")) + command.len();
    let start = after + pages[after..].find(FENCE).expect("a fenced page") + FENCE.len();
    start..start + pages[start..].find("```").expect("a closed fence")
}

#[test]
fn pages_are_what_the_program_prints() {
    let path = root().join(PAGE_FILE);
    let mut pages = fs::read_to_string(&path).expect("the pages");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    for book in BOOKS {
        let (found, place) = (printed(book), place(&pages, book));
        if update {
            pages.replace_range(place, &found);
        } else {
            assert!(found == pages[place.clone()], "{book} prints\n{found}\nand {PAGE_FILE} says\n{}", &pages[place]);
        }
    }
    if update {
        fs::write(&path, pages).expect("the pages, written");
    }
}

fn scenario(file: &str) -> Scenario {
    Scenario::load(Some(&root().join("configs").join(file)), &Overrides::default())
        .expect("a scenario that is accepted")
}

#[test]
fn books_are_what_their_descriptions_say() {
    let opening = |scenario: &Scenario| -> Vec<(u16, f64, f64)> {
        let value = |position: &taorisk::portfolio::position::Position| {
            let subnet =
                scenario.start.subnets.iter().find(|subnet| subnet.netuid == position.netuid).expect("a subnet");
            let pool = taorisk::protocol::pool::Pool::from(subnet);
            (position.netuid.0, position.alpha * pool.spot_price(), pool.reserve_tao)
        };
        scenario.books[0].positions.iter().map(value).collect()
    };
    let total = |held: &[(u16, f64, f64)]| held.iter().map(|(_, value, _)| value).sum::<f64>();
    let of = |book: &str| opening(&scenario(&format!("portfolios/{book}.toml")));
    let broad = of("broad");
    assert!(broad.len() == 30 && (total(&broad) - 3_000.0).abs() < 5.0);
    assert!(broad.iter().all(|(_, value, pool)| value / pool < 0.005), "{broad:?}");
    let top = of("top-5");
    assert!(top.len() == 5 && (total(&top) - 2_000.0).abs() < 1e-6);
    let low = of("near-prune-line");
    assert!(low.len() == 12 && low.iter().all(|(_, value, pool)| (value / pool - 0.02).abs() < 0.002), "{low:?}");
    assert_eq!(of("revenue-subnet").iter().map(|(netuid, ..)| *netuid).collect::<Vec<_>>(), [93]);
    let (book, alone) = (scenario("portfolios/revenue-subnet.toml"), scenario("scenarios/revenue-subnet.toml"));
    assert_eq!(book.model.revenue, alone.model.revenue, "the book's customers are those of the scenario");
}

/// Old subnets in order of moving price: the book is the first twelve; the five of the other book lead by emission.
#[test]
fn small_caps_are_those_nearest_to_the_prune_line() {
    let scenario = scenario("portfolios/near-prune-line.toml");
    let start = &scenario.start;
    let is_old = |registered_at: u64| start.block - registered_at > scenario.protocol.immunity_period_blocks;
    let mut old: Vec<_> = start.subnets.iter().filter(|s| s.is_started() && is_old(s.registered_at)).collect();
    old.sort_by(|a, b| a.moving_price.total_cmp(&b.moving_price));
    let mut nearest: Vec<_> = old[..12].iter().map(|subnet| subnet.netuid).collect();
    nearest.sort();
    let held: Vec<_> = scenario.books[0].positions.iter().map(|position| position.netuid).collect();
    assert_eq!(held, nearest);
}
