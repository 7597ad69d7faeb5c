"""Opens a report from disk in headless Chromium: no message on the console, no request, nothing wider than the window.

    python report.py PAGE CHROMIUM
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

BYTES_MAX = 5_000_000
WIDTHS = [390, 1400]
# Elements that reach beyond the window; what is drawn within a picture is cut at its edge.
WIDE = """() => [...document.querySelectorAll('body *')]
  .filter((e) => !e.closest('svg') && e.getBoundingClientRect().right > innerWidth + 1)
  .map((e) => e.tagName + ' ' + e.className)"""
EMPTY = """() => [...document.querySelectorAll('.chart')]
  .filter((e) => e.querySelectorAll('svg path').length < 3).map((e) => e.id)"""

page, chromium = Path(sys.argv[1]).resolve(), sys.argv[2]
problems = []
if page.stat().st_size > BYTES_MAX:
    problems.append(f"{page.stat().st_size} bytes")
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            messages, requests = [], []
            tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            tab.on("console", lambda message: messages.append(message.text))
            tab.on("pageerror", lambda error: messages.append(str(error)))
            tab.on("request", lambda request: requests.append(request.url))
            tab.goto(page.as_uri())
            tab.wait_for_timeout(500)
            found = {
                "console": messages,
                "requests": [url for url in requests if url != page.as_uri() and not url.startswith("data:")],
                "too wide": tab.evaluate(WIDE),
                "not drawn": tab.evaluate(EMPTY),
            }
            problems += [f"{width} px, {scheme}: {what}: {of[:5]}" for what, of in found.items() if of]
            tab.close()
    browser.close()
print(f"{page.name}: {page.stat().st_size} bytes, {len(problems)} problems at {WIDTHS} px, light and dark")
sys.exit("\n".join(problems) or None)
