"""Why a step towards a collector failed, and what to do about it.

In: the endpoint, what was seen. Out: one line. Where the failure has more than one likely cause, the port is asked what
it speaks. Header values are never shown, names are.
"""

from __future__ import annotations

import re

from otellogdriver.commands.doctor.place import Place
from otellogdriver.commands.doctor.port import is_open, speech
from otellogdriver.export.destination import GRPC, HTTP
from otellogdriver.export.outcome import Denied, Refused, Retry, Unread
from otellogdriver.export.proxy import Proxy, ProxyFault

USUAL_PORT = {HTTP: 4318, GRPC: 4317}
FIREWALL = "a firewall drops the packets, or the address is wrong"
OURS = "the collector asks for a certificate of ours: otlp-client-certificate and otlp-client-key"
_ABOUT_OURS = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN", "UNKNOWN_CA", "HANDSHAKE_FAILURE")
"""Alerts of OpenSSL with which a server turns away our certificate, or the lack of one."""
_EXPIRED, _NOT_YET, _WRONG_NAMES = 10, 9, (62, 64)
"""X509_V_ERR_CERT_HAS_EXPIRED, ..._NOT_YET_VALID, ..._HOSTNAME_MISMATCH, ..._IP_ADDRESS_MISMATCH of OpenSSL."""


def of_name(place: Place) -> str:
    text = f"check the spelling and the host's name service: `getent hosts {place.host}`"
    if "." not in place.host:
        text += (
            "; the plugin is in the host's network and does not know the names of a compose network: publish the "
            "collector's port and write localhost"
        )
    return text


async def of_connection(place: Place, why: str) -> str:
    mine = place.destination.protocol
    for protocol in (mine, HTTP if mine == GRPC else GRPC):
        port = USUAL_PORT[protocol]
        if port != place.port and await is_open(place.address, port):
            also = "" if protocol == mine else f" and otlp-protocol={protocol}"
            return f"somebody listens at port {port}, usual for {protocol}: otlp-endpoint={place.at(port=port)}{also}"
    if "no answer" in why:
        return FIREWALL
    return (
        f"is the collector running, does it listen at this address and port (usual: {USUAL_PORT[HTTP]} for "
        f"{HTTP}, {USUAL_PORT[GRPC]} for {GRPC}), and, if it is a container, is the port published?"
    )


def of_proxy(place: Place, proxy: Proxy, fault: ProxyFault) -> str:
    """Why a proxy does not let us through."""
    given = "otlp-proxy" if place.destination.proxy else "HTTPS_PROXY or HTTP_PROXY (not for what NO_PROXY lists)"
    if fault.status in (401, 407):  # tinyproxy says 401 for a wrong password
        wrong = "the user or password is wrong" if proxy.place.authorization else "it asks for a user and a password"
        return f"{wrong}: {given} is written http://USER:PASSWORD@HOST:PORT, special characters percent-encoded"
    if fault.status in (403, 405):
        return (
            f"the proxy's rules do not allow CONNECT to port {place.port}: squid has them as SSL_ports, tinyproxy as "
            "ConnectPort; or take a collector at port 443"
        )
    if fault.status >= 500:
        return f"the proxy cannot reach {place}: is the name known there, and the port open from there?"
    if fault.status:
        return f"the proxy does not do CONNECT for us: its log says why; {given} says which proxy is used"
    if isinstance(fault.outcome, Denied):
        return "the proxy's certificate is not trusted: name its CA in otlp-certificate"
    return f"is the proxy running, and does {given} say where it is (https:// only if it speaks TLS itself)?"


def of_certificate(place: Place, code: int) -> str:
    """`code` is OpenSSL's X509_V_ERR number."""
    if code == _EXPIRED:
        return "renew the collector's certificate; if it is good, this host's clock is wrong"
    if code == _NOT_YET:
        return "this host's clock is wrong, or the certificate was made too early"
    if code in _WRONG_NAMES:
        return "write the endpoint with a name that the certificate has, or say which to expect: otlp-server-name=NAME"
    given = place.destination.certificate
    if given:
        what = "the PEM text" if "-----BEGIN" in given else given
        return f"otlp-certificate ({what}) does not hold the CA that made the collector's certificate: give that one"
    return (
        "the collector's certificate is made by a CA that this host does not trust: give it as otlp-certificate, "
        "a file in /certs (the plugin's mount of the host's /etc/ssl/certs) or the PEM text itself"
    )


