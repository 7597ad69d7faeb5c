//! The page's sections in order: headline, pictures with what they show, provenance.

use std::fmt::Write;

use crate::output::manifest::words_of_method;
use crate::output::number::decimals;
use crate::output::report::Column;
use crate::output::report::ExitCostLine;
use crate::output::report::Report;
use crate::output::report::StressLine;
use crate::output::report::credit;
use crate::output::report::outcomes::ExitAtOnce;
use crate::output::report::subnet_label;
use crate::output::report::tail;
use crate::output::report::text;
use crate::output::report::text::escaped;
use crate::output::report::text::estimate;
use crate::output::report::text::number;
use crate::output::report::text::percent;
use crate::risk::attribution::AttributionRow;
use crate::risk::attribution::PartKind;
use crate::risk::attribution::PartMeasure;
use crate::risk::estimate::Estimate;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;
use crate::risk::measure::Measure;

const SPOT_TAO: Column = (Basis::Mark, Currency::Tao);
/// Measures of stress scenarios that the table shows, and their titles.
const STRESS_MEASURES: [(&str, &str); 4] = [
    ("mean_loss", "Mean loss"),
    ("value_at_risk", "Value at risk"),
    ("expected_shortfall", "Expected shortfall"),
    ("deregistered_holdings", "Holdings deregistered"),
];

/// Sections and what links to them say.
const CONTENTS: [(&str, &str); 13] = [
    ("headline", "Losses"),
    ("horizons", "Horizons"),
    ("books", "Books"),
    ("distribution", "Distribution"),
    ("value", "Value"),
    ("prices", "Prices"),
    ("drawdown", "Drawdown"),
    ("components", "Holdings"),
    ("deregistration", "Deregistration"),
    ("exit", "Leaving"),
    ("stress", "Stress"),
    ("tail", "Worst futures"),
    ("reading", "How to read"),
];

/// Everything between the head and the scripts.
pub(super) fn content(report: &Report) -> String {
    let sections = [
        headline(report),
        horizons(report),
        books(report),
        distribution(report),
        value(report),
        prices(report),
        drawdown(report),
        components(report),
        credit::section(report),
        exit(report),
        stress(report),
        tail::section(report),
        reading(report),
    ];
    let body = sections.concat();
    format!("{}{}<main>\n{body}</main>\n{}", header(report), contents(&body), footer(report))
}

/// Links to the sections that are there.
fn contents(body: &str) -> String {
    let is_there = |(id, _): &&(&str, &str)| body.contains(&format!("<section id=\"{id}\">"));
    let link = |(id, name): &(&str, &str)| format!("<a href=\"#{id}\">{name}</a>\n");
    format!("<nav>\n{}</nav>\n", CONTENTS.iter().filter(is_there).map(link).collect::<String>())
}

/// A picture's place, and the two sentences that say what it shows.
pub(super) fn picture(id: &str, label: &str, sentences: &str) -> String {
    format!(
        "<div class=\"chart\" id=\"chart-{id}\" role=\"img\" aria-label=\"{label}\"></div>\n<p class=\"read\">{sentences}</p>\n"
    )
}

