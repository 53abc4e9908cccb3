"""Signatures of the chain of records: one over the chain's file covers every record ever written.

`ssh`: `ssh-keygen -Y` with a key that the machine has (APB_SIGNING_KEY names its file). `sigstore`: the identity of a
workflow, without any key of ours; the extra `sign` installs the library.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from evaluator.errors import EvaluatorError
from evaluator.files import write_bytes
from evaluator.settings import Settings
from evaluator.text import printable

NAMESPACE = "antibody-polyreactivity-benchmark"
SUFFIX = {"ssh": ".sig", "sigstore": ".sigstore.json"}
INSTALL = "Install it: pip install 'antibody-polyreactivity-benchmark[sign]'"


def signature_of(chain: Path, settings: Settings) -> Path | None:
    """Where the chain's signature is kept; None where no signer is configured."""
    return None if settings.signer == "none" else chain.with_name(chain.name + SUFFIX[settings.signer])


def sign(chain: Path, settings: Settings) -> Path | None:
    """Sign the chain; None where no signer is configured.

    Raises:
        EvaluatorError: the signer cannot sign here.
    """
    target = signature_of(chain, settings)
    if target is None or not chain.is_file():
        return None
    content = chain.read_bytes()
    signature = _ssh_sign(content) if settings.signer == "ssh" else _sigstore_sign(content)
    check = _ssh_verify if settings.signer == "ssh" else _sigstore_verify
    if fault := check(content, signature, settings):
        raise EvaluatorError(
            f"The signature does not hold for signer_identity in [tool.apb]: {fault}",
            "Sign with the key of that identity, or name another identity there (docs/maintaining.md).",
        )
    write_bytes(target, signature)
    return target


def verify(chain: Path, settings: Settings) -> str | None:
    """Why the chain's signature does not hold; None where it does.

    Raises:
        EvaluatorError: it cannot be judged here.
    """
    target = signature_of(chain, settings)
    assert target is not None
    if not target.is_file():
        return f"{target.name} is missing"
    check = _ssh_verify if settings.signer == "ssh" else _sigstore_verify
    return check(chain.read_bytes(), target.read_bytes(), settings)


def _ssh_sign(content: bytes) -> bytes:
    key = os.environ.get("APB_SIGNING_KEY", "")
    if not Path(key).is_file():
        raise EvaluatorError("APB_SIGNING_KEY does not name a key.", "Make one with: ssh-keygen -t ed25519 -f FILE")
    return _ssh("sign", "-f", key, "-n", NAMESPACE, content=content)


def _ssh_verify(content: bytes, signature: bytes, settings: Settings) -> str | None:
    if not settings.signer_identity:
        raise EvaluatorError("signer_identity is empty.", "Put the public key into [tool.apb].")
    with tempfile.TemporaryDirectory() as folder:
        allowed, given = Path(folder) / "allowed", Path(folder) / "signature"
        allowed.write_text(f"benchmark {settings.signer_identity}\n")
        given.write_bytes(signature)
        try:
            names = ("-f", str(allowed), "-I", "benchmark", "-n", NAMESPACE, "-s", str(given))
            _ssh("verify", *names, content=content)
        except EvaluatorError as error:
            return str(error)
    return None


def _ssh(action: str, *arguments: str, content: bytes) -> bytes:
    command = ["ssh-keygen", "-Y", action, *arguments]
    try:
        return subprocess.run(command, input=content, capture_output=True, check=True, timeout=60).stdout
    except FileNotFoundError as error:
        raise EvaluatorError("ssh-keygen is not installed.", "Install it, e.g. with openssh-client.") from error
    except (OSError, subprocess.SubprocessError) as error:
        said = printable((getattr(error, "stderr", None) or b"").decode("utf-8", "replace").strip(), 200)
        raise EvaluatorError(f"ssh-keygen -Y {action} failed: {said or error}") from error


def _sigstore_sign(content: bytes) -> bytes:
    try:
        from sigstore.errors import Error
        from sigstore.models import ClientTrustConfig
        from sigstore.oidc import IdentityError, IdentityToken, detect_credential
        from sigstore.sign import SigningContext
    except ImportError as error:
        raise EvaluatorError("The package sigstore is not installed.", INSTALL) from error
    try:
        token = detect_credential()
        if token is None:
            raise EvaluatorError(
                "No identity to sign with was found.", "Sign in a workflow that has permission id-token: write."
            )
        context = SigningContext.from_trust_config(ClientTrustConfig.production())
        with context.signer(IdentityToken(token)) as signer:
            return signer.sign_artifact(content).to_json().encode()
    except (Error, IdentityError, OSError) as error:
        raise EvaluatorError(f"sigstore could not sign: {printable(str(error), 200)}", "Try again later.") from error


def _sigstore_verify(content: bytes, signature: bytes, settings: Settings) -> str | None:
    try:
        from sigstore.errors import Error
        from sigstore.models import Bundle, InvalidBundle
        from sigstore.verify import Verifier
        from sigstore.verify.policy import Identity
    except ImportError as error:
        raise EvaluatorError("The package sigstore is not installed.", INSTALL) from error
    if not settings.signer_identity:
        raise EvaluatorError("signer_identity is empty.", "Put the workflow's identity into [tool.apb].")
    try:
        bundle = Bundle.from_json(signature)
        policy = Identity(identity=settings.signer_identity, issuer=settings.signer_issuer)
        Verifier.production(offline=True).verify_artifact(content, bundle, policy)
    except InvalidBundle as error:
        return f"not a signature: {printable(str(error), 200)}"
    except Error as error:
        return printable(str(error), 200)
    return None
