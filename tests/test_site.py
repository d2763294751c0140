"""The built site: what its files say, and how headless Chromium shows them with the network cut."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest

from bookkit.build import SITE
from bookkit.chapters import all_chapters
from bookkit.ledger import rows

REQUIRED = os.environ.get("BOOK_REQUIRE_BROWSER") == "1"
WAIT = 30
"""Seconds after which a page is taken to hang."""


def _missing(reason: str) -> None:
    """Skip, or fail where nothing may be missing."""
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


# What the files say


@dataclass
class Page:
    """What the tests need of one HTML file."""

    name: str
    """Relative to the site, with forward slashes."""
    ids: set[str] = field(default_factory=set)
    links: list[tuple[str, str]] = field(default_factory=list)
    """Address and text of every ``<a>``."""
    loaded: list[str] = field(default_factory=list)
    """Addresses of what a browser fetches to show the page."""
    images: list[dict[str, str]] = field(default_factory=list)
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.page = Page(name)
        self._link: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        page = self.page
        page.elements.append((tag, attributes))
        page.ids.update(attributes[name] for name in ("id", "name") if attributes.get(name))
        if tag == "a" and "href" in attributes:
            page.links.append((attributes["href"], ""))
            self._link = []
        elif tag == "img":
            page.images.append(attributes)
            page.loaded.append(attributes.get("src", ""))
        elif tag in ("script", "iframe", "source", "video", "audio", "embed") and attributes.get("src"):
            page.loaded.append(attributes["src"])
        elif tag == "link" and attributes.get("rel") in (
            "stylesheet", "icon", "shortcut icon", "preload", "modulepreload", "preconnect", "dns-prefetch",
        ):  # fmt: skip
            page.loaded.append(attributes.get("href", ""))

    def handle_data(self, data: str) -> None:
        if self._link is not None:
            self._link.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._link is not None:
            self.page.links[-1] = (self.page.links[-1][0], "".join(self._link).strip())
            self._link = None


@pytest.fixture(scope="session")
def pages() -> dict[str, Page]:
    """Every page of the built site by its name."""
    if not (SITE / "index.html").exists():
        _missing("the site is not built: run `make book` first")
    found = {}
    for file in sorted(SITE.rglob("*.html")):
        name = file.relative_to(SITE).as_posix()
        if name.startswith(("_static/", "_sources/")):
            continue
        reader = _Reader(name)
        reader.feed(file.read_text(encoding="utf-8"))
        found[name] = reader.page
    return found


def _local(page: str, address: str) -> tuple[str, str] | None:
    """File and anchor to which ``address`` on ``page`` leads, or None when it leaves the site."""
    if urlsplit(address).scheme or address.startswith("//"):
        return None
    path, anchor = urldefrag(urljoin(page, address))
    return unquote(urlsplit(path).path).lstrip("/"), unquote(anchor)


def test_every_internal_link_and_anchor_resolves(pages: dict[str, Page]) -> None:
    broken = []
    for page in pages.values():
        for address, _ in page.links:
            if (place := _local(page.name, address)) is None or address in ("", "#"):
                continue
            file, anchor = place
            if not (SITE / file).exists():
                broken.append(f"{page.name}: {address} (no such file)")
            elif anchor and file in pages and anchor not in pages[file].ids:
                broken.append(f"{page.name}: {address} (no such anchor)")
    assert not broken, "\n".join(broken)


def test_nothing_is_loaded_from_another_server(pages: dict[str, Page]) -> None:
    outside = [f"{page.name}: {address}" for page in pages.values() for address in page.loaded
               if address and not address.startswith("data:") and _local(page.name, address) is None]  # fmt: skip
    pattern = re.compile(r"@import[^;]*|url\(\s*['\"]?((?:https?:)?//[^)]*)")
    for sheet in SITE.rglob("*.css"):
        outside += [f"{sheet.name}: {match[0]}" for match in pattern.finditer(sheet.read_text(errors="replace"))
                    if "//" in match[0]]  # fmt: skip
    assert not outside, "\n".join(outside)


def test_everything_that_is_loaded_is_there(pages: dict[str, Page]) -> None:
    absent = []
    for page in pages.values():
        for address in page.loaded:
            if address.startswith("data:") or (place := _local(page.name, address)) is None:
                continue
            if address and not (SITE / place[0]).exists():
                absent.append(f"{page.name}: {address}")
    assert not absent, "\n".join(absent)


def test_every_image_says_in_words_what_it_shows(pages: dict[str, Page]) -> None:
    silent = [f"{page.name}: {image.get('src')}" for page in pages.values() for image in page.images
              if not image.get("alt", "").strip() or image["alt"].startswith(("../", "_images", "http"))]  # fmt: skip
    assert not silent, "\n".join(silent)


def test_links_to_equations_carry_the_surveys_number(pages: dict[str, Page]) -> None:
    wrong = []
    for page in pages.values():
        for address, text in page.links:
            match = re.search(r"#eq-(\d+)$", address)
            if match and not re.search(rf"\b{match[1]}\b", text):
                wrong.append(f"{page.name}: {address} reads {text!r}")
    assert not wrong, "\n".join(wrong)


def test_every_chapter_offers_its_notebook(pages: dict[str, Page]) -> None:
    for chapter in all_chapters():
        addresses = [address for address, _ in pages[f"book/{chapter.name}.html"].links]
        (address,) = [
            address for address in addresses if address.endswith(f"_sources/book/{chapter.name}.ipynb")
        ]
        file, _ = _local(f"book/{chapter.name}.html", address)
        assert json.loads((SITE / file).read_text(encoding="utf-8"))["cells"]


def _rows_of_ledger(pages: dict[str, Page]) -> dict[str, str]:
    """Verdict by claim, as the ledger page shows it."""
    attributes = [attributes for tag, attributes in pages["book/ledger.html"].elements if tag == "tr"]
    return {
        row["id"].removeprefix("row-"): row["data-verdict"] for row in attributes if "data-verdict" in row
    }


def test_the_ledger_page_has_every_row_in_the_surveys_order(pages: dict[str, Page]) -> None:
    shown = list(_rows_of_ledger(pages))
    claims = [claim.id for claim in rows()]
    assert sorted(shown) == sorted(claims)
    assert len(shown) == len(claims)


def test_the_ledger_page_shows_no_verdict_without_the_cell_that_produced_it(pages: dict[str, Page]) -> None:
    boxes = {}
    for page in pages.values():
        for _, attributes in page.elements:
            if attributes.get("id", "").startswith("claim-"):
                (kind,) = re.findall(r"claim--([\w-]+)", attributes["class"])
                boxes[attributes["id"].removeprefix("claim-")] = kind
    shown = _rows_of_ledger(pages)
    decided = {name: verdict for name, verdict in shown.items() if verdict not in ("planned", "quoted")}
    assert decided == boxes
    assert decided, "no chapter decides a claim"


# How a browser shows them


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def address(pages: dict[str, Page]) -> Iterator[str]:
    """Where the site is served, on this machine alone."""
    handler = functools.partial(_QuietHandler, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class Browser:
    """Headless Chromium that can reach nothing but this machine."""

    def __init__(self, chromium: str, driver: str, profile: str) -> None:
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for argument in (
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage",
            "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", f"--user-data-dir={profile}",
        ):  # fmt: skip
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        self.driver.set_script_timeout(WAIT)
        self.driver.set_page_load_timeout(WAIT)

    def appear(self, *, width: int, scheme: str) -> None:
        """A window of ``width`` pixels for a reader who prefers ``scheme``, light or dark."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
        )
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        self.settle()

    def open(self, url: str) -> None:
        """Open a page and wait for its formulas and images."""
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get("about:blank")
        self.driver.get(url)
        self.settle()

    def settle(self) -> None:
        self.driver.execute_async_script(
            """
            const done = arguments[arguments.length - 1];
            const pictures = Array.from(document.images, (image) => {
              image.loading = "eager";
              return image.complete ? null : new Promise((ready) => { image.onload = image.onerror = ready; });
            });
            const formulas = window.MathJax && MathJax.startup ? MathJax.startup.promise : null;
            // Two frames: a page hears of a new color scheme or width in the first one.
            const frames = () => requestAnimationFrame(() => requestAnimationFrame(() => done()));
            Promise.all([...pictures, formulas, document.fonts.ready]).then(frames);
            """
        )

    def run(self, script: str, *arguments: object) -> object:
        return self.driver.execute_script(script, *arguments)

    def errors(self) -> list[str]:
        """What the console called an error."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def traffic(self) -> tuple[list[str], list[str]]:
        """The addresses asked for, and those that failed."""
        asked, failed = [], []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                asked.append(message["params"]["request"]["url"])
            elif (
                message["method"] == "Network.responseReceived"
                and message["params"]["response"]["status"] >= 400
            ):
                failed.append(message["params"]["response"]["url"])
        return asked, failed


@pytest.fixture(scope="session")
def browser(pages: dict[str, Page]) -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    chromium = next(filter(None, map(shutil.which, names)), None)
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        _missing("there is no Chromium with its chromedriver on this machine")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        found = Browser(chromium, driver, profile)
        yield found
        found.driver.quit()


def _names() -> list[str]:
    names = [file.relative_to(SITE).as_posix() for file in SITE.glob("book/*.html")]
    return sorted([*names, *(name for name in ("genindex.html", "search.html") if (SITE / name).exists())])


@pytest.mark.parametrize("name", _names() or ["book/index.html"])
def test_a_page_is_whole_with_the_network_cut(name: str, browser: Browser, address: str) -> None:
    browser.appear(width=1280, scheme="light")
    browser.open(address + name)
    _assert_formulas(browser)
    _assert_images(browser)
    _assert_theme(browser, "light")
    browser.appear(width=1280, scheme="dark")
    _assert_theme(browser, "dark")
    browser.appear(width=390, scheme="light")
    _assert_width(browser, 390)
    asked, failed = browser.traffic()
    assert not [url for url in asked if not url.startswith((address, "data:", "about:", "chrome"))]
    assert not failed
    assert not browser.errors()


def _assert_formulas(browser: Browser) -> None:
    """Every formula of the source is typeset, none with an error, and tags are the survey's numbers."""
    expected, shown, errors, raw = browser.run(
        r"""
        const article = document.querySelector("article") || document.body;
        const sources = article.querySelectorAll("span.math, div.math");
        const text = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
        const raw = [];
        while (text.nextNode()) {
          const node = text.currentNode;
          const apart = node.parentElement.closest("pre, code, script, mjx-container");
          if (!apart && /\\\(|\\\[|\\begin\{|\\tag\{/.test(node.data)) raw.push(node.data.slice(0, 80));
        }
        return [
          sources.length,
          Array.from(sources).filter((source) => source.querySelector("mjx-container")).length,
          Array.from(article.querySelectorAll("mjx-merror, [data-mjx-error]"), (error) =>
            error.getAttribute("data-mjx-error") || error.textContent),
          raw,
        ];
        """
    )
    assert not errors
    assert not raw
    assert shown == expected
    for target, label in browser.run(
        """
        return Array.from(document.querySelectorAll("[id^='eq-']"), (target) => {
          let box = target.matches("div.math") ? target : target.nextElementSibling;
          while (box && !box.matches("div.math")) box = box.nextElementSibling;
          const label = box && box.querySelector("mjx-labels");
          const assistive = box && box.querySelector("mjx-assistive-mml mtext, mjx-assistive-mml mtd");
          return [target.id, label ? (assistive ? assistive.textContent : "?") : ""];
        });
        """
    ):
        if number := re.fullmatch(r"eq-(\d+)", target):
            assert number[1] in label, f"{target} is labeled {label!r}"