fn header(report: &Report) -> String {
    let manifest = &report.manifest;
    let block = manifest.scenario["chain"]["block"].as_f64().unwrap_or(f64::NAN);
    let last = report.last_horizon();
    let mut html = format!(
        "<header>\n<p class=\"kicker\">taorisk risk report</p>\n<h1>Book {}</h1>\n<p class=\"sub\">Scenario {} \u{b7} {} simulated \
         futures of {} from block {} \u{b7} seed {}</p>\n<div class=\"tiles\">\n",
        escaped(&report.book),
        escaped(report.scenario_name()),
        number((manifest.end_path - manifest.first_path) as f64, 0),
        text::days(last),
        number(block, 0),
        manifest.seed
    );
    let opening = report.opening(Basis::Mark, Currency::Tao);
    let usd = report.opening(Basis::Mark, Currency::Usd);
    html.push_str(&tile(
        "Value at spot today",
        &format!("{} TAO", number(opening, 0)),
        &format!(
            "{} USD; {} TAO if sold now",
            number(usd, 0),
            number(report.opening(Basis::Liquidation, Currency::Tao), 0)
        ),
    ));
    let level = report.levels().first().copied().unwrap_or(f64::NAN);
    let tails = [(Measure::ValueAtRisk, "Value at risk"), (Measure::ExpectedShortfall, "Expected shortfall")];
    for (measure, name) in tails {
        if let Some(found) = report.find(measure, Some(level), SPOT_TAO, last) {
            let share = format!("{} of the book, in {}, at spot", text::share(found.value / opening), text::days(last));
            html.push_str(&tile(&format!("{name} {}", text::level(level)), &text::plain(found, " TAO"), &share));
        }
    }
    if let Some(found) = report.find(Measure::LossProbability, None, SPOT_TAO, last) {
        let liquidated = report.find(Measure::LossProbability, None, (Basis::Liquidation, Currency::Tao), last);
        let liquidated =
            liquidated.map_or(String::new(), |p| format!("{} if sold then", text::plain(&p.scaled(100.0), " %")));
        html.push_str(&tile("Probability of a loss", &text::plain(&found.scaled(100.0), " %"), &liquidated));
    }
    html + "</div>\n" + &largest_part(report, last) + "</header>\n"
}

/// The holding that adds most to the expected shortfall, in a sentence.
fn largest_part(report: &Report, last: f64) -> String {
    let Some(part) = component_rows(report, last).first().copied() else { return String::new() };
    let name = part.id.map_or_else(|| escaped(&part.name), |id| escaped(&subnet_label(id, &part.name)));
    let share = text::share(part.share.unwrap_or(f64::NAN));
    let deregistered = report.find(Measure::DeregisteredHoldings, None, SPOT_TAO, last);
    let deregistered = deregistered.map_or(String::new(), |found| {
        let (found, all) = (text::plain(found, ""), report.holdings().len());
        format!(" On average {found} of {all} holdings are deregistered within {}.", text::days(last))
    });
    format!(
        "<p class=\"lead\">The largest part of the tail is <b>{name}</b>: {} of the expected shortfall{}.{deregistered}</p>\n",
        text::plain(&part.estimate, " TAO"),
        if share.is_empty() { share } else { format!(", {share}") }
    )
}

/// Components of expected shortfall of the positions, at spot in TAO.
pub(super) fn component_rows(report: &Report, last: f64) -> Vec<&AttributionRow> {
    let level = component_level(report);
    let is_component = |row: &&AttributionRow| {
        row.measure == PartMeasure::ComponentExpectedShortfall
            && (row.kind, row.level, row.horizon_days) == (PartKind::Position, level, last)
            && (row.basis, row.currency) == SPOT_TAO
    };
    let mut rows: Vec<&AttributionRow> = report.attribution.iter().filter(is_component).collect();
    rows.sort_by(|a, b| b.estimate.value.total_cmp(&a.estimate.value));
    rows
}

fn tile(label: &str, value: &str, note: &str) -> String {
    format!("<div class=\"tile\"><p>{label}</p><strong>{value}</strong><p>{note}</p></div>\n")
}

/// Measures of P&L with their levels and names.
fn pnl_measures(report: &Report) -> Vec<(Measure, Option<f64>, String)> {
    let mut measures = vec![
        (Measure::MeanPnl, None, "Mean P&amp;L".to_owned()),
        (Measure::SdPnl, None, "Standard deviation".to_owned()),
        (Measure::LossProbability, None, "Probability of a loss".to_owned()),
    ];
    for level in report.levels() {
        measures.push((Measure::ValueAtRisk, Some(level), format!("Value at risk {}", text::level(level))));
        measures.push((Measure::ExpectedShortfall, Some(level), format!("Expected shortfall {}", text::level(level))));
    }
    measures
}

fn basis_name(basis: Basis) -> &'static str {
    match basis {
        Basis::Mark => "at spot",
        Basis::Liquidation => "on liquidation",
        Basis::Exit => "on exit over days",
    }
}

