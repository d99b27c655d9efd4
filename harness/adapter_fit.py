"""Whether an adapter config fits a model: its expressions and lists against the modules, its numbers of tokens."""

import math
import re
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

from harness.errors import UserError, brief, did_you_mean

PATTERN_FIELDS = ("target_modules", "exclude_modules", "layers_pattern", "feedforward_modules", "modules_to_save",
                  "target_parameters")  # fmt: skip
PATTERN_SECONDS = 5
# Module names of image models in guides that were written for transformers 4.
RENAMED = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "dense": "o_proj"}
PATTERN_CHARACTERS = 500


def check_patterns(values: dict[str, Any], module_names: Iterable[str], where: str) -> None:
    """Bounds the time of every regular expression in an adapter config over the model's module names.

    PEFT matches target_modules and its kin with `re`, whose backtracking can take exponential time. Each expression is
    compiled and tried, in the ways PEFT uses it, in a child process that is killed after PATTERN_SECONDS.

    Raises:
        UserError: an expression that is malformed, too long or too slow.
    """
    names = "\n".join(module_names)
    for key in values:
        for pattern in _patterns(key, values[key]):
            if len(pattern) > PATTERN_CHARACTERS or "\0" in pattern:
                raise UserError(f"{where}: {key}: expected an expression of at most {PATTERN_CHARACTERS} characters; "
                                "shorten it or list the modules")  # fmt: skip
            try:
                limit = str(math.ceil(2 * PATTERN_SECONDS))
                subprocess.run([sys.executable, "-I", "-c", _TRY_PATTERN, pattern, limit],
                               input=names, text=True, check=True, timeout=PATTERN_SECONDS,
                               capture_output=True)  # fmt: skip
            except subprocess.TimeoutExpired:
                raise UserError(f"{where}: {key}: {brief(pattern)} takes more than {PATTERN_SECONDS} s to match; "
                                "use a list of module names or a simpler expression") from None  # fmt: skip
            except subprocess.CalledProcessError as error:
                reason = error.stderr.strip().splitlines()[-1]
                raise UserError(
                    f"{where}: {key}: not a regular expression: {reason}; correct {brief(pattern)}"
                ) from None


def check_modules(values: dict[str, Any], module_names: Iterable[str], where: str) -> None:
    """Every name in a list of modules must be a module's; PEFT is content when one of them is.

    Raises:
        UserError: an entry that is the last part of no module's name, with the nearest one that is.
    """
    names = list(module_names)
    for key in ("target_modules", "feedforward_modules", "modules_to_save"):
        entries = values.get(key)
        for entry in entries if isinstance(entries, list) else ():
            if not any(name == entry or name.endswith(f".{entry}") for name in names):
                last_parts = {part for name in names if not (part := name.rpartition(".")[2]).isdigit() and part}
                hint = did_you_mean(entry, last_parts)
                if RENAMED.get(entry) in last_parts:
                    hint = f'transformers 5 calls it "{RENAMED[entry]}"'
                raise UserError(f"{where}: {key}: {brief(entry)} matches no module of the model; {hint}")


def check_token_ids(values: dict[str, Any], vocab_size: int | None, where: str) -> None:
    """Tokens that are trained by number must be the model's; on a GPU, one that is not ends the whole process.

    Raises:
        UserError: a number that no token has, where `vocab_size` is known.
    """
    for key in ("trainable_token_indices", "token_indices"):
        entries = values.get(key) or ()
        for ids in entries.values() if isinstance(entries, dict) else (entries,):
            if vocab_size is not None and max(ids, default=0) >= vocab_size:
                raise UserError(f"{where}: {key}: expected numbers of tokens below {vocab_size}, got {max(ids)}")


def _patterns(key: str, value: Any) -> Iterable[str]:
    """The strings of a field that PEFT puts into a regular expression, but those without any special character."""
    if key.endswith("_pattern") and isinstance(value, dict) or key in PATTERN_FIELDS:
        entries = [value] if isinstance(value, str) else list(value or ())
        yield from (entry for entry in entries if isinstance(entry, str) and not re.fullmatch(r"[\w.-]*", entry))


# As PEFT spells them: whole match of target_modules, suffix match of its entries and of *_pattern keys, layer indices,
# modules_to_save. A global flag such as (?i) is valid only where the expression stands alone.
# Where its parent was killed, the alarm ends it: it is the only one that would.
_TRY_PATTERN = r"""
import re, signal, sys
if hasattr(signal, "alarm"):
    signal.alarm(int(sys.argv[2]))
pattern, names = sys.argv[1], sys.stdin.read().split("\n")
re.compile(pattern)
forms = [pattern, rf"(.*\.)?({pattern})$", rf".*\.{pattern}$", rf"(?:^|.*?\.){pattern}\.(?P<idx>\d+)\.",
         rf"(^|.*\.){pattern}($|\..*)", rf".*\.[^.]*{pattern}\.(\d+)\."]
for form in forms:
    try:
        compiled = re.compile(form)
    except re.error:
        continue
    for name in names:
        compiled.match(name), compiled.fullmatch(name)
"""
