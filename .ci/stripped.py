"""Fails where a notebook holds outputs."""

import json
import sys

for notebook in sys.argv[1:]:
    with open(notebook) as file:
        cells = json.load(file)["cells"]
    if any(cell.get("outputs") or cell.get("execution_count") for cell in cells):
        sys.exit(f"{notebook} holds outputs: strip them")