fn headline(report: &Report) -> String {
    let last = report.last_horizon();
    let columns: Vec<Column> = [Currency::Tao, Currency::Usd]
        .into_iter()
        .flat_map(|c| report.bases().into_iter().map(move |b| (b, c)))
        .collect();
    let heads = columns.iter().map(|(basis, currency)| format!("{}, {}", currency.name(), basis_name(*basis)));
    let rows = pnl_measures(report).into_iter().map(|(measure, level, name)| {
        let cell = |column: &Column| {
            let found = report.find(measure, level, *column, last)?;
            Some(match measure {
                Measure::LossProbability => percent(found),
                _ => amount(found, found.value / report.opening(Basis::Mark, column.1)),
            })
        };
        (name, columns.iter().map(|column| cell(column).unwrap_or_default()).collect())
    });
    let table = table("Measure", heads, rows);
    format!(
        "<section id=\"headline\"><h2>What the book can lose in {}</h2>\n<p class=\"read\">Under each number stands its 95 % \
         confidence interval: how far the number itself may be off because the futures are finitely many. Value at risk and \
         expected shortfall are losses; percentages are of the opening value at spot.</p>\n{table}</section>\n",
        text::days(last)
    )
}

/// An amount, its interval and its share.
fn amount(found: &Estimate, share: f64) -> String {
    let share = text::share(share);
    let share = if share.is_empty() { share } else { format!(" <span class=\"part\">{share}</span>") };
    let shown = estimate(found, "");
    match shown.split_once("</span>") {
        Some((value, interval)) => format!("{value}</span>{share}{interval}"),
        None => shown,
    }
}

/// A table whose cells know their column's head, for narrow screens.
pub(super) fn table(
    corner: &str,
    heads: impl IntoIterator<Item = String>,
    rows: impl IntoIterator<Item = (String, Vec<String>)>,
) -> String {
    let heads: Vec<String> = heads.into_iter().collect();
    let mut html = format!("<table>\n<thead><tr><th scope=\"col\">{corner}</th>");
    heads.iter().for_each(|head| html.push_str(&format!("<th scope=\"col\">{head}</th>")));
    html.push_str("</tr></thead>\n<tbody>\n");
    for (label, cells) in rows {
        let _ = write!(html, "<tr><th scope=\"row\">{label}</th>");
        for (head, cell) in heads.iter().zip(cells) {
            let _ = write!(html, "<td data-head=\"{head}\">{cell}</td>");
        }
        html.push_str("</tr>\n");
    }
    html + "</tbody>\n</table>\n"
}

fn horizons(report: &Report) -> String {
    let days = report.horizons();
    let (Some(&level), true) = (report.levels().first(), days.len() > 1) else { return String::new() };
    let liquidation = (Basis::Liquidation, Currency::Tao);
    let figures = [
        (Measure::MeanPnl, None, SPOT_TAO, "Mean P&amp;L, TAO".to_owned()),
        (Measure::LossProbability, None, SPOT_TAO, "Probability of a loss".to_owned()),
        (Measure::ValueAtRisk, Some(level), SPOT_TAO, format!("VaR {}, TAO", text::level(level))),
        (Measure::ExpectedShortfall, Some(level), SPOT_TAO, format!("ES {}, TAO", text::level(level))),
        (
            Measure::ExpectedShortfall,
            Some(level),
            liquidation,
            format!("ES {} on liquidation, TAO", text::level(level)),
        ),
        (Measure::DeregisteredHoldings, None, SPOT_TAO, "Holdings deregistered".to_owned()),
    ];
    let rows = days.iter().map(|&horizon| {
        let cell = |(measure, level, column, _): &(Measure, Option<f64>, Column, String)| {
            let found = report.find(*measure, *level, *column, horizon);
            found.map_or(String::new(), |found| {
                if *measure == Measure::LossProbability { percent(found) } else { estimate(found, "") }
            })
        };
        (text::days(horizon), figures.iter().map(cell).collect())
    });
    let table = table("Horizon", figures.iter().map(|(.., name)| name.clone()), rows);
    format!(
        "<section id=\"horizons\"><h2>By horizon</h2>\n<p class=\"read\">At spot, unless it says otherwise.</p>\n{table}</section>\n"
    )
}

