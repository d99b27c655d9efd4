"""What a branch changes since its base, by git: new is welcome, edited is not."""

import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harness.contribute.concerns import Review, error, warning
from harness.errors import UserError
from harness.experiment import CONTENT, all_experiments

DECIDING = ("adapter_config.json", "training_params.json")  # a README or a tuning record may be added or grow


@dataclass(frozen=True)
class Edit:
    """One file: `kind` is git's letter, A for one that is new."""

    kind: str
    path: PurePosixPath


@dataclass(frozen=True)
class History:
    """Everything that differs from the commit where the branch left its base, uncommitted files included.

    base: what people call it. changes: sorted by path. experiments: paths of the folders that the base had.
    """

    base: str
    changes: list[Edit]
    experiments: frozenset[PurePosixPath]


def read_history(base: str, root: Path) -> History:
    """Asks git.

    Raises:
        UserError: there is no such commit, or this is no git checkout.
    """

    def git(*arguments: str) -> list[str]:
        return _git(root, base, arguments)

    (known,) = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}")
    (left,) = git("merge-base", known.strip(), "HEAD")
    left = left.strip()
    differing = git("diff", "--name-status", "-z", "--no-renames", "--no-ext-diff", left)
    changes = [Edit(kind, PurePosixPath(path)) for kind, path in zip(differing[::2], differing[1::2], strict=True)]
    changes += [Edit("A", PurePosixPath(path)) for path in git("ls-files", "-z", "--others", "--exclude-standard")]
    before = map(PurePosixPath, git("ls-tree", "-r", "-z", "--name-only", left, "--", CONTENT))
    folders = frozenset(path.parents[0] for path in before if _is_of_experiment(path))
    return History(base, sorted(changes, key=lambda one: one.path), folders)


def _git(root: Path, base: str, arguments: Sequence[str]) -> list[str]:
    """What git lists, between null bytes where it was asked for those."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=True)
    except FileNotFoundError:
        raise UserError("--base: needs git, which is not installed") from None
    except subprocess.CalledProcessError as found:
        said = os.fsdecode(found.stderr).strip().splitlines()
        reason = said[0] if said else "no such commit"
        raise UserError(f"--base: {base}: {reason}; fetch it (git fetch origin), or name another") from None
    return [text for text in os.fsdecode(done.stdout).split("\0") if text]


def _is_of_experiment(path: PurePosixPath) -> bool:
    return len(path.parts) >= 6 and path.parts[0] == CONTENT and path.parts[2] == "experiments"


def folders_of(paths: Iterable[PurePosixPath]) -> set[PurePosixPath]:
    """The experiment folders that the files lie in."""
    return {PurePosixPath(*path.parts[:5]) for path in paths if _is_of_experiment(path)}


def review_history(history: History, root: Path) -> Review:
    """What was edited although something rests on it, and what else changes."""
    review = Review(f"changes since {UserError(history.base)}")
    for change in history.changes:
        path, verb = change.path, "removes" if change.kind == "D" else "changes"
        (folder,) = folders_of([path]) or (None,)
        if folder in history.experiments and path.name in DECIDING:
            review.concerns.append(error(f"{path}: {verb} an existing experiment, whose results would no longer be "
                                         "its own; restore it and add a new folder"))  # fmt: skip
        elif path.parts[0] == "results" and path.suffix == ".json" and change.kind != "A":
            review.concerns.append(error(f"{path}: {verb} an existing result; restore it"))
        elif _is_protocol(path) and change.kind != "A":
            count = sum(one.is_relative_to(root / CONTENT / path.parts[1]) for one in all_experiments(root))
            review.concerns.append(warning(f"{path}: {verb} what {count} experiments of {path.parts[1]} share"))
    elsewhere = [str(one.path) for one in history.changes if one.path.parts[0] not in (CONTENT, "results")]
    new = [one.path for one in history.changes if one.kind == "A"]
    review.facts = {
        "new experiments": len(folders_of(new) - history.experiments),
        "new results": len([path for path in new if path.parts[0] == "results" and path.suffix == ".json"]),
        "elsewhere": [str(UserError(path)) for path in elsewhere],
    }
    return review


def _is_protocol(path: PurePosixPath) -> bool:
    return path.parts[0] == CONTENT and len(path.parts) > 2 and path.parts[2] in (
        "data.py", "default_training_params.json", "presets"
    )  # fmt: skip