async def of_handshake(place: Place, why: str) -> str:
    if any(words in why for words in _ABOUT_OURS):
        return OURS
    spoken = await speech(place.address, place.port, tls=False)
    if spoken in ("http/1.1", "http/2"):
        text = f"this port does not speak TLS: otlp-endpoint={place.at('http')}"
        return text + _other_protocol(place, spoken)
    if spoken == "tls":
        return "it speaks TLS, but no version, protocol (ALPN) or cipher that both accept: look into the server's log"
    return "what listens there is neither TLS nor HTTP: check the port"


async def of_outcome(place: Place, outcome: Denied | Refused | Retry | Unread) -> str:
    protocol = place.destination.protocol
    if place.proxy is not None and outcome.reason.startswith(place.proxy.label):
        return "the proxy's log says why it does not let us through this time"
    said = re.search(r"HTTP (\d{3})|: ([A-Z]+(?:_[A-Z]+)*)(?:: |$)", outcome.reason)
    code = (said[1] or said[2]) if said else ""
    if code in ("401", "407", "UNAUTHENTICATED"):
        if not place.headers:
            return "no token is sent: give it as otlp-headers (Authorization=Bearer%20TOKEN) or otlp-headers-file"
        return (
            f"the token is wrong or has expired (headers sent: {', '.join(place.headers)}); in otlp-headers a space is "
            "written %20, and otlp-headers-file wins over it"
        )
    if code in ("403", "PERMISSION_DENIED"):
        return f"known, but not allowed to write logs: check the token's rights ({_sent(place)}) and the tenant"
    if code == "429":
        return "the collector limits how much it takes: nothing is lost, the driver waits as long as it is told to"
    spoken = await speech(place.address, place.port, place.endpoint.tls) if place.proxy is None else ""
    if spoken == "tls":
        return f"this port speaks TLS: otlp-endpoint={place.at('https')}"
    if other := _other_protocol(place, spoken):
        return other.removeprefix("; ")
    return _by_code(place, code, outcome) or (
        f"what is there is no OTLP receiver for {protocol}, or something between changes what it says: ask with curl -v"
        if isinstance(outcome, Denied | Refused | Unread)
        else "the collector's log says why; nothing is lost, the driver tries again"
    )


def _by_code(place: Place, code: str, outcome: Denied | Refused | Retry | Unread) -> str:
    reason = outcome.reason
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return "gRPC trusts authorities of its own, not the host's: name the CA file as otlp-certificate"
    if code in ("404", "405", "UNIMPLEMENTED", "NOT_FOUND"):
        return (
            f"requests go to {place.target}: is the path right (collectors: /v1/logs, some vendors put a prefix before "
            "it), and has the receiver a pipeline for logs?"
        )
    if code.startswith("3"):
        return "redirects are not followed, because the token would go along: write the final address"
    if "web page" in reason:
        return "this is a web server, not an OTLP receiver: check host, port and path"
    if code == "413":
        return "something in between takes only small requests: raise its limit, or lower batch-size"
    if code in ("502", "503", "504", "UNAVAILABLE", "RESOURCE_EXHAUSTED") or (
        isinstance(outcome, Retry) and outcome.kind in ("throttled", "unavailable")
    ):
        return (
            "the collector is there, but cannot take records now: its log says why (memory limit, its own backend); "
            "nothing is lost, the driver tries again"
        )
    if isinstance(outcome, Retry) and outcome.kind == "timeout":
        return "it takes connections, but does not answer: the collector hangs, or something else listens there"
    return ""


def _other_protocol(place: Place, spoken: str) -> str:
    """Advice where the port speaks HTTP of the other kind."""
    mine = place.destination.protocol
    if mine == HTTP and spoken == "http/2":
        other, what = GRPC, "HTTP/2, as gRPC does"
    elif mine == GRPC and spoken == "http/1.1":
        other, what = HTTP, "HTTP/1.1, not gRPC"
    else:
        return ""
    return f"; this port speaks {what}: otlp-protocol={other}, or the port for {mine}, usually {USUAL_PORT[mine]}"


def _sent(place: Place) -> str:
    return f"headers sent: {', '.join(place.headers)}" if place.headers else "no header is sent"
