"""Runs the Python blocks of a Markdown file on a run directory, in place of the `runs/HASH-SEED` that they name."""

import re
import sys
from pathlib import Path

document, run = sys.argv[1:]
blocks = re.findall(r"```python\n(.*?)```", Path(document).read_text(), re.DOTALL)
if not blocks:
    sys.exit(f"{document} holds no Python")
for block in blocks:
    code, places = re.subn(r"runs/[0-9a-f]{8}-\d+", run, block)
    assert places, f"names no run:\n{block}"
    print(code)
    exec(compile(code, document, "exec"), {})
