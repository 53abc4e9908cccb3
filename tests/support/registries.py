"""A registry of our own, images in it, and a front that plays what registries and networks before them do."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import docker
import requests

from tests.conftest import LocalRegistry, Workspace

OCI = "application/vnd.oci.image"
GZIP = f"{OCI}.layer.v1.tar+gzip"


def settings(workspace: Workspace, registry: LocalRegistry | Front, **more: object) -> None:
    lines = [f'insecure_registries = ["{registry.host}"]', *(f"{k} = {v}" for k, v in more.items())]
    (workspace.root / "pyproject.toml").write_text("[tool.apb]\n" + "\n".join(lines) + "\n")


def push(engine: docker.DockerClient, local: str, name: str) -> str:
    image = engine.images.get(local)
    image.tag(name)
    for line in engine.images.push(name, stream=True, decode=True):
        assert "error" not in line, line
    engine.images.remove(name)
    return name


# --- images that no engine makes -------------------------------------------------------------------------------------


def layer(name: str, content: bytes = b"x") -> bytes:
    """A layer of one file, packed as engines pack it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0)


@dataclass(frozen=True)
class Handmade:
    """A repository into which documents are put by hand."""

    registry: LocalRegistry
    name: str

    @property
    def base(self) -> str:
        return f"http://{self.registry.host}/v2/{self.name}"

    def blob(self, content: bytes, kind: str = GZIP) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        where = requests.post(f"{self.base}/blobs/uploads/", timeout=10).headers["Location"]
        requests.put(where, params={"digest": digest}, data=content, timeout=10).raise_for_status()
        return {"mediaType": kind, "digest": digest, "size": len(content)}

    def put(self, tag: str, document: Mapping[str, Any]) -> dict[str, Any]:
        data = json.dumps(document).encode()
        headers = {"Content-Type": document["mediaType"]}
        requests.put(f"{self.base}/manifests/{tag}", data=data, headers=headers, timeout=10).raise_for_status()
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        return {"mediaType": document["mediaType"], "digest": digest, "size": len(data)}

    def image(
        self,
        tag: str,
        layers: Sequence[bytes],
        *,
        kind: str = GZIP,
        contents: Sequence[str] | None = None,
        **config: object,
    ) -> dict[str, Any]:
        """An image of these layers; its descriptor.

        Args:
            kind: media type of the last layer.
            contents: what the configuration says that the layers unpack to, where it lies.
        """
        if contents is None:
            contents = [f"sha256:{hashlib.sha256(_unpacked(one)).hexdigest()}" for one in layers]
        described = {
            "os": "linux",
            "architecture": "amd64",
            "config": {"Cmd": ["/none"]},
            "rootfs": {"type": "layers", "diff_ids": list(contents)},
            **config,
        }
        pushed = {one: self.blob(one) for one in set(layers)}
        blobs = [dict(pushed[one]) for one in layers]
        blobs[-1]["mediaType"] = kind
        return self.put(
            tag,
            {
                "schemaVersion": 2,
                "mediaType": f"{OCI}.manifest.v1+json",
                "config": self.blob(json.dumps(described).encode(), f"{OCI}.config.v1+json"),
                "layers": blobs,
            },
        )

    def copied(self, tag: str) -> dict[str, Any]:
        """The descriptor of an image that an engine has pushed."""
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        answer = requests.get(f"{self.base}/manifests/{tag}", headers={"Accept": kind}, timeout=10)
        answer.raise_for_status()
        digest = answer.headers["Docker-Content-Digest"]
        return {"mediaType": kind, "digest": digest, "size": len(answer.content)}

    def index(self, tag: str, *entries: Mapping[str, Any]) -> None:
        self.put(tag, {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": list(entries)})

    def reference(self, tag: str, host: str = "") -> str:
        return f"{host or self.registry.host}/{self.name}:{tag}"


def _unpacked(content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError):
        return content


# --- a front before the registry -------------------------------------------------------------------------------------

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""


def refusal(code: str, status: int) -> Answer:
    """A registry's own error document."""
    body = json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode()
    return status, {"Content-Type": "application/json"}, body


@dataclass
class Front:
    """What stands before a registry and wants tokens; a test says how it answers instead.

    Attributes:
        rules: by a part of a path, the answer in place of the registry's; an empty body is sent as it is.
        always: the answer to everything.
        tokens: the answer of the token service.
        torn: blobs end in the middle.
        hiccups: how many requests are answered with 503 before it comes to its senses.
    """

    registry: LocalRegistry
    host: str = ""
    rules: dict[str, Answer] = field(default_factory=dict)
    always: Answer | None = None
    tokens: Answer = (200, {}, b'{"token": "anybody"}')
    torn: bool = False
    hiccups: int = 0
    seen: list[str] = field(default_factory=list)

    def answer(self, path: str, headers: Mapping[str, str]) -> Answer:
        self.seen.append(path)
        if self.hiccups:
            self.hiccups -= 1
            return 503, {"Retry-After": "60"}, b""
        if self.always:
            return self.always
        if path.startswith("/token"):
            return self.tokens
        if headers.get("Authorization") != "Bearer anybody":
            realm = f'Bearer realm="http://{self.host}/token",service="front",scope="repository:x:pull"'
            return 401, {"WWW-Authenticate": realm}, refusal("UNAUTHORIZED", 401)[2]
        if found := next((rule for part, rule in self.rules.items() if part in path), None):
            return found
        passed = {k: v for k, v in headers.items() if k in ("Accept", "Range")}
        answer = requests.get(f"http://{self.registry.host}{path}", headers=passed, timeout=30)
        kept = {k: v for k, v in answer.headers.items() if k in ("Content-Type", "Docker-Content-Digest")}
        return answer.status_code, kept, answer.content

    def tears(self, path: str, headers: Mapping[str, str]) -> bool:
        return self.torn and "/blobs/" in path and "Range" not in headers


@contextmanager
def front(registry: LocalRegistry) -> Iterator[Front]:
    this = Front(registry)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = dict(self.headers.items())
            status, headers, body = this.answer(self.path, asked)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "HEAD":
                return
            if this.tears(self.path, asked):
                body, self.close_connection = body[: len(body) // 2], True
            self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - as http.server wants them

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # whoever has read enough hangs up
    threading.Thread(target=server.serve_forever, daemon=True).start()
    this.host = f"127.0.0.1:{server.server_address[1]}"
    try:
        yield this
    finally:
        server.shutdown()
        server.server_close()
