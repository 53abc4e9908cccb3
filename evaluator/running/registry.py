"""What a container registry says of an image before a byte of it is pulled: digest, platform, size, layers.

Protocol: OCI Distribution Specification 1.1; token authentication as in the Docker registry v2 documentation.

Only a registry's own error document speaks about an image ("manifest unknown", "denied"). Every other answer, such as a
status alone, a proxy's page, a token service out of order or a refusal by the network that blobs are redirected to, is
an outage: nobody's fault but ours, and worth another try.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from evaluator.errors import EngineError, SubmissionError
from evaluator.text import printable

PLATFORM = "linux/amd64"
TIMEOUT = (10, 30)
MAX_DOCUMENT = 4 * 1024 * 1024
MAX_LAYERS = 125
"""As many as an engine can stack on overlayfs."""
PATIENCE = urllib3.Retry(
    total=3,
    connect=1,
    backoff_factor=0.5,
    status_forcelist=(429, *range(500, 600)),
    allowed_methods=("GET",),
    respect_retry_after_header=False,  # often a minute or more: the round itself tries again
    raise_on_status=False,
)
_INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
_MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
_LAYER = re.compile(r"application/vnd\.(oci\.image\.layer\.v1\.tar(\+gzip)?|docker\.image\.rootfs\.diff\.tar(\.gzip)?)")
_ZSTD = bytes.fromhex("28b52ffd")
_PARAMETER = re.compile(r'(\w+)=("[^"]*"|[^\s",]+)')
_BEARER = re.compile(r'\bBearer\s+(\w+=("[^"]*"|[^\s",]+)[\s,]*)+', re.IGNORECASE)  # other schemes may stand beside it
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ABSENT = {"NAME_UNKNOWN", "NAME_INVALID", "MANIFEST_UNKNOWN", "BLOB_UNKNOWN", "NOT_FOUND"}
_CLOSED = {"UNAUTHORIZED", "DENIED"}
LATER = "Try again later."
_FAULTS = (requests.RequestException, urllib3.exceptions.HTTPError)


@dataclass(frozen=True)
class Manifest:
    """One image for one platform.

    Attributes:
        digest: of the manifest.
        platform: `os/architecture`.
        size: bytes that a pull would transfer.
        layers: their digests, lowest first.
    """

    digest: str
    platform: str
    size: int
    layers: tuple[str, ...]


def platform_of(os: object, architecture: object, variant: object) -> str:
    """`os/architecture`, with the variant behind it where there is one beyond the plainest, as engines spell it."""
    system, machine, kind = (str(part or "").lower() for part in (os, architecture, variant))
    machine = {"x86_64": "amd64", "x86-64": "amd64"}.get(machine, machine)
    plainest = not kind or (machine, kind) == ("amd64", "v1")
    return f"{system or 'no system'}/{machine or 'no processor'}" + ("" if plainest else f"/{kind}")


class Registry:
    """One registry, read without credentials: a submission's image must be public.

    Args:
        host: as in the reference, e.g. `docker.io` or `ghcr.io`.
        insecure: speak plain http.
    """

    def __init__(self, host: str, *, insecure: bool = False) -> None:
        self.host = host
        self.scheme = "http" if insecure else "https"
        self.base = f"{self.scheme}://{'registry-1.docker.io' if host == 'docker.io' else host}/v2/"
        self.session = requests.Session()
        self.session.mount(f"{self.scheme}://", HTTPAdapter(max_retries=PATIENCE))
        self._token: str | None = None

    def manifest(self, repository: str, reference: str) -> Manifest:
        """The linux/amd64 manifest behind a tag or digest.

        Raises:
            SubmissionError: `IMAGE_NOT_FOUND`, `IMAGE_NOT_PUBLIC`, `IMAGE_PLATFORM`, `IMAGE_MANIFEST`, `IMAGE_LAYERS`,
                `IMAGE_INCOMPLETE`.
            EngineError: the registry is out of reach or refuses to work now.
        """
        document, digest = self._document(repository, f"manifests/{reference}", (*_INDEXES, *_MANIFESTS), top=True)
        if "manifests" in document:
            digest = self._choose(document)
            document, digest = self._document(repository, f"manifests/{digest}", _MANIFESTS)
        try:
            sizes = [int(layer["size"]) for layer in document["layers"]]
            layers = tuple(_digest(layer) for layer in document["layers"])
            kinds = [str(layer["mediaType"]) for layer in document["layers"]]
            config, _ = self._document(repository, f"blobs/{_digest(document['config'])}", ())
            platform = platform_of(config["os"], config["architecture"], config.get("variant"))
            contents = config["rootfs"].get("diff_ids") or ()
            described = len(contents) == len(layers)
            if min(sizes, default=0) < 0:
                raise ValueError(sizes)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise _unknown_form() from error
        if platform != PLATFORM:
            raise wrong_platform([platform])
        _require_stackable(kinds, described=described)
        return Manifest(digest, platform, sum(sizes), layers)

    def require_layers(self, repository: str, manifest: Manifest) -> None:
        """See that every layer is there and begins like one that an engine can unpack; a few bytes of each are read.

        Raises:
            SubmissionError: `IMAGE_INCOMPLETE`, `IMAGE_LAYERS`.
            EngineError: the registry is out of reach or refuses to work now.
        """
        for digest in dict.fromkeys(manifest.layers):
            with self._answer(repository, f"blobs/{digest}", {"Range": "bytes=0-3"}) as response:
                begins = response.raw.read(len(_ZSTD))
            if begins == _ZSTD:
                raise _unreadable("compressed with zstd")

    def _choose(self, index: dict[str, Any]) -> str:
        """The digest of an index's linux/amd64 image: of several the first, as engines choose; never a variant's."""
        found = []
        try:
            for entry in index["manifests"]:
                platform = entry.get("platform") or {}
                known = platform_of(platform.get("os"), platform.get("architecture"), platform.get("variant"))
                if known == PLATFORM:
                    return _digest(entry)
                found.append(known)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise _unknown_form() from error
        raise wrong_platform(sorted(set(found)))

    def _document(
        self, repository: str, path: str, accept: tuple[str, ...], *, top: bool = False
    ) -> tuple[dict[str, Any], str]:
        """One JSON document and the sha256 digest of its bytes, checked where they were promised."""
        headers = {"Accept": ", ".join(accept)} if accept else {}
        with self._answer(repository, path, headers, top=top) as response:
            data = response.raw.read(MAX_DOCUMENT + 1, decode_content=True)
            promised = response.headers.get("Docker-Content-Digest", "")
        if len(data) > MAX_DOCUMENT:
            raise SubmissionError(
                "IMAGE_MANIFEST",
                f"The image's manifest or configuration has more than {MAX_DOCUMENT // 1024**2} MiB.",
                "Build it with fewer labels and a shorter history.",
            )
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        asked = path.rpartition("/")[2]
        if _DIGEST.fullmatch(asked) and digest != asked:
            raise EngineError(f"The registry {self.host} answered {asked} with other content.")
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            if digest not in (asked, promised):
                raise EngineError(f"The registry {self.host} answered with a page that is no manifest.", LATER)
            raise SubmissionError(
                "IMAGE_MANIFEST", "The image's manifest is not a JSON object.", "Push the image again."
            )
        return document, digest

    @contextmanager
    def _answer(
        self, repository: str, path: str, headers: dict[str, str], *, top: bool = False
    ) -> Iterator[requests.Response]:
        """A good answer, its body not yet read.

        Args:
            top: it is what the reference names, not a part of that; only there may a registry's "no" mean the whole.
        """
        url, name = f"{self.base}{repository}/{path}", printable(f"{self.host}/{repository}", 200)
        try:
            response = self._get(url, headers)
            if (
                response.status_code == requests.codes.unauthorized
                and self._token is None
                and (fields := _challenge(response))
            ):
                response.close()
                self._token = self._new_token(fields, name)
                response = self._get(url, headers)
            with response:
                if response.status_code >= requests.codes.bad_request:
                    raise self._refusal(response, name, top=top)
                yield response
        except _FAULTS as error:
            raise EngineError(f"The registry {self.host} cannot be reached: {type(error).__name__}.", LATER) from error

    def _get(self, url: str, headers: dict[str, str]) -> requests.Response:
        token = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        return self.session.get(url, headers={**headers, **token}, timeout=TIMEOUT, stream=True)

    def _new_token(self, fields: dict[str, str], name: str) -> str:
        """Anybody's token for a repository, from the service that the registry names."""
        realm = fields.pop("realm", "")
        if urlsplit(realm).scheme != self.scheme:
            raise EngineError(f"The registry {self.host} names a token service that is not {self.scheme}.")
        with self.session.get(realm, params=fields, timeout=TIMEOUT, stream=True) as answer:
            if answer.status_code >= requests.codes.bad_request:
                if _says(answer) == "closed":
                    raise _not_public(name)
                raise EngineError(
                    f"The token service of {self.host} answered with status {answer.status_code}, "
                    "which says nothing of the image.",
                    LATER,
                )
            found = _read_json(answer)
        token = (found.get("token") or found.get("access_token")) if isinstance(found, dict) else None
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise EngineError(f"The token service of {self.host} answered without a token.", LATER)
        return token

    def _refusal(self, response: requests.Response, name: str, *, top: bool) -> SubmissionError | EngineError:
        """Whose fault an answer other than a good one is."""
        says = None if urlsplit(response.url).netloc != urlsplit(self.base).netloc else _says(response)
        if says == "absent" and top:
            return SubmissionError(
                "IMAGE_NOT_FOUND", f"{name} has no such tag or digest.", "Push the image, then check again."
            )
        if says == "absent":
            return SubmissionError(
                "IMAGE_INCOMPLETE", f"A part of the image is missing in {name}.", "Push the image again."
            )
        if says == "closed" and top:
            return _not_public(name)
        where = urlsplit(response.url).netloc
        return EngineError(
            f"The registry {self.host} answered with status {response.status_code}"
            + (f" at {printable(where, 100)}" if where != urlsplit(self.base).netloc else "")
            + ", which says nothing of the image.",
            LATER,
        )


