"""The engine's HTTP API, as far as the command line asks it something; the docker command is not needed.

In: DOCKER_HOST (unix:// or tcp://; with DOCKER_TLS_VERIFY over TLS), else the usual socket. Out: decoded JSON, or a
stream. Only ever reads. What goes wrong is an EngineError whose text says what to do about it.
Source: Docker Engine API v1.24 and later; without a version in the path the engine answers with its newest.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import json
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from otellogdriver.errors import DriverError

SOCKET = "/var/run/docker.sock"
TIMEOUT = 10.0
_MOST = 64 << 20
"""Bytes of an answer that are read."""


class EngineError(DriverError):
    """The engine cannot be reached, or does not do what it is asked. `status` is that of its answer, 0 without one;
    `advice` says what can be done."""

    def __init__(self, text: str, advice: str = "", status: int = 0) -> None:
        super().__init__(text)
        self.advice = advice
        self.status = status


class EngineApi:
    """One engine. `local`: its files are on this machine."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self.host = environ.get("DOCKER_HOST", "").strip() or f"unix://{SOCKET}"
        self._tls = environ.get("DOCKER_CERT_PATH", "") if environ.get("DOCKER_TLS_VERIFY") else None
        self.local = self.host.startswith("unix://")

    def get(self, path: str, **query: str) -> Any:
        """The decoded answer. Raises EngineError."""
        connection = self._connection(TIMEOUT)
        try:
            response = self._ask(connection, path, query)
            return json.loads(response.read(_MOST))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._fault(error) from None
        finally:
            connection.close()

    @contextlib.contextmanager
    def stream(self, path: str, **query: str) -> Iterator[tuple[http.client.HTTPResponse, socket.socket]]:
        """A long answer, with the socket that it comes from, whose time-out is the caller's to set. Raises
        EngineError."""
        connection = self._connection(TIMEOUT)
        try:
            try:
                connection.connect()
                taken: socket.socket = connection.sock  # the connection forgets it once the headers are there
                response = self._ask(connection, path, query)
            except (OSError, http.client.HTTPException) as error:
                raise self._fault(error) from None
            with response:
                yield response, taken
        finally:
            connection.close()

    def _ask(
        self, connection: http.client.HTTPConnection, path: str, query: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        text = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        connection.request("GET", f"{path}?{text}" if text else path)
        response = connection.getresponse()
        if response.status >= 400:
            body = response.read(_MOST)
            try:
                message = str(json.loads(body)["message"])
            except (ValueError, TypeError, KeyError):
                message = response.reason
            raise EngineError(message, status=response.status)
        return response

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        try:
            parts = urlsplit(self.host)
            port = parts.port
        except ValueError:
            parts, port = urlsplit("invalid:"), None
        if parts.scheme == "unix":
            return UnixConnection(parts.path, timeout)
        if parts.scheme in ("tcp", "http", "https") and parts.hostname:
            if self._tls is None and parts.scheme != "https":
                return http.client.HTTPConnection(parts.hostname, port or 2375, timeout=timeout)
            return http.client.HTTPSConnection(
                parts.hostname, port or 2376, timeout=timeout, context=_context(self._tls or "")
            )
        raise EngineError(
            f"DOCKER_HOST {self.host!r} is not allowed: unix:///path or tcp://host:port",
            "run this on the engine's own machine, without DOCKER_HOST",
        )

    def _fault(self, error: Exception) -> EngineError:
        path = self.host.removeprefix("unix://")
        match error:
            case FileNotFoundError():
                return EngineError(
                    f"{path} does not exist",
                    "start the engine (`systemctl start docker`), or say where it is: DOCKER_HOST=unix:///path",
                )
            case PermissionError():
                return EngineError(f"{path}: permission denied", "run this as root, or as a member of group docker")
            case ConnectionRefusedError():
                return EngineError(
                    f"nobody listens at {self.host}", "start the engine: `systemctl start docker`; its log says why not"
                )
            case TimeoutError():
                return EngineError(
                    f"{self.host}: no answer within {TIMEOUT:g} s", "the engine hangs: `journalctl -u docker`"
                )
            case OSError():
                text = os.strerror(error.errno) if error.errno and error.errno in errno.errorcode else str(error)
                return EngineError(f"{self.host}: {text}", "check DOCKER_HOST")
        return EngineError(f"{self.host}: this is no Docker engine ({type(error).__name__})", "check DOCKER_HOST")


def container_path(container: str, what: str) -> str:
    """The path of something of a container, by its name or id."""
    return f"/containers/{quote(container, safe='')}/{what}"


def tagged(name: str) -> str:
    """A plugin's name with its tag, as the engine compares them."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _context(folder: str) -> ssl.SSLContext:
    """What the docker command takes from DOCKER_CERT_PATH. Raises EngineError."""
    try:
        context = ssl.create_default_context(cafile=f"{folder}/ca.pem")
        context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
    except (OSError, ValueError):
        raise EngineError(
            f"DOCKER_CERT_PATH {folder!r}: no usable ca.pem, cert.pem and key.pem", "check DOCKER_CERT_PATH"
        ) from None
    return context


class UnixConnection(http.client.HTTPConnection):
    """HTTP over the unix socket at `path`."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self._path)
        except BaseException:
            self.sock.close()
            raise
