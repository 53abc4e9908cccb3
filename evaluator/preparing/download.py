"""What stands at an address: of a maintainer's choice, or of a stranger's, by `public_web`."""

from __future__ import annotations

import time

import requests

from evaluator.errors import EngineError, EvaluatorError
from evaluator.preparing.public_web import REFUSED

TIMEOUT = (10, 60)
LONGEST = 1800
"""Seconds that a whole file may take."""
MAX_BYTES = 200 * 1024 * 1024


def download(url: str, most: int = MAX_BYTES, web: requests.Session | None = None) -> bytes:
    """What an address has.

    Args:
        most: bytes that are taken.
        web: asks for it; for what a stranger named, the public web alone.

    Raises:
        EngineError: nothing comes, or too slowly.
        EvaluatorError: it is larger, or is none that may be asked.
    """
    until = time.monotonic() + LONGEST
    try:
        with (web or requests.Session()).get(url, timeout=TIMEOUT, stream=True) as response:
            response.raise_for_status()
            data = b""
            for chunk in response.iter_content(1024 * 1024):
                data += chunk
                if len(data) > most:
                    raise EvaluatorError(f"{url} is larger than {most:,} bytes.")
                if time.monotonic() > until:
                    raise EngineError(f"{url} takes longer than {LONGEST} s.", "Try again later.")
            return data
    except REFUSED as error:
        raise EvaluatorError(f"{url} is not asked: {error}.") from error
    except requests.RequestException as error:
        raise EngineError(f"{url} cannot be downloaded: {type(error).__name__}.", "Try again later.") from error
