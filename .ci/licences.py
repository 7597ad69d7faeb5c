"""Holds every crate of the lock file to the licences and sources of deny.toml, with the standard library alone."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

rules = tomllib.loads(Path("deny.toml").read_text())
allowed = set(rules["licenses"]["allow"])
registries = {f"registry+{url}" for url in rules["sources"]["allow-registry"]}


def is_allowed(expression: str) -> bool:
    """An SPDX expression, or the old `A/B` for a choice, with the allowed licences as true."""
    words = re.findall(r"\(|\)|[^\s()]+(?: WITH [^\s()]+)?", expression.replace("/", " OR "))
    operators = {"(": "(", ")": ")", "OR": "or", "AND": "and"}
    return eval(" ".join(operators.get(word) or str(word in allowed) for word in words))


assert is_allowed("(GPL-3.0 OR MIT) AND Zlib") and not is_allowed("MIT AND GPL-3.0") and not is_allowed("GPL-3.0")

metadata = subprocess.run(
    ["cargo", "metadata", "--locked", "--format-version", "1"], check=True, capture_output=True, text=True
).stdout
crates = json.loads(metadata)["packages"]
problems = [f"{c['name']} {c['version']}: licence {c['license']}" for c in crates if not is_allowed(c["license"] or "none")]
problems += [f"{c['name']}: from {c['source']}" for c in crates if c["source"] and c["source"] not in registries]
print(f"{len(crates)} crates, {len(problems)} refused")
sys.exit("\n".join(problems) or None)
