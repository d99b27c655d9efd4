"""results/negative/: what was tried and failed, each with a line of why in its README.md."""

import re
from pathlib import Path

from harness.contribute.concerns import Review, error
from harness.experiment import CONTENT
from harness.files import named
from harness.result.files import read_bytes

LINE = re.compile(r"- `(?P<task>[^`/]+)/(?P<method>[^`/]+)/(?P<name>[^`/]+)`: (?P<why>\S.{9,})")
EXPECTED = "expected - `<Task>/<method>/<name>`: why, in one line of ten characters or more"


def review_negative(root: Path) -> Review:
    """Whether every line names an experiment and every file has its line."""
    folder = root / "results" / "negative"
    readme, lines, review = folder / "README.md", set(), Review(named(folder))
    if not folder.is_dir():
        return review
    with review.collecting(readme):
        for number, text in enumerate(read_bytes(readme).decode().splitlines(), 1):
            if text.startswith("- "):
                lines.add(_entry(text, f"{named(readme)}: line {number}", root, review))
    for path in sorted(folder.glob("**/*.json")):
        task = path.relative_to(folder).parts[0]
        if (task, *path.stem.split("--")[:2]) not in lines:
            review.concerns.append(error(f"{named(path)}: no line in {named(readme)} says why; {EXPECTED}"))
    review.facts["lines"] = len(lines)
    return review


def _entry(text: str, where: str, root: Path, review: Review) -> tuple[str, ...]:
    found = LINE.fullmatch(text)
    if found is None:
        review.concerns.append(error(f"{where}: {EXPECTED}"))
        return ()
    parts = found["task"], found["method"], found["name"]
    if not (root / CONTENT / parts[0] / "experiments" / parts[1] / parts[2]).is_dir():
        review.concerns.append(error(f"{where}: there is no experiment {'/'.join(parts)}; add its folder"))
    return parts