def _assert_images(browser: Browser) -> None:
    broken = browser.run(
        "return Array.from(document.images).filter((i) => !i.naturalWidth).map((i) => i.src)"
    )
    assert not broken


def _assert_theme(browser: Browser, scheme: str) -> None:
    theme, luminance, filtered, faint = browser.run(
        """
        const channels = (color) => color.match(/[\\d.]+/g).map(Number);
        const light = (color) => channels(color).slice(0, 3).map((c) => {
          c /= 255;
          return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        }).reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
        const page = light(getComputedStyle(document.body).backgroundColor);
        const faint = [];
        for (const word of document.querySelectorAll("article .verdict, article p, figcaption")) {
          const ink = light(getComputedStyle(word).color);
          const contrast = (Math.max(ink, page) + 0.05) / (Math.min(ink, page) + 0.05);
          const name = `${word.className} ${word.textContent.slice(0, 40)}`;
          if (contrast < 4.5) faint.push(`${name}: ${contrast.toFixed(1)}`);
        }
        const filtered = Array.from(document.querySelectorAll("article img")).filter((image) => {
          const style = getComputedStyle(image);
          return style.filter !== "none" || style.backgroundColor !== "rgba(0, 0, 0, 0)";
        }).map((image) => image.src);
        return [document.documentElement.dataset.theme, page, filtered, faint.slice(0, 10)];
        """
    )
    assert theme == scheme
    assert luminance > 0.8 if scheme == "light" else luminance < 0.05
    assert not filtered
    assert not faint


