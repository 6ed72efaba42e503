"""Look through the site that `make docs` made, as a reader would who follows every link.

    python tests/crawl.py build/site

names every link that leads nowhere, every request to another machine, and every LaTeX command
that stands there as text. With a Chromium at hand each page is also drawn at the widths of a phone
and of a screen, to see what is wider than the page and what the console says.
"""

from __future__ import annotations

import functools
import http.server
import json
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
# Text in these is code, or written by a program for programs.
QUOTED = {"pre", "code", "script", "style", "math", "title"}
LATEX = re.compile(r"\\[A-Za-z]{2,}|\$[^$\n]+\$|\\\(")
WIDTHS = (390, 1280)
PATIENCE = 900
# Opens each page in a frame of each width, and sends what it sees.
DRIVER = """<!doctype html><body><script>
const found = [], wait = (f) => new Promise((done) => { f.onload = done; });
(async () => { for (const page of PAGES) for (const width of WIDTHS) {
  const f = document.createElement("iframe");
  f.style = `width:${width}px;height:900px;border:0`; f.src = page;
  document.body.append(f); await wait(f);
  const d = f.contentDocument, w = d.documentElement.scrollWidth;
  if (w > width) found.push(`${page} is ${w} wide at ${width}`);
  for (const one of d.querySelectorAll("math"))
    if (one.getBoundingClientRect().right > width + 1)
      found.push(`${page} has an equation beyond ${width}: ${one.textContent}`);
  for (const one of f.contentWindow.performance.getEntriesByType("resource"))
    if (!one.name.startsWith(location.origin)) found.push(`${page} asks for ${one.name}`);
  f.remove();
} fetch("/found", {method: "POST", body: JSON.stringify(found)}); })();
</script>"""


class Page(HTMLParser):
    """What a page has: anchors, links, what it loads, and its text without code."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.words: list[str] = []
        self._quoted = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        self.anchors |= {known[name] for name in ("id", "name") if name in known}
        self._quoted += tag in QUOTED
        if tag == "a" and "href" in known:
            self.links.append(known["href"])
        elif LOADED.get(tag) in known:
            links = tag != "link" or not {"next", "prev", "index", "search"} & {known.get("rel")}
            (self.loads if links else self.links).append(known[LOADED[tag]])

    def handle_endtag(self, tag: str) -> None:
        self._quoted -= tag in QUOTED

    def handle_data(self, data: str) -> None:
        if not self._quoted:
            self.words.append(data)


def faults(site: Path) -> Iterator[str]:
    """Name what is wrong with the pages as they are written."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    reached, waiting = set(), [site / "index.html"]
    while waiting:
        path = waiting.pop()
        if path in reached or path not in pages:
            continue
        reached.add(path)
        for link in pages[path].links:
            parts = urlsplit(link)
            if not parts.scheme and not parts.netloc:
                waiting.append((path.parent / unquote(parts.path)).resolve())
    for path, page in pages.items():
        name = path.relative_to(site).as_posix()
        if path not in reached and path.name not in {"genindex.html", "py-modindex.html"}:
            yield f"{name} is reached from no page"
        for link in page.links + page.loads:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in page.loads and parts.scheme != "data":
                    yield f"{name} loads {link}"
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.exists():
                yield f"{name} leads to {link}, which is nowhere"
            elif anchor and target in pages and anchor not in pages[target].anchors:
                yield f"{name} leads to {link}, where nothing has that name"
        for word in LATEX.findall("".join(page.words)):
            yield f"{name} shows {word!r}"
    for path in site.rglob("*.css"):
        for url in re.findall(
            r"(?:url\(|@import)\s*['\"]?((?:https?:)?//[^'\")]+)", path.read_text()
        ):
            yield f"{path.relative_to(site).as_posix()} loads {url}"


class Server(http.server.ThreadingHTTPServer):
    """Serves a site and the page that looks through it, and waits for what that found."""

    def __init__(self, site: Path) -> None:
        pages = [path.relative_to(site).as_posix() for path in sorted(site.rglob("*.html"))]
        driver = DRIVER.replace("PAGES", json.dumps(pages)).replace("WIDTHS", str([*WIDTHS]))
        self.driver = driver.encode()
        self.found: queue.Queue[list[str]] = queue.Queue()
        super().__init__(("127.0.0.1", 0), functools.partial(Answers, directory=str(site)))


class Answers(http.server.SimpleHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path != "/driver":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.server.driver)
        return None

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()
        self.server.found.put(json.loads(text))

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


def drawn(site: Path, browser: str) -> Iterator[str]:
    """Draw each page in a browser, and name what is too wide, asked of others or complained of."""
    server = Server(site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as own,
        tempfile.TemporaryFile() as log,
    ):
        command = [browser, "--headless", "--no-sandbox", f"--user-data-dir={own}"]
        command += [
            "--enable-logging=stderr",
            "--remote-debugging-port=0",
            "--window-size=1400,1000",
        ]
        address = f"http://127.0.0.1:{server.server_port}/driver"
        with subprocess.Popen([*command, address], stdout=log, stderr=log) as running:
            try:
                yield from server.found.get(timeout=PATIENCE)
            except queue.Empty:
                yield f"{browser} did not come to an end in {PATIENCE} s"
            running.terminate()
        log.seek(0)
        yield from re.findall(r":CONSOLE[^\]]*\] (.*)", log.read().decode(errors="replace"))
    server.shutdown()


def main(site: Path) -> int:
    """Print what is wrong with a site, and return whether anything is."""
    found = [*faults(site)]
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    found += [*drawn(site, browser)] if browser else []
    widths = f", drawn at {WIDTHS[0]} and {WIDTHS[1]} pixels" if browser else "; no browser here"
    count = len([*site.rglob("*.html")])
    print(*found, f"{count} pages looked through{widths}: {len(found)} faults", sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
