"""One endpoint, step by step as the driver goes: name, connection, TLS, a record.

In: a destination, an endpoint of it. Out: checks in the order of the steps, up to the first that fails; `advice.py`
says why it did. Through a proxy there is one step in place of the first three: what is beyond it cannot be looked at.
The record goes through the driver's own client, so what becomes of it is what containers would get.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import replace

from otellogdriver.commands.doctor import advice
from otellogdriver.commands.doctor.check import Check, failed, note, ok
from otellogdriver.commands.doctor.place import Place
from otellogdriver.commands.doctor.record import request
from otellogdriver.errors import OptionError
from otellogdriver.export import tls
from otellogdriver.export.client import client_for, prepare
from otellogdriver.export.destination import GRPC, Destination, parse_endpoint
from otellogdriver.export.headers import headers_of
from otellogdriver.export.outcome import Delivered
from otellogdriver.export.proxy import Proxy, ProxyFault, proxy_for, tunnel
from otellogdriver.export.resolver import Resolver

PATIENCE = 5.0
"""Seconds for each of the steps before the record."""
LONGEST = 15.0
"""Seconds for the record, if `otlp-timeout` is more."""
_OBJECTION = 0.3
"""Seconds in which a server objects to our certificate, or to none."""
_SOON = 14 * 86400
"""Seconds before its end that a certificate is worth a note."""


async def look(destination: Destination, endpoint: str, host_name: str, send: bool) -> AsyncIterator[Check]:
    """See the module's text."""
    try:
        parsed = parse_endpoint(endpoint, destination.protocol, destination.insecure, destination.reading)
        headers = tuple(name for name, _ in headers_of(destination))
        context = tls.context(destination) if parsed.tls else None
        proxy = proxy_for(destination, parsed)
    except OptionError as error:
        yield failed("destination", str(error), "mend the option; files are named as the plugin sees them")
        return
    place = Place(destination, parsed, headers + (("authorization",) if parsed.authorization else ()))
    if proxy is not None:
        place.proxy = proxy
        check = await _through(place, proxy)
        yield check
        if send and check.state != "failed":
            yield await _send(place, endpoint, host_name)
        return
    try:
        addresses = await _addresses(place)
    except (OSError, TimeoutError) as error:
        why = f"no answer within {PATIENCE:g} s" if isinstance(error, TimeoutError) else error.strerror or "failed"
        yield failed("name", f"{place.host}: {why}", advice.of_name(place))
        return
    if addresses != [place.host]:
        yield ok("name", f"{place.host} is {', '.join(addresses)}")
    check = await _connect(place, addresses)
    yield check
    if context and check.state == "ok":
        check = await _shake_hands(place, context)
        yield check
    if send and check.state != "failed":
        yield await _send(place, endpoint, host_name)


async def _addresses(place: Place) -> list[str]:
    resolver = Resolver()
    try:
        async with asyncio.timeout(PATIENCE):
            found = await resolver.resolve(place.host, place.port)
    finally:
        await resolver.close()
    return list(dict.fromkeys(each["host"] for each in found))


async def _through(place: Place, proxy: Proxy) -> Check:
    resolver = Resolver()
    try:
        async with asyncio.timeout(PATIENCE):
            transport, _ = await tunnel(proxy, place.endpoint, resolver, asyncio.Protocol)
    except ProxyFault as fault:
        return failed("proxy", fault.outcome.reason, advice.of_proxy(place, proxy, fault))
    except TimeoutError:
        return failed("proxy", f"{proxy.label}: no answer within {PATIENCE:g} s", advice.FIREWALL)
    finally:
        await resolver.close()
    transport.abort()
    return ok("proxy", f"{proxy.label} lets us through to {place}")


async def _connect(place: Place, addresses: list[str]) -> Check:
    why = ""
    for address in addresses:
        place.address = address
        try:
            async with asyncio.timeout(PATIENCE):
                _, writer = await asyncio.open_connection(address, place.port)
        except TimeoutError:
            why = f"no answer within {PATIENCE:g} s"
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
        else:
            writer.transport.abort()
            return ok("connection", f"{place} takes connections")
    return failed("connection", f"{place}: {why}", await advice.of_connection(place, why))


async def _shake_hands(place: Place, context: ssl.SSLContext) -> Check:
    destination = place.destination
    context.set_alpn_protocols(["h2"] if destination.protocol == GRPC else ["http/1.1"])
    name = destination.server_name or place.endpoint.host
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(
                place.address, place.port, ssl=context, server_hostname=name, ssl_shutdown_timeout=0.1
            )
        if await _objects(reader):
            writer.transport.abort()
            text = f"{place}: closed right after the handshake, as servers do that want another certificate, or one"
            return failed("TLS", text, advice.OURS)
    except ssl.SSLCertVerificationError as error:
        return failed("TLS", f"{place}: {error.verify_message}", advice.of_certificate(place, error.verify_code))
    except (OSError, TimeoutError) as error:
        why = f"no answer within {PATIENCE:g} s" if isinstance(error, TimeoutError) else ""
        why = why or str(getattr(error, "reason", None) or error.strerror or type(error).__name__)
        return failed("TLS", f"{place}: {why}", await advice.of_handshake(place, why))
    certificate = writer.get_extra_info("peercert")
    version = writer.get_extra_info("ssl_object").version()
    writer.transport.abort()
    if not certificate:
        return note("TLS", f"{version}, the certificate is not checked", "name its CA as otlp-certificate instead")
    left = ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()
    if left < _SOON:
        return note("TLS", f"{version}; the certificate ends in {left / 86400:.0f} days", "renew it at the collector")
    return ok("TLS", f"{version}, the certificate is good for {name} for another {left / 86400:.0f} days")


async def _objects(reader: asyncio.StreamReader) -> bool:
    """Whether the server hangs up: TLS 1.3 has it look at our certificate when we believe to be connected."""
    try:
        return not await asyncio.wait_for(reader.read(1), _OBJECTION)
    except TimeoutError:
        return False


async def _send(place: Place, endpoint: str, host_name: str) -> Check:
    timeout = min(place.destination.timeout or LONGEST, LONGEST)
    destination = replace(place.destination, endpoints=(endpoint,), timeout=timeout)
    client = client_for(destination)
    began = time.monotonic()
    try:
        outcome = await client.send(prepare(destination, [request(host_name)]))
    finally:
        await client.close()
    took = (time.monotonic() - began) * 1000
    if not isinstance(outcome, Delivered):
        return failed("record", outcome.reason, await advice.of_outcome(place, outcome))
    if outcome.rejected:
        text = f"{place.target} answered well, but rejected the record: {outcome.message or 'without a reason'}"
        return failed("record", text, "the collector's configuration (filters, limits, tenants) says why")
    more = f"; it says: {outcome.message}" if outcome.message else ""
    return ok("record", f"{place.target} took a test record in {took:.0f} ms{more}")