def _challenge(response: requests.Response) -> dict[str, str]:
    """What a registry wants a token for, and where there is one; empty where it wants none."""
    challenge = _BEARER.search(response.headers.get("WWW-Authenticate", ""))
    return {name: value.strip('"') for name, value in _PARAMETER.findall(challenge[0])} if challenge else {}


def _says(response: requests.Response) -> str | None:
    """`absent` or `closed`, as a registry's own error document has it; None where it is about anything else."""
    if response.status_code not in (401, 403, 404) or _challenge(response).get("error") == "invalid_token":
        return None
    found = _read_json(response)
    errors = found.get("errors") if isinstance(found, dict) else None
    codes = {str(e.get("code")).upper() for e in errors if isinstance(e, dict)} if isinstance(errors, list) else set()
    if codes and codes <= _ABSENT:
        return "absent"
    return "closed" if codes and codes <= _CLOSED else None


def _read_json(response: requests.Response) -> object:
    """A small JSON document; None where it is none."""
    try:
        return json.loads(response.raw.read(MAX_DOCUMENT, decode_content=True))
    except (ValueError, RecursionError):
        return None


def _digest(entry: dict[str, Any]) -> str:
    found = entry["digest"]
    if not _DIGEST.fullmatch(found):
        raise ValueError(found)
    return str(found)


