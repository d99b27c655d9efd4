"""A hub on 127.0.0.1: enough of the Hugging Face hub's protocol for transformers and datasets to load from it.

Serves repositories held in memory: info by revision, tree, paths-info, and resolve with ETag and ranges. `faults` makes
it fail the ways the real one does.
"""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from harness.experiment import ROOT
from harness.result.schema import Result

# One process makes many runs, since most of a short run is importing.
DRIVER = """import json, run, sys
from harness.arguments import parse_arguments
sys.exit(max(run.main(parse_arguments(arguments)) for arguments in json.loads(sys.argv[1])))"""
CREATED_AT = "2024-09-18T15:23:48.000Z"


@dataclass
class Repo:
    """One repository at one commit; `kind` is models or datasets."""

    kind: str
    name: str
    sha: str
    files: dict[str, bytes] = field(default_factory=dict)

    def info(self) -> dict:
        siblings = [{"rfilename": path} for path in sorted(self.files)]
        return {"_id": self.sha[:24], "id": self.name, "sha": self.sha, "private": False, "gated": False,
                "disabled": False, "tags": [], "downloads": 0, "likes": 0, "siblings": siblings,
                "createdAt": CREATED_AT, "lastModified": CREATED_AT}  # fmt: skip

    def entry(self, path: str) -> dict:
        return {"type": "file", "path": path, "size": len(self.files[path]), "oid": _oid(self.files[path])}

    def tree(self, folder: str, recursive: bool) -> list[dict]:
        prefix = f"{folder}/" if folder else ""
        inside = [path for path in sorted(self.files) if path.startswith(prefix)]
        folders = {prefix + path[len(prefix) :].rpartition("/")[0] for path in inside if "/" in path[len(prefix) :]}
        files = [path for path in inside if recursive or "/" not in path[len(prefix) :]]
        return [
            {"type": "directory", "path": path, "size": 0, "oid": _oid(path.encode())} for path in sorted(folders)
        ] + [self.entry(path) for path in files]


def parquet_repo(name: str, sha: str, configs: dict[str, dict[str, list]]) -> Repo:
    """A dataset as most of the hub's are: <config>/<split>-<i>-of-<n>.parquet, and a card that declares them.

    Args:
        name: owner/name.
        sha: its commit.
        configs: by config and split, the shards, each a datasets.Dataset.
    """
    files, card = {}, ["---", "configs:"]
    for config, splits in configs.items():
        card += [f"- config_name: {config}", "  data_files:"]
        for split, shards in splits.items():
            card += [f"  - split: {split}", f"    path: {config}/{split}-*"]
            for number, shard in enumerate(shards):
                buffer = io.BytesIO()
                shard.to_parquet(buffer)
                files[f"{config}/{split}-{number:05}-of-{len(shards):05}.parquet"] = buffer.getvalue()
    return Repo("datasets", name, sha, files | {"README.md": "\n".join([*card, "---", ""]).encode()})