def _assert_width(browser: Browser, width: int) -> None:
    wide = browser.run(
        """
        const page = document.documentElement;
        if (page.scrollWidth <= arguments[0]) return [];
        return Array.from(document.querySelectorAll("main *"))
          .filter((e) => e.getBoundingClientRect().right > arguments[0] + 1)
          .slice(0, 8).map((e) => `${e.tagName}.${e.className} ${e.textContent.trim().slice(0, 40)}`);
        """,
        width,
    )
    assert not wide


def test_search_finds_a_chapter_and_a_row_of_the_ledger(browser: Browser, address: str) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    browser.appear(width=1280, scheme="light")
    browser.open(address + "search.html?q=gradient")
    results = WebDriverWait(browser.driver, WAIT).until(
        lambda _: browser.run(
            "return Array.from(document.querySelectorAll('#search-results li a'), (a) => a.href)"
        )
    )
    WebDriverWait(browser.driver, WAIT).until(
        lambda _: browser.run(
            "return /found/i.test(document.querySelector('#search-results p')?.textContent ?? '')"
        )
    )
    results = browser.run(
        "return Array.from(document.querySelectorAll('#search-results li a'), (a) => a.href)"
    )
    assert any(f"book/{chapter.name}.html" in link for chapter in all_chapters() for link in results)
    assert any("book/ledger.html" in link for link in results)
    assert not browser.errors()