fn books(report: &Report) -> String {
    let books = Report::books(&report.summary);
    let (Some(&level), true) = (report.levels().first(), books.len() > 1) else { return String::new() };
    let last = report.last_horizon();
    let heads = [
        "Opening value, TAO".to_owned(),
        "Mean P&amp;L, TAO".to_owned(),
        "Probability of a loss".to_owned(),
        format!("VaR {}, TAO", text::level(level)),
        format!("ES {}, TAO", text::level(level)),
        format!("ES {} on liquidation, TAO", text::level(level)),
    ];
    let rows = books.iter().map(|&book| {
        let of = |measure, level, column, days| report.find_of(book, measure, level, column, days);
        let opening = of(Measure::OpeningValue, None, SPOT_TAO, 0.0).map_or(f64::NAN, |found| found.value);
        let tao = |measure, level, column| {
            of(measure, level, column, last).map_or(String::new(), |e| amount(e, e.value / opening))
        };
        let cells = vec![
            number(opening, 1),
            tao(Measure::MeanPnl, None, SPOT_TAO),
            of(Measure::LossProbability, None, SPOT_TAO, last).map_or(String::new(), percent),
            tao(Measure::ValueAtRisk, Some(level), SPOT_TAO),
            tao(Measure::ExpectedShortfall, Some(level), SPOT_TAO),
            tao(Measure::ExpectedShortfall, Some(level), (Basis::Liquidation, Currency::Tao)),
        ];
        let mark = if book == report.book { " <span class=\"part\">(this page)</span>" } else { "" };
        (escaped(book) + mark, cells)
    });
    let table = table("Book", heads, rows);
    format!(
        "<section id=\"books\"><h2>Books of this run</h2>\n<p class=\"read\">All books were simulated on the same futures, over {}. \
         The rest of this page is about one of them; <code>--book</code> chooses it.</p>\n{table}</section>\n",
        text::days(last)
    )
}

fn distribution(report: &Report) -> String {
    let Some(spot) = report.outcomes.distributions.first() else { return String::new() };
    let beyond = spot.above as f64 / spot.samples as f64;
    let sentences = format!(
        "Each bar counts the futures that end with so much profit or loss after {}; red bars lie beyond the value at risk of the \
         lowest level, and the lines mark value at risk and expected shortfall, whose intervals are in the table above. At spot in \
         TAO the best {} of futures end above the picture, up to {} TAO.",
        text::days(report.last_horizon()),
        text::share(beyond),
        number(spot.largest, 0)
    );
    let controls = "<div class=\"controls\" id=\"controls-distribution\"></div>\n";
    let picture = picture("distribution", "Distribution of profit and loss", &sentences);
    format!("<section id=\"distribution\"><h2>Distribution of profit and loss</h2>\n{controls}{picture}</section>\n")
}

fn value(report: &Report) -> String {
    let horizons: Vec<String> = report.horizons().iter().map(|days| format!("{days}")).collect();
    let sentences = format!(
        "Half of the futures end in the dark band and nine in ten in the light one; the line is the median, and the red lines are the \
         three worst futures day by day. The points of the bands are the report horizons, days 0 and {}: a run keeps no values of \
         books between them, and straight lines join them.",
        horizons.join(", ")
    );
    let picture = picture("value", "Value of the book over time", &sentences);
    format!("<section id=\"value\"><h2>Value of the book at spot, TAO</h2>\n{picture}</section>\n")
}

fn prices(report: &Report) -> String {
    if report.prices.is_empty() {
        return String::new();
    }
    let mut charts = String::new();
    for (index, fan) in report.prices.iter().enumerate() {
        let label = escaped(&subnet_label(fan.id, &fan.name));
        let _ = writeln!(
            charts,
            "<figure><figcaption>{label}</figcaption><div class=\"chart small\" id=\"chart-price-{index}\" role=\"img\" \
             aria-label=\"Price of {label}\"></div></figure>"
        );
    }
    format!(
        "<section id=\"prices\"><h2>Prices of the largest holdings, TAO per alpha</h2>\n<div class=\"grid\">\n{charts}</div>\n<p \
         class=\"read\">Bands hold 50 and 90 % of the futures in which the subnet is still registered, at the report horizons; \
         the line is their median. The thin lines are the first sampled futures step by step; one that ends early is a \
         deregistration.</p></section>\n"
    )
}

