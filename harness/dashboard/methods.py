"""Where to read about a method: its paper and PEFT's page, and what docs/methods.json says it can do."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from harness.experiment import ROOT

TABLE = ROOT / "docs" / "methods.json"
_PEFT = "https://huggingface.co/docs/peft/package_reference/"
# By the method's name without spelling: number of the paper on arXiv, and the page of PEFT's documentation.
_KNOWN = {
    "adalora": ("2303.10512", "adalora"), "adaptionprompt": ("2303.16199", "llama_adapter"),
    "boft": ("2311.06243", "boft"), "bone": ("2409.15371", ""), "c3a": ("2407.19342", "c3a"),
    "cpt": ("2410.17222", "cpt"), "delora": ("2503.18225", "delora"), "dora": ("2402.09353", "lora"),
    "compacter": ("2106.04647", ""), "compacterplusplus": ("2106.04647", ""), "galore": ("2403.03507", ""),
    "houlsby": ("1902.00751", ""), "lisa": ("2403.17919", ""), "lorafa": ("2308.03303", ""),
    "loraga": ("2407.05000", ""), "mam": ("2110.04366", ""), "paralleladapter": ("2110.04366", ""),
    "pfeiffer": ("2005.00247", ""), "prefixstacks": ("2101.00190", ""), "unipelt": ("2110.07577", ""),
    "fourierft": ("2405.03003", "fourierft"), "gralora": ("2505.20355", "gralora"), "hra": ("2405.17484", "hra"),
    "ia3": ("2205.05638", "ia3"), "lntuning": ("2312.11420", "layernorm_tuning"), "loha": ("2108.06098", "loha"),
    "lokr": ("2309.14859", "lokr"), "lora": ("2106.09685", "lora"), "miss": ("2409.15371", "miss"),
    "multitaskprompttuning": ("2303.02861", "multitask_prompt_tuning"), "oft": ("2306.07280", "oft"),
    "poly": ("2202.13914", "poly"), "prefixtuning": ("2101.00190", "prefix_tuning"),
    "prompttuning": ("2104.08691", "prompt_tuning"), "ptuning": ("2103.10385", "p_tuning"),
    "randlora": ("2502.00987", "randlora"), "road": ("2409.00119", "road"), "shira": ("2406.13175", "shira"),
    "vblora": ("2405.15179", "vblora"), "vera": ("2310.11454", "vera"), "xlora": ("2402.07148", "xlora"),
    "trainabletokens": ("", "trainable_tokens"), "waveft": ("2505.12532", "waveft"),
}  # fmt: skip


class Link(NamedTuple):
    """Where to read on."""

    text: str
    url: str


def plain(name: str) -> str:
    """A method's name without its spelling: 'ln_tuning', 'LN_TUNING' and 'ln-tuning' are one."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def links(method: str, peft_type: str = "") -> list[Link]:
    """Paper and documentation of a method, as far as they are known."""
    paper, page = _KNOWN.get(plain(method)) or _KNOWN.get(plain(peft_type)) or ("", "")
    found = [Link("paper", f"https://arxiv.org/abs/{paper}")] if paper else []
    return [*found, *([Link("documentation", _PEFT + page)] if page else [])]


def capabilities(path: Path = TABLE) -> tuple[list[str], list[list[Any]], str]:
    """Heads and rows of the table of what methods can do, and why there is none.

    The file is a list of objects, or an object of objects by method; whatever keys these have are the columns.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return [], [], "docs/methods.json, which says what each method can do, is not in this checkout yet."
    except (OSError, ValueError) as error:
        return [], [], f"docs/methods.json cannot be read: {error}"
    if isinstance(content, dict):
        inner = content.get("methods", content)
        content = (
            [{"method": name} | one for name, one in inner.items() if isinstance(one, dict)]
            if isinstance(inner, dict)
            else inner
        )
    rows = [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []
    heads = list(dict.fromkeys(key for row in rows for key in row))
    return (
        heads,
        [[row.get(key) for key in heads] for row in rows],
        "" if rows else "docs/methods.json names no method.",
    )
