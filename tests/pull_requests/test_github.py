"""Whatever GitHub answers is our trouble, never a submission's; it is asked again where that can do no harm."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from evaluator.errors import EngineError
from evaluator.pull_requests import github
from evaluator.pull_requests.github import GitHub, Pull

PULL = {"number": 1, "node_id": "PR_1", "user": {"login": "eve"}, "head": {"sha": "a" * 40}}


@dataclass
class Service:
    """Answers in the order given, the last one for ever."""

    answers: list[tuple[int, dict[str, str], bytes]]
    seen: list[str] = field(default_factory=list)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    this = Service([])

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            this.seen.append(self.command)
            status, headers, body = this.answers.pop(0) if len(this.answers) > 1 else this.answers[0]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_PUT = handle_any  # noqa: N815 - as http.server wants them

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    for name, value in {"TOKEN": "t", "REPOSITORY": "a/b", "API_URL": url, "GRAPHQL_URL": f"{url}/graphql"}.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    monkeypatch.setattr(github, "PATIENCE", github.PATIENCE.new(backoff_factor=0))
    yield this
    server.shutdown()
    server.server_close()


def good(content: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, json.dumps(content).encode()


def test_a_hiccup_is_tried_again(service: Service) -> None:
    service.answers = [(502, {}, b""), (429, {"Retry-After": "60"}, b""), good([PULL])]
    assert [pull.login for pull in GitHub().open_pulls("main")] == ["eve"]


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}, b"<html>"),
        (403, {"X-RateLimit-Remaining": "0"}, b'{"message": "API rate limit exceeded"}'),
        (404, {}, b"{}"),
        (200, {}, b"<html>maintenance</html>"),
        good(None),
        good({"message": "no"}),
        good([3]),
        good([{**PULL, "head": None}]),
        good([{**PULL, "user": "eve"}]),
    ],
)
def test_whatever_it_answers_is_our_fault(service: Service, answer: tuple[int, dict[str, str], bytes]) -> None:
    service.answers = [answer]
    with pytest.raises(EngineError, match="GitHub answered") as caught:
        GitHub().open_pulls("main")
    assert "Run the job again" in str(caught.value)
    assert ("rate limit" in str(caught.value)) == (answer[0] == 403)


def test_what_must_not_be_done_twice_is_asked_once(service: Service) -> None:
    service.answers = [good([]), (502, {}, b"")]
    with pytest.raises(EngineError):
        GitHub().comment(1, "text")
    assert service.seen == ["GET", "POST"]
    service.answers, service.seen = [good("no object")], []
    with pytest.raises(EngineError, match="no answer"):
        GitHub().merge(Pull.of(PULL), "title", "body")
    assert service.seen == ["POST"]