fn drawdown(report: &Report) -> String {
    let last = report.last_horizon();
    let mark = |measure, level| report.find(measure, level, SPOT_TAO, last);
    let mut facts = Vec::new();
    if let Some(found) = mark(Measure::MaxDrawdownMean, None) {
        facts.push(("Mean maximum drawdown".to_owned(), vec![percent(found)]));
    }
    for level in report.levels() {
        let named = [
            (Measure::DrawdownAtRisk, "Drawdown exceeded with probability"),
            (Measure::ConditionalDrawdownAtRisk, "Mean drawdown in the worst"),
        ];
        for (measure, name) in named {
            if let Some(found) = mark(measure, Some(level)) {
                facts.push((format!("{name} {}", text::level(1.0 - level)), vec![percent(found)]));
            }
        }
    }
    if let Some(found) = mark(Measure::TimeUnderWaterMean, None) {
        facts.push(("Mean longest time below a former peak".to_owned(), vec![estimate(found, " days")]));
    }
    let ruin = report
        .summary
        .iter()
        .find(|row| row.book == report.book && row.measure == Measure::ProbabilityOfRuin && row.horizon_days == last);
    if let Some(row) = ruin {
        let name =
            format!("Probability of ever losing {} of the opening value", text::level(row.level.unwrap_or(f64::NAN)));
        facts.push((name, vec![percent(&row.estimate)]));
    }
    let sentences = "The height of a line is the share of futures whose value at spot falls at least so far from an earlier peak before the \
                     horizon. The picture ends where fewer than one future in a thousand falls so far; the grey band is the 95 % interval at the last horizon.";
    format!(
        "<section id=\"drawdown\"><h2>Drawdown</h2>\n<div class=\"split\"><div>{}</div><div class=\"facts\">{}</div></div></section>\n",
        picture("drawdown", "Probability of drawdowns", sentences),
        table(&format!("Within {}", text::days(last)), ["Value".to_owned()], facts)
    )
}

/// The level of components shown: the lowest.
pub(super) fn component_level(report: &Report) -> Option<f64> {
    report.levels().first().copied()
}

fn components(report: &Report) -> String {
    let last = report.last_horizon();
    let Some(level) = component_level(report) else { return String::new() };
    let holdings = report.holdings();
    let book: f64 = report.opening(Basis::Mark, Currency::Tao);
    let parts = component_rows(report, last);
    if parts.is_empty() {
        return String::new();
    }
    let removed = |row: &AttributionRow| {
        let same = |other: &&AttributionRow| {
            other.measure == PartMeasure::RemoveExpectedShortfall && other.id == row.id && other.level == Some(level)
        };
        report.attribution.iter().find(same).map_or(String::new(), |row| estimate(&row.estimate, ""))
    };
    let rows = parts.iter().map(|row| {
        let opening = holdings.iter().find(|(id, ..)| Some(*id) == row.id).map_or(f64::NAN, |(.., value)| *value);
        let label = row.id.map_or_else(|| escaped(&row.name), |id| escaped(&subnet_label(id, &row.name)));
        let cells = vec![
            number(opening, 1),
            text::share(opening / book),
            estimate(&row.estimate, ""),
            text::share(row.share.unwrap_or(f64::NAN)),
            removed(row),
        ];
        (label, cells)
    });
    let heads = ["Opening, TAO", "Share of the book", "Component ES, TAO", "Share of ES", "ES without it, change, TAO"]
        .map(str::to_owned);
    let table = table("Holding", heads, rows);
    format!(
        "<section id=\"components\"><h2>What each holding adds to expected shortfall {}</h2>\n{}{table}{}</section>\n",
        text::level(level),
        picture(
            "components",
            "Components of expected shortfall",
            "A bar is what the holding loses on average in the worst futures of the book at spot, so that all bars add up to the \
             book's expected shortfall; whiskers are 95 % intervals. Strong red marks holdings whose share of the shortfall is \
             above their share of the book: they concentrate risk, and a negative bar hedges."
        ),
        candidates(report, level)
    )
}

