"""What is elsewhere answers or not; a port is free or not."""

from __future__ import annotations

import socket

import pytest

from sweep.api.session.connectivity import check_dashboard, check_port_is_free
from sweep.errors import StudyError


def test_a_port_is_free_until_somebody_listens_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StudyError, match=rf"^--port: cannot be used: Address already in use \(got {port}\)"):
            check_port_is_free(port, "--port")
        check_dashboard(f"http://127.0.0.1:{port}", "--address")
    check_port_is_free(port, "--port")


@pytest.mark.parametrize("address", ["head:8265", "127.0.0.1:8265", "ray://head:10001", "http://", "http://head:x", ""])
def test_what_is_no_address_of_a_dashboard(address: str) -> None:
    with pytest.raises(StudyError, match=r"^--address: is no address of a dashboard"):
        check_dashboard(address, "--address")
