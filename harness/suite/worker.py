"""What happens where a run is made: one fresh process of run.py, and what it left behind.

Standard library only: a node of a cluster gets this module by value, before it has any checkout.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

POLL = 0.2  # seconds; a blocking wait would hide that the run is to be cancelled
PATIENCE = 60  # seconds that a run has to write its JSON and leave
LARGEST = 5_000_000  # bytes of a file that is brought back
BROUGHT = (".json", ".jsonl", ".txt", ".log")
NOT_CODE = (":(exclude)results", ":(exclude)runs")


def run_process(
    root: str, arguments: Sequence[str], log: str, env: Mapping[str, str], stop: Callable[[], bool] = lambda: False
) -> int:
    """One run in a process of its own, its output in the file `log`; returns its exit code, -9 after SIGKILL.

    A crash or an exhausted memory costs no other run anything. It ends with this process, and by SIGTERM as soon as
    `stop` says so or this process gets Ctrl-C; both leave its JSON.
    """
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    own = {"RUN_PARENT": str(os.getpid())}
    with open(log, "wb") as out:
        process = subprocess.Popen(
            [sys.executable, f"{root}/run.py", *arguments],
            cwd=root, env={**os.environ, **env, **own}, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            while process.poll() is None and not stop():
                time.sleep(POLL)
        except KeyboardInterrupt:
            pass
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            process.kill()
    return process.wait()


def tail(log: str, size: int = 4000) -> str:
    """The end of a log as text."""
    with contextlib.suppress(FileNotFoundError), open(log, "rb") as file:
        file.seek(max(os.path.getsize(log) - size, 0))
        return file.read().decode(errors="replace")
    return ""


def run_on_node(
    arguments: Sequence[str],
    env: Mapping[str, str],
    place: Mapping[str, str],
    patterns: Sequence[str],
    archive: bytes | None,
) -> dict:
    """A run on a node of a cluster; what it left, as far as the head cannot see it.

    Args:
        arguments: of run.py, without --output.
        env: of its process.
        place: `root` of the head's checkout and its `code`; its `output`, `marker`, a file in it; `name` of the suite;
            `run`, the log's name.
        patterns: of the run's own files below the output folder.
        archive: git bundle of the commit, for a node without the checkout; None where there is none to give.

    Returns:
        code; seconds that it ran; host; log, its end; files, bytes by path below the output folder: empty where the
        folder is shared.
    """
    home = Path(tempfile.gettempdir(), f"suite-{os.getuid()}")
    home.mkdir(mode=0o700, exist_ok=True)
    if home.stat().st_uid != os.getuid():
        raise PermissionError(f"{home}: belongs to somebody else, whose code would run")
    root, code = _checkout(place, archive, home), 2
    shared = Path(place["output"], place["marker"]).is_file()
    output = Path(place["output"]) if shared else home / place["name"]
    log = str(output / "runs" / "suite" / f"{place['run']}.log")
    started = time.perf_counter()
    if root is None:
        text = (
            f"error: {place['root']}: this node has no checkout at {place['code'][:12]}; share it, or commit changes"
        )
    else:
        env = {"OMP_NUM_THREADS": str(_threads()), **env}
        code = run_process(root, [*arguments, "--output", str(output)], log, env)
        text = tail(log)
    files = {} if shared or root is None else _files(output, patterns)
    seconds = time.perf_counter() - started
    return {"code": code, "seconds": seconds, "host": os.uname().nodename, "log": text, "files": files}


def _threads() -> int:
    """This node's share of cores for a run: Ray sets one, which would make the run slower and its machine another."""
    gpus = len(list(Path("/dev").glob("nvidia[0-9]*")))
    return max((os.cpu_count() or 1) // gpus, 1) if gpus else 1


def _checkout(place: Mapping[str, str], archive: bytes | None, home: Path) -> str | None:
    for root in (place["root"], str(home / place["code"])):
        if code_of(root) == place["code"]:
            return root
    if archive is None:
        return None
    with tempfile.TemporaryDirectory(dir=home) as folder:
        bundle, clone = Path(folder, "commit.bundle"), Path(folder, "checkout")
        bundle.write_bytes(archive)
        subprocess.run(["git", "clone", "--quiet", str(bundle), str(clone)], check=True)
        with contextlib.suppress(OSError):  # another worker of this node was faster
            clone.rename(home / place["code"])
    return str(home / place["code"])


def code_of(root: str) -> str | None:
    """The commit of a checkout, with a fingerprint of what was changed since; None where there is no checkout."""
    git = ["git", "-C", root]
    found = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    changed = subprocess.run([*git, "diff", "HEAD", "--", ".", *NOT_CODE], capture_output=True, check=False).stdout
    if found.returncode:
        return None
    return found.stdout.strip() + (f"-{hashlib.sha256(changed).hexdigest()[:12]}" if changed else "")


def _files(output: Path, patterns: Sequence[str]) -> dict[str, bytes]:
    found = {}
    for path in {path for pattern in patterns for path in output.glob(pattern)}:
        with contextlib.suppress(FileNotFoundError):  # other runs come and go
            if path.is_file() and path.suffix in BROUGHT and path.name[0] != "." and path.stat().st_size < LARGEST:
                found[path.relative_to(output).as_posix()] = path.read_bytes()
    return found