/// What positions of another book would do to this one, where the scenario names candidates.
fn candidates(report: &Report, level: f64) -> String {
    let change = |shortfall: &AttributionRow, measure: PartMeasure| {
        let same = |row: &&AttributionRow| (row.measure, row.id, row.level) == (measure, shortfall.id, Some(level));
        report.attribution.iter().find(same).map_or(String::new(), |row| estimate(&row.estimate, ""))
    };
    let is_added = |row: &&AttributionRow| row.measure == PartMeasure::AddExpectedShortfall && row.level == Some(level);
    let row = |row: &AttributionRow| {
        let label = row.id.map_or_else(|| escaped(&row.name), |id| escaped(&subnet_label(id, &row.name)));
        let changes =
            [PartMeasure::AddValueAtRisk, PartMeasure::AddExpectedShortfall].map(|measure| change(row, measure));
        let share = text::share(row.share.unwrap_or(f64::NAN));
        (label, changes.into_iter().chain([share]).collect())
    };
    let rows: Vec<_> = report.attribution.iter().filter(is_added).map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    let heads =
        ["Value at risk, change, TAO", "Expected shortfall, change, TAO", "Of the shortfall"].map(str::to_owned);
    let words = "<p class=\"read\">What each candidate would change if the book had it besides, paid for with money from outside, on \
                 the same futures.</p>\n";
    table("With a candidate", heads, rows) + words
}

fn exit(report: &Report) -> String {
    let costs = &report.outcomes.exit_costs;
    let (mark, liquidation) =
        (report.opening(Basis::Mark, Currency::Tao), report.opening(Basis::Liquidation, Currency::Tao));
    let now = ("Now".to_owned(), vec![number(mark - liquidation, 1), text::share((mark - liquidation) / mark)]);
    let row = |cost: &ExitAtOnce| {
        (format!("After {}", text::days(cost.horizon_days)), vec![estimate(&cost.cost_tao, ""), percent(&cost.cost)])
    };
    let table = table(
        "All sold at once",
        ["Cost, TAO".to_owned(), "Of the value at spot".to_owned()],
        [now].into_iter().chain(costs.iter().map(row)),
    );
    let words = "<p class=\"read\">Value at spot less what selling the whole book through the pools at once would bring, after fees \
                 and slippage; mean over futures. The error of a cost is paired: both values are of the same future.</p>\n";
    let curve = if report.exit_costs.is_empty() { String::new() } else { exit_curve(&report.exit_costs) };
    format!("<section id=\"exit\"><h2>What leaving costs</h2>\n{table}{words}{curve}</section>\n")
}

/// What `taorisk liquidity` found.
fn exit_curve(lines: &[ExitCostLine]) -> String {
    let first = &lines[0];
    let rows = lines.iter().map(|line| {
        let label = format!(
            "Book \u{d7} {}, {}",
            line.size,
            if line.exit_days == 0.0 { "at once".to_owned() } else { text::days(line.exit_days) }
        );
        (label, vec![percent(&line.cost), percent(&line.tail_cost)])
    });
    let heads =
        ["Cost of the value at spot".to_owned(), format!("On the worst {} of futures", text::level(1.0 - first.level))];
    let sentences = format!(
        "Cost of leaving that begins on day {} and is spread over so many days, at most {} of each pool's alpha a day, for multiples of \
         the book; whiskers are 95 % intervals. From {} futures of their own by <code>taorisk liquidity</code>.",
        first.after_days,
        text::level(first.participation),
        number(first.paths as f64, 0)
    );
    format!(
        "{}<details><summary>The numbers</summary>\n{}</details>\n",
        picture("exit", "Cost of leaving", &sentences),
        table("Size and time", heads, rows)
    )
}

