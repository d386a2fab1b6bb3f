"""Write the page that `dvc plots show` and `dvc plots diff` fill: ``python scripts/write_plots_page.py``.

DVC's own page loads Vega from a server. This one has Vega inside, out of the package vl-convert-python, so that it is
drawn without a network. It is 0.9 MB, so it is made by `make`, not kept in git. `.dvc/config` names it.
"""

from __future__ import annotations

import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / ".dvc" / "plots" / "page.html"
VEGA_LITE = "6.4"
SNIPPET = """
window.vegaEmbed = async (place, spec) => {
  delete spec.$schema; // DVC writes those of version 5, which later ones read, with a warning
  const actions = {export: true, source: false, compiled: false, editor: false};
  const below = {orient: "bottom", columns: 2, layout: {bottom: {anchor: "start", direction: "vertical"}}};
  const legend = innerWidth < 640 ? below : {};
  try { return await vegaEmbed(place, spec, {renderer: "svg", actions, config: {legend}}); }
  catch (error) { document.querySelector(place).textContent = `This plot can't be drawn: ${error.message}`; }
};
"""
TEMPLATE = """\
<!DOCTYPE html>
<html lang="en">
<head>
{refresh_tag}
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Plots</title>
<style>
body { margin: 0 auto; padding: 1rem; max-width: 68rem; color: #1b1f24; background: #fff;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
body > div { margin: 0 0 2.5rem; } /* a plot */
.vega-embed { width: 100%; overflow-x: auto; }
</style>
<script>
VEGA
</script>
</head>
<body>
{plot_divs}
</body>
</html>
"""


def page() -> str:
    """The page, with DVC's placeholders for plots in it, and none for scripts of a server."""
    import vl_convert

    script = vl_convert.javascript_bundle(snippet=SNIPPET, vl_version=VEGA_LITE)
    return TEMPLATE.replace("VEGA", script.replace("</script", "<\\/script"))


def main() -> None:
    """Write the page, complete or not at all."""
    temporary = PAGE.with_suffix(".tmp")
    try:
        temporary.write_text(page(), encoding="utf-8")
    except ImportError:
        sys.exit("error: vl-convert-python is not installed: pip install 'lexivert[pipeline]'")
    temporary.replace(PAGE)


if __name__ == "__main__":
    main()
