# Reads a run with R and arrow: what the book can lose, and who may be deregistered. Rscript with_arrow.R RUN
library(arrow)
library(dplyr)

run <- commandArgs(trailingOnly = TRUE)[1]
stopifnot("usage: Rscript with_arrow.R RUN" = !is.na(run))

read_parquet(file.path(run, "summary.parquet")) |>
  filter(
    measure %in% c("value_at_risk", "expected_shortfall"),
    currency == "TAO",
    horizon_days == max(horizon_days)
  ) |>
  select(book, basis, measure, level, value, ci_low, ci_high) |>
  arrange(book, basis, measure, level) |>
  print(n = Inf)

# Opened as a dataset only the columns and rows that are asked for are read: paths.parquet of a large run is large.
losses <- open_dataset(file.path(run, "paths.parquet")) |>
  select(book, path, horizon_days, pnl_liquidation_usd) |>
  collect()
losses |>
  group_by(book, horizon_days) |>
  summarise(
    paths = n(),
    median = median(pnl_liquidation_usd),
    worst_of_hundred = quantile(pnl_liquidation_usd, 0.01),
    .groups = "drop"
  ) |>
  print(n = Inf)

read_parquet(file.path(run, "subnets.parquet")) |>
  filter(held, horizon_days == max(horizon_days)) |>
  arrange(desc(deregistration_probability)) |>
  transmute(
    netuid, name,
    probability = deregistration_probability,
    low = deregistration_ci_low,
    high = deregistration_ci_high,
    loss = loss_given_deregistration,
    loss_error = loss_standard_error
  ) |>
  print(n = Inf)