def test_the_ledgers_filter_narrows_and_widens(browser: Browser, address: str) -> None:
    browser.appear(width=390, scheme="light")
    browser.open(address + "book/ledger.html")

    def shown() -> list[str]:
        return browser.run(
            "return Array.from(document.querySelectorAll('table.ledger tbody tr'))"
            ".filter((row) => row.offsetHeight > 0).map((row) => row.id)"
        )

    def choose(name: str, value: str) -> None:
        browser.run(
            "const control = document.querySelector('.ledger-filter').elements[arguments[0]];"
            "control.value = arguments[1]; control.dispatchEvent(new Event('input', {bubbles: true}));",
            name,
            value,
        )

    claims = rows()
    third_tier = sorted(f"row-{claim.id}" for claim in claims if claim.tier == 3)
    assert len(shown()) == len(claims)
    choose("text", "eq9-gradient-product")
    assert shown() == ["row-eq9-gradient-product"]
    choose("text", "no such words anywhere")
    assert shown() == []
    assert browser.run("return document.querySelector('.ledger-none').offsetHeight > 0")
    choose("text", "")
    choose("tier", "3")
    assert sorted(shown()) == third_tier
    choose("section", "6.2")
    kept = set(shown())
    assert kept
    assert all(claim.section.startswith("6.2") for claim in claims if f"row-{claim.id}" in kept)
    browser.run("document.querySelector('.ledger-filter button[type=reset]').click()")
    browser.settle()
    assert len(shown()) == len(claims)
    choose("verdict", "planned")
    browser.run("location.hash = 'row-' + arguments[0]", claims[0].id)
    browser.settle()
    assert f"row-{claims[0].id}" in shown()
    browser.open(address + "book/ledger.html?tier=3")
    assert sorted(shown()) == third_tier
