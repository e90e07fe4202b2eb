"""Throw-away certificates: a CA, what it made for a server and for a client, and a CA that nobody should trust."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files. The server's certificate is for `name` alone (no IP address)."""

    ca: Path
    other_ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path
    name: str = "collector.test"


def make_certificates(folder: Path, name: str = "collector.test") -> Certificates:
    """Make all files in `folder` with the openssl program (about 0.1 s)."""
    for ca in ("ca", "other"):
        _openssl(
            "req", "-x509", *_KEY, "-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-subj", f"/CN={ca}", folder=folder
        )
    for who, usage in (("server", "serverAuth"), ("client", "clientAuth")):
        extensions = folder / f"{who}.ext"
        extensions.write_text(f"subjectAltName=DNS:{name}\nbasicConstraints=CA:FALSE\nextendedKeyUsage={usage}\n")
        _openssl("req", *_KEY, "-keyout", f"{who}.key", "-out", f"{who}.csr", "-subj", f"/CN={name}", folder=folder)
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", extensions.name)
        _openssl("x509", "-req", "-in", f"{who}.csr", "-out", f"{who}.pem", *signed, folder=folder)
    made = [folder / file for file in ("ca.pem", "other.pem", "server.pem", "server.key", "client.pem", "client.key")]
    return Certificates(made[0], made[1], made[2], made[3], made[4], made[5], name)


def _openssl(*arguments: str, folder: Path) -> None:
    subprocess.run(("openssl", *arguments), cwd=folder, check=True, capture_output=True, timeout=30)
