"""What lies in an experiment folder: the three JSON files and a README, plain files all of them, and nothing else."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from harness.contribute.concerns import Concern, error
from harness.experiment import CONTENT
from harness.files import MOST_BYTES, named

ALLOWED = ("adapter_config.json", "training_params.json", "tuning.json", "README.md")


def foreign_files(folder: Path) -> Iterator[Concern]:
    """An error for each entry that does not belong into the folder; none of them is opened."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        where, found = named(Path(entry.path)), entry.stat(follow_symlinks=False)
        if entry.name not in ALLOWED:
            yield error(f"{where}: does not belong here; an experiment has {', '.join(ALLOWED)} and nothing else")
        elif not stat.S_ISREG(found.st_mode):
            kind = "a link" if stat.S_ISLNK(found.st_mode) else "no plain file"
            yield error(f"{where}: is {kind}; replace it by the file itself")
        elif found.st_size > MOST_BYTES:
            yield error(f"{where}: expected at most {MOST_BYTES:,} bytes, has {found.st_size:,}")


def strays(root: Path) -> Iterator[Concern]:
    """An error for each entry beside experiment folders that is none: a file, a link to a folder."""
    for place, depth in ((root / CONTENT).glob("*/experiments/*"), 1), ((root / CONTENT).glob("*/experiments/*/*"), 2):
        for path in sorted(place):
            if path.is_symlink() or not path.is_dir():
                expected = "a method's folder" if depth == 1 else "an experiment's folder"
                yield error(f"{named(path)}: expected {expected}, found a link or a file; remove it")
