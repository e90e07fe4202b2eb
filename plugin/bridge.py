"""A network bridge for a private engine, on addresses that nothing else on the host uses.

A daemon started with `--bridge none` deletes the host's `docker0`, and with it the network of the user's engine; so
each private engine gets a bridge of its own, removed with it.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess

from plugin.debian import HostError

SUBNETS = ipaddress.ip_network("172.30.0.0/16")
"""Private range from which each bridge takes a /24; the engine's own defaults come here last."""


def ip(*args: str) -> str:
    try:
        done = subprocess.run(["ip", *args], check=False, capture_output=True, text=True)
    except FileNotFoundError:
        raise HostError("the command ip is missing: install iproute2") from None
    if done.returncode:
        raise HostError(f"ip {' '.join(args)} failed: {done.stderr.strip()}")
    return done.stdout


def taken() -> list[ipaddress.IPv4Network]:
    """Every network that the host has an address in or a route to."""
    networks = []
    for link in json.loads(ip("-4", "-json", "addr") or "[]"):
        for address in link.get("addr_info", []):
            networks.append(ipaddress.IPv4Network(f"{address['local']}/{address['prefixlen']}", strict=False))
    for route in json.loads(ip("-4", "-json", "route") or "[]"):
        if route["dst"] != "default":
            networks.append(ipaddress.IPv4Network(route["dst"], strict=False))
    return networks


def make(name: str) -> str:
    """Make the bridge `name` (at most 15 characters) and return its address. The caller holds the engines' lock."""
    used = taken()
    for subnet in SUBNETS.subnets(new_prefix=24):
        if not any(subnet.overlaps(network) for network in used):
            break
    else:
        raise HostError(f"no free /24 in {SUBNETS} for a bridge")
    address = str(subnet[1])
    ip("link", "add", name, "type", "bridge")
    try:
        ip("addr", "add", f"{address}/24", "dev", name)
        ip("link", "set", name, "up")
    except HostError:
        delete(name)
        raise
    return address


def delete(name: str) -> None:
    """Delete the bridge `name` if it is there."""
    subprocess.run(["ip", "link", "delete", name, "type", "bridge"], capture_output=True)
