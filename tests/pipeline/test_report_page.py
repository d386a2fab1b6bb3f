"""The page of the whole pipeline, in a real browser where there is one."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom"),
)
OVERFLOW = "<script>document.title = document.documentElement.scrollWidth + ' of ' + innerWidth</script>"
END = "</body>\n</html>\n"


def test_the_page_shows_every_part(project):
    page = (project.root / "metrics" / "report.html").read_text(encoding="utf-8")
    for anchor in ("reading", "rebuilds", "units", "maps", "sentences", "collapse", "training"):
        assert f'<h2 id="{anchor}">' in page
    without_scripts = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', without_scripts)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [1280, 520])  # Chromium opens no narrower window without device emulation
def test_every_figure_is_drawn_without_an_error(project, tmp_path, width):
    page = (project.root / "metrics" / "report.html").read_text(encoding="utf-8")
    copy = tmp_path / "report.html"
    copy.write_text(page.removesuffix(END) + OVERFLOW + END, encoding="utf-8")
    command = [
        BROWSER,
        *FLAGS,
        f"--window-size={width},900",
        f"--user-data-dir={tmp_path / 'profile'}",
        copy.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    wanted = page.count('<div class="plot"')
    assert wanted > 10
    assert len(re.findall(r'<div class="[^"]*svg-container', done.stdout)) == wanted
    found, available = map(int, re.search(r"<title>(\d+) of (\d+)</title>", done.stdout).groups())
    assert found <= available  # tables scroll within themselves, the page does not
