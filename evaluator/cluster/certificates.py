"""Who may take part in a cluster: whoever holds its certificate."""

from __future__ import annotations

from pathlib import Path

from distributed import Security

from evaluator.errors import UsageError

TLS_FILES = ("ca.pem", "cert.pem", "key.pem")


def security_of(folder: Path | None, address: str, *, insecure: bool) -> Security:
    """The certificates in a folder, for whichever side.

    Raises:
        UsageError: the address or the folder would leave the connection open to everybody.
    """
    if not address.startswith("tls://"):
        if insecure:
            return Security()
        raise UsageError(
            f"{address} is not encrypted: whoever reaches it could run code on every machine.",
            "Use a tls:// address with --tls, or say --insecure on a network that is yours alone.",
        )
    missing = [name for name in TLS_FILES if folder is None or not (folder / name).is_file()]
    if folder is None or missing:
        raise UsageError(
            f"{address} needs certificates: {', '.join(TLS_FILES)} in the folder that --tls names; "
            f"missing: {', '.join(missing)}.",
            "docs/cluster.md says how to make them.",
        )
    ca, cert, key = (str((folder / name).resolve()) for name in TLS_FILES)
    return security(ca, cert, key)


def security(ca: str, cert: str, key: str) -> Security:
    """The same certificate for whichever side."""
    roles = {
        f"tls_{role}_{kind}": path
        for role in ("client", "scheduler", "worker")
        for kind, path in (("cert", cert), ("key", key))
    }
    return Security(require_encryption=True, tls_ca_file=ca, **roles)
