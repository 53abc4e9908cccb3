"""A server in place of every host at which a card's evidence is looked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from evaluator.integrity.evidence import Lookup

HOSTS = ("github.com", "raw.githubusercontent.com", "doi.org")
Answer = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""


@dataclass
class Forge:
    """What it answers, by path; 404 to all else."""

    address: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def lookup(self) -> Lookup:
        """Asks here in place of all hosts."""
        return Lookup({f"https://{host}": self.address for host in HOSTS})


@contextmanager
def forge() -> Iterator[Forge]:
    this = Forge()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            this.asked.append((self.path, dict(self.headers.items())))
            status, headers, body = this.answers.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # whoever has read enough hangs up
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    this.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield this
    finally:
        server.shutdown()
        server.server_close()
