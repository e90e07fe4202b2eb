"""TLS material of a destination: read from its files (or PEM texts) each time a connection is set up anew.

Raises OptionError where a file cannot be read or does not hold what it should; the text names the setting and the path,
never the content. The caller forgets what it got after a failure and asks again, so that a mended or rotated file heals
without a restart.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass

from otellogdriver.errors import OptionError
from otellogdriver.export.destination import Destination


@dataclass(frozen=True, slots=True, repr=False)
class Material:
    """PEM bytes; None where the destination says nothing."""

    authority: bytes | None
    certificate: bytes | None
    key: bytes | None


def material(destination: Destination) -> Material:
    """Read the files and check them: each parses, and the key belongs to the certificate."""
    read = Material(
        _read("CA certificate", destination.certificate),
        _read("client certificate", destination.client_certificate),
        _read("client key", destination.client_key),
    )
    if read.key and not read.certificate:
        raise OptionError("a client key is set, but no client certificate: set both or neither")
    context(destination, read)
    return read


def context(destination: Destination, read: Material | None = None) -> ssl.SSLContext:
    """What Python's own TLS needs for the destination."""
    read = read or material(destination)
    try:
        made = ssl.create_default_context(cadata=read.authority.decode("ascii") if read.authority else None)
    except (ssl.SSLError, ValueError) as error:
        raise OptionError(f"CA certificate {_shown(destination.certificate)}: no valid PEM ({_short(error)})") from None
    # Python 3.13 began to refuse chains that gRPC, Go and curl take, such as a CA's without the extension `key usage`.
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if destination.skip_verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if read.certificate:
        _load_chain(made, destination, read.certificate + b"\n" + (read.key or b""))
    return made


def for_proxy(destination: Destination) -> ssl.SSLContext:
    """What an https proxy is believed by: the usual authorities, and those of the destination."""
    made = ssl.create_default_context()
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    authority = _read("CA certificate", destination.certificate)
    if authority:
        try:
            made.load_verify_locations(cadata=authority.decode("ascii"))
        except (ssl.SSLError, ValueError) as error:
            shown = _shown(destination.certificate)
            raise OptionError(f"CA certificate {shown}: no valid PEM ({_short(error)})") from None
    return made


def _load_chain(made: ssl.SSLContext, destination: Destination, pem: bytes) -> None:
    """OpenSSL takes a client certificate only from a file: give it one that is in memory alone."""
    shown = f"client certificate {_shown(destination.client_certificate)}"
    handle = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
    try:
        with open(handle, "wb", closefd=False) as file:
            file.write(pem)
        # A password would otherwise be asked for on the terminal.
        made.load_cert_chain(f"/proc/self/fd/{handle}", password="")
    except (ssl.SSLError, OSError) as error:
        raise OptionError(
            f"{shown}: not usable with its key ({_short(error)}); both must be PEM, the key unencrypted"
        ) from None
    finally:
        os.close(handle)


def _read(name: str, source: str) -> bytes | None:
    if not source:
        return None
    if "-----BEGIN" in source:  # environment variables often carry the line ends as two characters
        return source.replace("\\n", "\n").encode()
    try:
        with open(source, "rb") as file:
            content = file.read(1 << 20)
    except (OSError, ValueError) as error:
        raise OptionError(f"{name} {_shown(source)}: {_short(error)}") from None
    if not content.strip():
        raise OptionError(f"{name} {_shown(source)}: the file is empty")
    return content


def _shown(source: str) -> str:
    return "(PEM)" if "-----BEGIN" in source else repr(source)


def _short(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "not valid"
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