def _require_stackable(kinds: list[str], *, described: bool) -> None:
    """Hold layers against what every engine can unpack and stack, the oldest that is supported too.

    So the answer is the same wherever an image is checked and evaluated.
    """
    if odd := next((kind for kind in kinds if not _LAYER.fullmatch(kind)), None):
        raise _unreadable("compressed with zstd" if "zstd" in odd else f"of the kind {printable(odd, 100)}")
    if len(kinds) > MAX_LAYERS:
        raise SubmissionError(
            "IMAGE_LAYERS",
            f"The image has {len(kinds)} layers; engines stack at most {MAX_LAYERS}.",
            "Join RUN and COPY lines, or begin the last stage of the build with FROM and one COPY.",
        )
    if not described:
        raise SubmissionError(
            "IMAGE_LAYERS", "The image's configuration does not list the layers of its manifest.", "Build it anew."
        )


def _unreadable(how: str) -> SubmissionError:
    return SubmissionError(
        "IMAGE_LAYERS",
        f"A layer of the image is {how}, which not every engine can unpack.",
        "Push it with gzip, as docker push does; buildx: --output type=image,compression=gzip,force-compression=true.",
    )


def _not_public(name: str) -> SubmissionError:
    return SubmissionError(
        "IMAGE_NOT_PUBLIC", f"{name} does not exist or is not public.", "Push it, and make the repository public."
    )


def wrong_platform(found: list[str]) -> SubmissionError:
    """The refusal of an image for other platforms than ours."""
    return SubmissionError(
        "IMAGE_PLATFORM",
        f"The image is for {printable(', '.join(found), 100) or 'no platform'}, not for {PLATFORM}.",
        f"Build it with: docker build --platform {PLATFORM} ...",
    )


def _unknown_form() -> SubmissionError:
    return SubmissionError(
        "IMAGE_MANIFEST", "The image's manifest is of an old or unknown form.", "Push it again with a current Docker."
    )
