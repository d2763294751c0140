"""Links follow the fork's own address, and no address is invented."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from bookkit import site
from bookkit.repository import Repository, find_repository, provider_of, web_address


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://github.com/someone/book.git", "https://github.com/someone/book"),
        ("https://github.com/someone/book/", "https://github.com/someone/book"),
        ("https://someone:secret@gitlab.com/group/sub/book.git", "https://gitlab.com/group/sub/book"),
        ("git@github.com:someone/book.git", "https://github.com/someone/book"),
        ("ssh://git@codeberg.org:2222/someone/book.git", "https://codeberg.org/someone/book"),
        ("git://example.org/someone/book", "https://example.org/someone/book"),
        ("http://git.example.org:3000/someone/book", "http://git.example.org:3000/someone/book"),
    ],
)
def test_a_remote_on_a_host_has_a_page_without_names_and_tokens(remote: str, address: str) -> None:
    assert web_address(remote) == address


@pytest.mark.parametrize(
    "remote",
    [
        "",
        "/srv/git/book.git",
        "../book",
        "file:///srv/git/book.git",
        "C:/repositories/book",
        "work:someone/book",
        "http://localhost:3000/someone/book",
        "http://127.0.0.1/someone/book",
        "https://github.com/book",
    ],
)
def test_a_path_or_a_private_name_is_no_address(remote: str) -> None:
    assert web_address(remote) is None


def test_the_host_says_who_serves_it() -> None:
    assert provider_of("https://github.com/a/b") == "github"
    assert provider_of("https://gitlab.example.org/a/b") == "gitlab"
    assert provider_of("https://codeberg.org/a/b") == ""


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


def test_the_workflow_comes_before_the_remote(tmp_path: Path) -> None:
    _git(tmp_path, "init", "-b", "draft")
    _git(tmp_path, "remote", "add", "origin", "git@github.com:someone/book.git")
    assert find_repository(tmp_path, {}) == Repository("https://github.com/someone/book", "github", "draft")
    workflow = {
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "fork/book",
        "GITHUB_REF_TYPE": "branch",
        "GITHUB_REF_NAME": "main",
    }
    assert find_repository(tmp_path, workflow) == Repository("https://github.com/fork/book", "github", "main")


def test_a_local_remote_or_none_is_no_repository(tmp_path: Path) -> None:
    assert find_repository(tmp_path / "nowhere", {}) is None
    _git(tmp_path, "init")
    assert find_repository(tmp_path, {}) is None
    _git(tmp_path, "remote", "add", "origin", "/srv/git/book.git")
    assert find_repository(tmp_path, {}) is None


def _options(monkeypatch: pytest.MonkeyPatch, repository: Repository | None) -> dict:
    monkeypatch.setattr(site, "find_repository", lambda _: repository)
    config = SimpleNamespace(html_theme_options={"repository_url": "", "launch_buttons": {"thebe": False}})
    site.link_repository(None, config)
    return config.html_theme_options


def test_only_github_gets_buttons_that_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    options = _options(monkeypatch, Repository("https://github.com/a/b", "github", "main"))
    assert options["launch_buttons"]["colab_url"]
    assert options["repository_url"] == "https://github.com/a/b"
    options = _options(monkeypatch, Repository("https://gitlab.com/a/b", "gitlab", "main"))
    assert options["launch_buttons"] == {}
    assert options["use_issues_button"]


def test_an_unknown_host_gets_a_plain_link(monkeypatch: pytest.MonkeyPatch) -> None:
    options = _options(monkeypatch, Repository("https://codeberg.org/a/b", "", "main"))
    assert [link["url"] for link in options["icon_links"]] == ["https://codeberg.org/a/b"]
    assert "repository_url" not in options


def test_without_an_address_there_are_no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _options(monkeypatch, None) == {"launch_buttons": {}}