def _oid(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


class Hub:
    """The server; use as a context manager. `requests` records what was asked."""

    def __init__(self, *repos: Repo) -> None:
        self.repos = {(repo.kind, repo.name): repo for repo in repos}
        self.faults: dict[str, int | str] = {}  # pattern of a path -> status, "drop", "cut" or "hang"
        self.requests: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "Hub":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fault_for(self, path: str) -> int | str | None:
        return next((fault for pattern, fault in self.faults.items() if re.search(pattern, path)), None)


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:  # noqa: C901 one class, bound to one hub
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def _answer(self, body: bytes = b"") -> None:
            url = urlsplit(self.path)
            path = unquote(url.path)
            hub.requests.append(f"{self.command} {self.path}")
            fault = hub.fault_for(path)
            if fault == "hang":
                time.sleep(30)
            if fault in ("drop", "hang"):
                self.close_connection = True
                return
            if isinstance(fault, int):
                code = {401: "GatedRepo", 403: "GatedRepo"}.get(fault)
                self._json({"error": f"fault {fault}"}, fault, code)
                return
            api = re.fullmatch(
                r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(revision|tree|paths-info)/([^/]+)(?:/(.*))?)?", path
            )
            resolve = re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
            if api:
                self._api(*api.groups(), recursive="recursive=true" in url.query.lower(), body=body)
            elif resolve:
                kind, name, revision, file = resolve.groups()
                self._resolve("datasets" if kind else "models", name, revision, file, cut=fault == "cut")
            else:
                self._json({"error": "not found"}, 404)

        def _repo(self, kind: str, name: str, revision: str | None) -> Repo | None:
            repo = hub.repos.get((kind, name))
            if repo is None:
                self._json({"error": "Repository not found"}, 401, "RepoNotFound")  # as the hub says to strangers
            elif revision not in (None, "main", repo.sha):
                self._json({"error": f"Invalid rev id: {revision}"}, 404, "RevisionNotFound")
            else:
                return repo
            return None

        def _api(self, kind, name, verb, revision, folder, recursive: bool, body: bytes) -> None:
            repo = self._repo(kind, name, revision)
            if repo is None:
                return
            if verb == "tree":
                self._json(repo.tree(folder or "", recursive))
            elif verb == "paths-info":
                asked = json.loads(body)["paths"] if body.startswith(b"{") else re.findall(rb"paths=([^&]+)", body)
                names = [path if isinstance(path, str) else unquote(path.decode().replace("+", " ")) for path in asked]
                self._json([repo.entry(path) for path in names if path in repo.files])
            else:
                self._json(repo.info())

        def _resolve(self, kind: str, name: str, revision: str, file: str, cut: bool) -> None:
            repo = self._repo(kind, name, revision)
            if repo is None:
                return
            if file not in repo.files:
                self._json({"error": "Entry not found"}, 404, "EntryNotFound", repo.sha)
                return
            content = repo.files[file]
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            first, last = (int(asked[1]), int(asked[2] or len(content) - 1)) if asked else (0, len(content) - 1)
            self.send_response(206 if asked else 200)
            self.send_header("ETag", f'"{_oid(content)}"')
            self.send_header("X-Repo-Commit", repo.sha)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(last - first + 1))
            if asked:
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content[first : first + 10 if cut else last + 1])
                self.close_connection = cut

        def _json(self, value, status: int = 200, code: str | None = None, sha: str | None = None) -> None:
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if code:
                self.send_header("X-Error-Code", code)
                self.send_header("X-Error-Message", str(value.get("error")))
            if sha:
                self.send_header("X-Repo-Commit", sha)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

    return Handler


def environment(hub: Hub, home: Path) -> dict[str, str]:
    """Of a user with this hub, an empty cache below `home` and no token."""
    return os.environ | {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(home), "HF_HUB_ETAG_TIMEOUT": "2",
                         "HF_HUB_DOWNLOAD_TIMEOUT": "2", "HF_TOKEN": "", "OMP_NUM_THREADS": "1"}  # fmt: skip


def run_experiments(
    task: str, settings: list[str], folder: Path, repos, *experiments: str, faults=(), timeout: int = 600
) -> tuple[subprocess.CompletedProcess, dict[str, tuple[Result, Path]]]:
    """Runs experiments of a task as such a user would; returns the process, and results and folders by experiment."""
    output = folder / "output"
    runs = [[f"method_comparison/{task}/experiments/{path}", "--device", "cpu", "--output", str(output), *settings]
            for path in experiments]  # fmt: skip
    with Hub(*repos) as hub:
        hub.faults |= dict(faults)
        done = subprocess.run([sys.executable, "-c", DRIVER, json.dumps(runs)], env=environment(hub, folder / "home"),
                              cwd=ROOT, capture_output=True, text=True, timeout=timeout)  # fmt: skip
    found = {}
    for path in output.glob("runs/*/*/*/result.json"):
        result = Result.model_validate_json(path.read_text())
        found[result.run_info.experiment_name] = (result, path.parent)
    return done, found
