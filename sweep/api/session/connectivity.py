"""Tries whether addresses that a person names answer, and whether a port is free, before anything begins.

TVM's and Ray's own clients try for minutes before they say that nobody answers, or never do.
"""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit

from sweep.errors import StudyError
from sweep.study.cluster.cluster import PRETENDED, Cluster
from sweep.study.cluster.ray_address import AUTO, read_ray_address
from sweep.study.cluster.store_uri import read_store_uri

__all__ = ["check_dashboard", "check_port_is_free", "check_reachable", "check_store", "check_tracker"]

_CONNECT_S = 5.0
_ENVIRONMENT = "RAY_ADDRESS"
"""Where Ray looks when it is told `auto`."""


def check_reachable(cluster: Cluster) -> None:
    """Raises StudyError where nobody answers at a tracker or a Ray that is others'."""
    if cluster.engine in PRETENDED:
        return
    check_tracker(cluster)
    if cluster.engine != "ray" or cluster.ray.address is None:
        return
    file, key, address = str(cluster.path), "ray.address", cluster.ray.address
    if address == AUTO:
        file, key, address = "environment", _ENVIRONMENT, os.environ.get(_ENVIRONMENT, AUTO)
    if read_ray_address(address, file, key) != AUTO:
        host, _, port = address.rpartition(":")
        _connect(
            (host, int(port)), file, key, "HOST:PORT of a head node that is up, as `ray start --head` says it, or auto"
        )


def check_tracker(cluster: Cluster) -> None:
    """Raises StudyError where nobody answers at a tracker that is others'."""
    tracker = cluster.tracker
    if not tracker.managed:
        where = (tracker.host, tracker.port)
        _connect(where, str(cluster.path), "tracker", "the host and port of a TVM tracker")


def check_dashboard(address: str, key: str) -> None:
    """Raises StudyError where an address is none of a dashboard, or nobody answers there."""
    allowed = "http://HOST:PORT of a cluster's dashboard, which has port 8265 by default"
    try:
        url = urlsplit(address)
        usual = {"http": 80, "https": 443}[url.scheme]
        host, port = url.hostname or "", url.port or usual
    except (ValueError, KeyError):
        host, port = "", 0
    if not host:
        raise StudyError("is no address of a dashboard", key=key, value=address, allowed=allowed)
    _connect((host, port), None, key, allowed)


def check_store(uri: str, key: str) -> None:
    """Raises StudyError where a URI is none of an MLflow store, or nobody answers where its server should be."""
    server = read_store_uri(uri, None, key)
    if server is not None:
        _connect(server, None, key, "the URI of a tracking server or database that is up")


def check_port_is_free(port: int, key: str) -> None:
    """Raises StudyError where another process listens on a port of loopback."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        allowed = "a port that is free"
        said = os.strerror(error.errno or 0)
        raise StudyError(f"cannot be used: {said}", key=key, value=port, allowed=allowed) from error


def _connect(where: tuple[str, int], file: str | None, key: str, allowed: str) -> None:
    host, port = where
    try:
        socket.create_connection((host.strip("[]"), port), timeout=_CONNECT_S).close()
    except (OSError, UnicodeError) as error:  # the second of a name that no resolver takes
        said = getattr(error, "strerror", None) or str(error)
        value = f"{host}:{port}"
        raise StudyError(f"nobody answers there: {said}", file=file, key=key, value=value, allowed=allowed) from error
