"""Pages in a real browser, where the machine has Chromium: as wide as a telephone or a desk, without a network."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--allow-file-access-from-files"),
    *("--enable-logging=stderr", "--virtual-time-budget=60000", "--dump-dom", "--window-size=1400,1000"),
)
# Chromium opens no window narrower than 500 pixels; a frame has any width, and pages can't tell.
_FRAME = """<!DOCTYPE html>
<body><iframe id="frame" width="WIDTH" height="900" style="border: 0" src="PAGE"></iframe>
<script>
const inside = document.getElementById("frame");
const complete = () => {
  const page = inside.contentDocument;
  return page.URL !== "about:blank" && page.readyState === "complete";
};
const tell = () => {
  const found = inside.contentWindow.eval("(() => (FACTS))()");
  const root = inside.contentDocument.documentElement;
  const seen = {content: root.outerHTML, scroll_width: root.scrollWidth, facts: found};
  document.body.innerHTML = "<pre></pre>";
  document.body.firstChild.textContent = JSON.stringify(seen);
};
const wait = () => setTimeout(complete() ? () => setTimeout(tell, 3000) : wait, 100);
wait();
</script></body>
"""


@dataclass(frozen=True)
class Seen:
    """A page as a browser has drawn it.

    Attributes:
        width: of the window, in pixels.
        scroll_width: of what is in it.
        content: its elements, after all scripts.
        messages: errors and warnings of its scripts.
        facts: what the expression gave that was asked for.
    """

    width: int
    scroll_width: int
    content: str
    messages: list[str]
    facts: Any


def opened(page: Path, folder: Path, width: int, facts: str = "null") -> Seen:
    """Open a page in a window of some width.

    Args:
        page: the file.
        folder: for the browser's own files.
        width: in pixels.
        facts: a JavaScript expression, evaluated in the page at the end; its value must be JSON.
    """
    frame = folder / f"frame-{width}.html"
    text = _FRAME.replace("WIDTH", str(width)).replace("PAGE", page.as_uri())
    frame.write_text(text.replace('"(() => (FACTS))()"', json.dumps(f"(() => ({facts}))()")), encoding="utf-8")
    assert BROWSER is not None
    command = [BROWSER, *_FLAGS, f"--user-data-dir={folder / 'profile'}", frame.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    messages = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    found = re.search(r"<pre>(.*)</pre>", done.stdout, flags=re.S)
    assert found, f"{messages} {done.stdout[-2000:]}"
    return Seen(width, messages=messages, **json.loads(html.unescape(found[1])))
