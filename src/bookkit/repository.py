"""Where the repository that builds the book lives on the web, if anywhere: links follow the fork's own address."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_SCP_STYLE = re.compile(r"(?:[\w.+-]+@)?(?P<host>[\w.-]+):(?!/)(?P<path>.+)")
_HTTP = ("http", "https")


@dataclass(frozen=True)
class Repository:
    """A repository's address on the web."""

    url: str
    """Scheme, host, owner and name, without a trailing slash or ``.git``."""
    provider: str
    """``github``, ``gitlab``, ``bitbucket``, or empty for any other host."""
    branch: str

    @property
    def launchable(self) -> bool:
        """Whether Colab and Binder can open its notebooks."""
        return self.url.startswith("https://github.com/")


def find_repository(root: Path, environment: Mapping[str, str] = os.environ) -> Repository | None:
    """The address of the repository at ``root``, or None when it has none that others can reach.

    A workflow's environment (``GITHUB_SERVER_URL``, ``GITHUB_REPOSITORY``) comes first, then the git remote
    ``origin``.  A local path is no address.
    """
    server, name = environment.get("GITHUB_SERVER_URL"), environment.get("GITHUB_REPOSITORY")
    if server and name:
        return Repository(f"{server.rstrip('/')}/{name}", "github", _branch(root, environment))
    url = web_address(_git(root, "config", "--get", "remote.origin.url"))
    return Repository(url, provider_of(url), _branch(root, environment)) if url else None


def web_address(remote: str) -> str | None:
    """The web page of a git remote, without user names or tokens; None for a path or a host only we can reach.

    >>> web_address("git@github.com:someone/book.git")
    'https://github.com/someone/book'
    """
    parts = urlsplit(remote)
    if parts.scheme in (*_HTTP, "ssh", "git"):
        host, path = parts.hostname or "", parts.path
        if parts.port and parts.scheme in _HTTP:
            host = f"{host}:{parts.port}"
    elif match := _SCP_STYLE.fullmatch(remote):
        host, path = match["host"], match["path"]
    else:
        return None
    path = path.strip("/").removesuffix(".git")
    # A name without a dot is a shorthand of somebody's ssh configuration, or this very machine.
    if "." not in host or host.startswith("127.") or path.count("/") < 1:
        return None
    return f"{'http' if parts.scheme == 'http' else 'https'}://{host}/{path}"


def provider_of(url: str) -> str:
    """Which of the hosts that the theme knows serves ``url``; empty for any other."""
    host = urlsplit(url).hostname or ""
    return next((name for name in ("github", "gitlab", "bitbucket") if name in host), "")


def _branch(root: Path, environment: Mapping[str, str]) -> str:
    if (
        environment.get("GITHUB_REF_TYPE") == "branch"
        and environment.get("GITHUB_EVENT_NAME") != "pull_request"
    ):
        return environment.get("GITHUB_REF_NAME") or "main"
    return _git(root, "symbolic-ref", "--short", "--quiet", "HEAD") or "main"


def _git(root: Path, *arguments: str) -> str:
    """What git prints, stripped; empty when there is no git, no repository or no answer."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