fn stress(report: &Report) -> String {
    let Some(first) = report.stress.first() else { return String::new() };
    let shown = |line: &&StressLine, measure: &str| {
        line.measure == measure && (line.level.is_none() || line.level == stress_level(&report.stress, measure))
    };
    let mut scenarios: Vec<&str> = report.stress.iter().map(|line| line.scenario.as_str()).collect();
    scenarios.dedup();
    let heads = STRESS_MEASURES.map(|(measure, name)| match stress_level(&report.stress, measure) {
        Some(level) => format!("{name} {}", text::level(level)),
        None => name.to_owned(),
    });
    let rows = scenarios.iter().map(|&scenario| {
        let cell = |(measure, _): &(&str, &str)| {
            let found = report.stress.iter().filter(|line| line.scenario == scenario).find(|line| shown(line, measure));
            found.map_or(String::new(), |line| {
                let sign = if line.difference.value > 0.0 { "+" } else { "" };
                format!(
                    "<span class=\"v\">{}</span> <span class=\"ci\">{sign}{}</span>",
                    shortly(&line.value),
                    text::plain(&line.difference, "")
                )
            })
        };
        (escaped(scenario), STRESS_MEASURES.iter().map(cell).collect())
    });
    let table = table("Scenario", heads, rows);
    let sentences = format!(
        "What each scenario adds to the base, measured future by future on the same chance: {} {} over {}, {} futures; whiskers are \
         95 % intervals of the difference. In the table the scenario's own figure stands first and the difference to the base \
         beneath it.",
        escaped(&first.currency),
        if first.basis == "mark" { "at spot" } else { "on liquidation" },
        text::days(first.horizon_days),
        number(first.paths as f64, 0)
    );
    format!(
        "<section id=\"stress\"><h2>Stress scenarios</h2>\n{}{table}</section>\n",
        picture("stress", "Stress scenarios", &sentences)
    )
}

fn shortly(found: &Estimate) -> String {
    number(found.value, decimals(found.half_width()))
}

/// The lowest level of a measure of the table.
pub(super) fn stress_level(lines: &[StressLine], measure: &str) -> Option<f64> {
    lines.iter().filter(|line| line.measure == measure).filter_map(|line| line.level).reduce(f64::min)
}

fn reading(report: &Report) -> String {
    let uncertain = report.manifest.scenario["run"]["parameter_uncertainty"].as_bool() == Some(true);
    let parameters = if uncertain {
        "<p>Parameters were drawn anew for groups of futures, so that intervals of tables hold the uncertainty of the model's \
         parameters; those of the drawdown picture, of price quantiles and of costs of selling at once take futures as \
         independent, and are too short.</p>"
    } else {
        "<p>Intervals say how precisely this model was simulated. They hold neither the uncertainty of its parameters \
         (<code>run.parameter_uncertainty</code> does) nor that of the model.</p>"
    };
    format!(
        "<section id=\"reading\"><h2>How to read this page</h2>\n<p><b>Value at risk 95 %</b>: the loss that one future in twenty \
         exceeds. <b>Expected shortfall 95 %</b>: the mean loss in the worst twentieth. <b>At spot</b>: holdings at the pool's last price, \
         which a large sale does not get. <b>On liquidation</b>: all sold through the pools at once, after fees and \
         slippage. <b>Deregistration</b>: the subnet with the lowest moving price gives way to a new one, and its pool is paid \
         out.</p>\n{parameters}</section>\n"
    )
}

fn footer(report: &Report) -> String {
    let manifest = &report.manifest;
    let mut facts = vec![
        ("Run by", format!("taorisk {}, commit {}", escaped(&manifest.version), escaped(&manifest.commit))),
        ("Chain rules", format!("subtensor {}", escaped(&manifest.chain_commit))),
        ("Scenario hash", escaped(&manifest.scenario_hash)),
        ("Seed and paths", format!("{}; {} to {}", manifest.seed, manifest.first_path, manifest.end_path - 1)),
        ("Estimator", format!("{}: {}", escaped(manifest.method()), escaped(words_of_method(manifest.method())))),
        ("Result hash", escaped(&manifest.result_hash)),
        ("Schema version", manifest.schema_version.to_string()),
    ];
    for (role, hash) in &manifest.inputs {
        let name = manifest.scenario["input"][role].as_str().unwrap_or_default();
        facts.push(("Input", format!("{} {}: SHA-256 {}", escaped(role), escaped(name), escaped(hash))));
    }
    facts.push((
        "Page by",
        format!("taorisk {}; pictures by Apache ECharts 6.1.0 (Apache-2.0)", env!("CARGO_PKG_VERSION")),
    ));
    let mut html = "<footer>\n<h2>Where this comes from</h2>\n<dl>\n".to_owned();
    facts.iter().for_each(|(name, text)| html.push_str(&format!("<dt>{name}</dt><dd>{text}</dd>\n")));
    html + "</dl>\n<p>Same scenario, seed and paths give the same run, byte for byte. Not investment advice.</p>\n</footer>\n"
}
