"""What a container registry says of an image before a byte of it is pulled: digest, platform, size.

Protocol: OCI Distribution Specification 1.1; token authentication as in the Docker registry v2 documentation.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from evaluator.errors import EngineError, SubmissionError
from evaluator.text import printable

PLATFORM = "linux/amd64"
TIMEOUT = (10, 30)
MAX_DOCUMENT = 4 * 1024 * 1024
_INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
_MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Manifest:
    """One image for one platform: its digest, `os/architecture`, and the bytes that a pull would transfer."""

    digest: str
    platform: str
    size: int


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

    def manifest(self, repository: str, reference: str) -> Manifest:
        """The linux/amd64 manifest behind a tag or digest.

        Raises:
            SubmissionError: `IMAGE_NOT_FOUND`, `IMAGE_NOT_PUBLIC`, `IMAGE_PLATFORM`, `IMAGE_MANIFEST`.
            EngineError: the registry is out of reach or refuses to work now.
        """
        document, digest = self._document(repository, f"manifests/{reference}", (*_INDEXES, *_MANIFESTS))
        if "manifests" in document:
            digest = self._choose(document)
            document, digest = self._document(repository, f"manifests/{digest}", _MANIFESTS)
        try:
            layers = [int(layer["size"]) for layer in document["layers"]]
            config, _ = self._document(repository, f"blobs/{document['config']['digest']}", ())
            platform = f"{config['os']}/{config['architecture']}"
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise _unknown_form() from error
        if platform != PLATFORM:
            raise _wrong_platform([platform])
        return Manifest(digest, platform, sum(layers))

    def _choose(self, index: dict[str, Any]) -> str:
        """The digest of an index's linux/amd64 image."""
        found = {}
        try:
            for entry in index["manifests"]:
                platform = entry.get("platform") or {}
                found[f"{platform.get('os')}/{platform.get('architecture')}"] = str(entry.get("digest"))
        except (TypeError, AttributeError, ValueError) as error:
            raise _unknown_form() from error
        if PLATFORM not in found:
            raise _wrong_platform(sorted(found))
        return found[PLATFORM]

    def _document(self, repository: str, path: str, accept: tuple[str, ...]) -> tuple[dict[str, Any], str]:
        """One JSON document and the sha256 digest of its bytes, checked where it was asked for by digest."""
        url = f"{self.base}{repository}/{path}"
        try:
            response = self._get(url, {"Accept": ", ".join(accept)} if accept else {})
            with response:
                self._raise_for(response, repository)
                data = response.raw.read(MAX_DOCUMENT + 1, decode_content=True)
        except requests.RequestException as error:
            raise EngineError(f"The registry {self.host} cannot be reached: {type(error).__name__}.") from error
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        asked = path.rpartition("/")[2]
        if _DIGEST.fullmatch(asked) and digest != asked:
            raise EngineError(f"The registry {self.host} answered {asked} with other content.")
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise SubmissionError(
                "IMAGE_MANIFEST", "The image's manifest is not a JSON object.", "Push the image again."
            )
        return document, digest

    def _get(self, url: str, headers: dict[str, str]) -> requests.Response:
        response = self.session.get(url, headers=headers, timeout=TIMEOUT, stream=True)
        challenge = response.headers.get("WWW-Authenticate", "")
        if response.status_code == requests.codes.unauthorized and challenge.lower().startswith("bearer "):
            response.close()
            fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
            realm = fields.pop("realm", "")
            if urlsplit(realm).scheme != self.scheme:
                raise EngineError(f"The registry {self.host} names a token service that is not {self.scheme}.")
            answer = self.session.get(realm, params=fields, timeout=TIMEOUT)
            if answer.ok:
                body = answer.json()
                self.session.headers["Authorization"] = f"Bearer {body.get('token') or body.get('access_token')}"
            response = self.session.get(url, headers=headers, timeout=TIMEOUT, stream=True)
        return response

    def _raise_for(self, response: requests.Response, repository: str) -> None:
        status, name = response.status_code, printable(f"{self.host}/{repository}", 200)
        if status == requests.codes.not_found:
            raise SubmissionError(
                "IMAGE_NOT_FOUND", f"{name} has no such tag or digest.", "Push the image, then check again."
            )
        if status in (requests.codes.unauthorized, requests.codes.forbidden):
            raise SubmissionError(
                "IMAGE_NOT_PUBLIC",
                f"{name} does not exist or is not public.",
                "Push it, and make the repository public.",
            )
        if status >= requests.codes.bad_request:
            raise EngineError(f"The registry {self.host} answered with status {status}.", "Try again later.")


def _wrong_platform(found: list[str]) -> SubmissionError:
    return SubmissionError(
        "IMAGE_PLATFORM",
        f"The image is for {printable(', '.join(found), 100) or 'no platform'}, not for {PLATFORM}.",
        f"Build it with: docker build --platform {PLATFORM} ...",
    )


def _unknown_form() -> SubmissionError:
    return SubmissionError(
        "IMAGE_MANIFEST", "The image's manifest is of an old or unknown form.", "Push it again with a current Docker."
    )
