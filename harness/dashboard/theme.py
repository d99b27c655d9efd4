"""Looks and behaviour of the page. Everything is served from here: no fonts, styles or scripts of other sites."""

from pathlib import Path
from typing import Any

import gradio

_FOLDER = Path(__file__).parent
STYLE = (_FOLDER / "style.css").read_text(encoding="utf-8")
HEAD = f"<script>\n{(_FOLDER / 'script.js').read_text(encoding='utf-8')}</script>"
# What the page's events run in the browser; script.js has the functions.
ON_LOAD = "() => window.dashboard.restoreTheme()"
TOGGLE_THEME = "() => window.dashboard.toggleTheme()"
COPY_LINK = "() => window.dashboard.copyLink()"
SHOW_LINK = "(query) => window.dashboard.showLink(query)"
SAVE_FILE = "(file) => window.dashboard.save(file)"

# Okabe and Ito's colours, which colour-blind readers can tell apart, and darker or lighter ones of the same hues; each
# is readable on white and on the dark background.
COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#c05fa0",
    "#b58900",
    "#3f9bd8",
    "#7a5cc2",
    "#8c6d46",
    "#d1495b",
    "#5f8f3e",
)
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "pentagon", "star", "hexagon", "triangle-down")


def theme() -> gradio.themes.Base:
    """The framework's default with the system's fonts, so that nothing is fetched from elsewhere."""
    return gradio.themes.Default(
        primary_hue="blue",
        neutral_hue="slate",
        spacing_size="sm",
        radius_size="sm",
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "Ubuntu", "Cantarell", "sans-serif"],
        font_mono=["ui-monospace", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace"],
    )


def launch_settings() -> dict[str, Any]:
    """What `Blocks.launch` needs besides host and port."""
    return {"theme": theme(), "css": STYLE, "head": HEAD, "footer_links": [], "ssr_mode": False, "share": False}
