"""What the notebooks share: where the files are, what they are of, and one look for all pictures."""

import json
import os
from pathlib import Path

import matplotlib.pyplot as plt
import polars as pl

ROOT = Path(__file__).resolve().parents[1]

# Okabe and Ito's colours, which the colour-blind tell apart; grey for what is beside the point.
BLUE, ORANGE, GREEN, RED, SKY, PINK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7"
GREY, PALE = "#6B7280", "#D1D5DB"
plt.rcParams.update(
    {
        "figure.dpi": 110,
        "figure.constrained_layout.use": True,
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "grid.color": "#EEF0F3",
        "legend.frameon": False,
    }
)


def located(variable, default, command):
    """The file or directory that an environment variable names, else the default; relative to the repository's root."""
    place = ROOT / (os.environ.get(variable) or default)
    if not place.exists():
        raise FileNotFoundError(f"{place} is not there: make it with `{command}`, or let {variable} name another")
    return place


def run_directory():
    """The run that TAORISK_RUN names, else the newest below `runs/`."""
    finished = sorted(ROOT.glob("runs/*/manifest.json"), key=lambda file: file.stat().st_mtime)
    newest = finished[-1].parent if finished else "runs"
    run = located("TAORISK_RUN", newest, "taorisk run")
    if not (run / "manifest.json").exists():
        raise FileNotFoundError(f"{run} holds no finished run: `taorisk run` makes one, or let TAORISK_RUN name it")
    return run


def print_manifest(run):
    """Says which run this is; returns its manifest. The scenario in full is the manifest's `scenario`."""
    manifest = json.loads((run / "manifest.json").read_text())
    settings = manifest["scenario"]["run"]
    print(f"run        {run.name}")
    print(f"scenario   {settings['name']}, hash {manifest['scenario_hash'][:16]}, seed {settings['seed']}")
    print(
        f"paths      {settings['paths']:,} of {settings['horizon_days']:g} days, {settings['blocks_per_step']:,} blocks a step"
    )
    print(
        f"program    {manifest['version']}, commit {(manifest['commit'] or 'unknown')[:12]}; schema {manifest['schema_version']}"
    )
    print(f"result     {manifest['result_hash'][:16]}")
    return manifest


def subnet_label(netuid, name):
    """`SN64 Chutes`; long names are cut."""
    name = name or ""
    return f"SN{netuid} {name if len(name) <= 18 else name[:17] + '…'}".strip()


def day_label(days):
    return f"{days:g} day" + "s" * (days != 1)


def error_bars(rows, value="value", low="ci_low", high="ci_high"):
    """Lengths of error bars down and up for matplotlib; none where the interval has no end."""
    down, up = (rows[value] - rows[low]).to_numpy(), (rows[high] - rows[value]).to_numpy()
    return [[length if 0 <= length < float("inf") else 0.0 for length in side] for side in (down, up)]


def pick(table, **columns):
    """The rows whose columns have these values."""
    return table.filter(*(pl.col(name) == value for name, value in columns.items()))


def label_points(axes, points, gap=10):
    """Writes texts beside points, (x, y, text) each, pushed up a little where they would cover each other, else left
    out; the axes' limits must be final."""
    axes.figure.canvas.draw()
    pixels = 72 / axes.figure.dpi
    taken = []
    for x, y, text in sorted(points, key=lambda point: point[1]):
        at = axes.transData.transform((x, y)) * pixels
        height = at[1] - 3
        for left, other in sorted(taken, key=lambda label: label[1]):
            if abs(left - at[0]) < 6 * len(text) and abs(other - height) < gap:
                height = other + gap
        if height - at[1] > 1.5 * gap:
            continue
        taken.append((at[0], height))
        offset = (5, height - at[1])
        behind = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5}
        axes.annotate(text, (x, y), textcoords="offset points", xytext=offset, fontsize=7.5, color=GREY, bbox=behind)
