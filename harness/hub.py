"""What goes wrong between a run and the hub, told in one line that says what to do."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi, try_to_load_from_cache
from huggingface_hub.constants import HF_HUB_ETAG_TIMEOUT
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,  # of the HTTP client that huggingface_hub is built on
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from harness.errors import UserError
from harness.result.schema import RepoInfo

HUB = "https://huggingface.co"


@contextmanager
def hub_errors(repo_id: str, revision: str | None, kind: str) -> Iterator[None]:
    """Turns the failures of loading a repository into UserErrors; anything it does not recognize passes.

    Args:
        repo_id: owner/name.
        revision: the pinned commit, None for what is loaded from the project itself.
        kind: "model" or "dataset".

    Raises:
        UserError: what failed and what to do about it.
    """
    # Imported here, since embedded runs do without datasets, whose import is slow; it wraps errors while it prepares.
    from datasets.exceptions import DatasetsError

    try:
        yield
    except (OSError, HTTPError, DatasetsError) as error:
        remedy = _remedy(error, repo_id, revision, kind)
        if remedy is None:
            raise
        raise UserError(f"{kind} {repo_id}: {remedy}") from error


def _remedy(error: BaseException, repo_id: str, revision: str | None, kind: str) -> str | None:
    page = f"{HUB}/{'datasets/' if kind == 'dataset' else ''}{repo_id}"
    chain = list(_chain(error))
    if any(isinstance(link, OSError) and link.errno in (errno.ENOSPC, errno.EDQUOT) for link in chain):
        return "the disk is full; free some space, or point HF_HOME to a larger disk"
    if _find(chain, OfflineModeIsEnabled) or (_is_offline() and _find(chain, (OSError, LocalEntryNotFoundError))):
        return "is not in the local cache, and HF_HUB_OFFLINE forbids to download it; unset HF_HUB_OFFLINE once"
    # datasets loses the hub's own error on the way and keeps its words
    if _find(chain, GatedRepoError) or "gated dataset" in str(error):
        return f"access is restricted; accept its conditions at {page}, then log in with `hf auth login`"
    if _find(chain, RepositoryNotFoundError) or "doesn't exist on the Hub" in str(error):
        return "does not exist on the hub; check the name, and log in with `hf auth login` if it is private"
    if _find(chain, RevisionNotFoundError):
        return f"has no revision {revision}; pin one of {page}/commits/main"
    answered = _find(chain, HfHubHTTPError)
    if answered is not None and answered.response is not None and answered.response.status_code >= 500:
        return f"the hub answered {answered.response.status_code}; try again later (downloads resume)"
    missing = _find(chain, EntryNotFoundError)
    if missing is not None and not isinstance(missing, LocalEntryNotFoundError):
        return f"lacks a file at revision {revision} ({_first_line(missing)}); check the name and the revision"
    if _find(chain, (HTTPError, ConnectionError, LocalEntryNotFoundError)) or "onsistency check failed" in str(error):
        return (
            f"the connection failed ({_first_line(error)}); check the network and run again, "
            "or set HF_HUB_OFFLINE=1 to use the local cache"
        )
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _find(chain: list[BaseException], types: type | tuple[type, ...]) -> BaseException | None:
    return next((link for link in chain if isinstance(link, types)), None)


def _is_offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]


def look_up(repo_id: str, revision: str | None, kind: str) -> RepoInfo:
    """Commit and age of a repository at the pinned revision, asked of the hub before anything is downloaded.

    One request that fails fast tells more than the many retries of a download. Offline, the commit is the one whose
    files lie in the cache, and the age is not known.

    Raises:
        UserError: the hub refuses or fails.
    """
    if _is_offline():
        return RepoInfo(sha=revision if kind == "dataset" else _cached_commit(repo_id, revision))
    with hub_errors(repo_id, revision, kind):
        info = HfApi().repo_info(repo_id, revision=revision, repo_type=kind, timeout=HF_HUB_ETAG_TIMEOUT)
    return RepoInfo(sha=info.sha, created_at=info.created_at.isoformat() if info.created_at else None)


def _cached_commit(repo_id: str, revision: str | None) -> str | None:
    path = try_to_load_from_cache(repo_id, "config.json", revision=revision)
    return Path(path).parent.name if isinstance(path, str) else None
