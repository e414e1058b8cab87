"""MLflow's server for this user alone: `python -m sweep.record.mlflow.own_server server OPTIONS`, as of `mlflow`.

MLflow asks nobody for a name, and its pages can do more than show: register a model that somebody loads later, set up
what runs beside it. On loopback every user of the host could. So each request's other end is looked up.

MLflow's command starts the server as a child, which would outlive it where the command is killed and keep the port.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from sweep.devices.farm.peer import Caller, caller_between
from sweep.devices.processes import die_with_parent

__all__ = ["app", "main"]

Message = MutableMapping[str, Any]
_REFUSED = b"This MLflow serves the user who started it alone (SWEEP_FARM_UIDS names further ones)."


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """MLflow's own application, behind the look at who asks (ASGI)."""
    if scope["type"] == "websocket" and not _is_own(scope):
        await send({"type": "websocket.close", "code": 1008})
    elif scope["type"] == "http" and not _is_own(scope):
        headers = [(b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": _REFUSED})
    else:
        if scope["type"] == "lifespan":  # once, before anything is served
            die_with_parent(os.getppid())
        from mlflow.server.fastapi_app import app as served

        await served(scope, receive, send)


def _is_own(scope: Message) -> bool:
    theirs, ours = scope.get("client"), scope.get("server")
    return theirs is not None and ours is not None and caller_between(tuple(theirs), tuple(ours)) is Caller.OWN


def main() -> None:
    """Run MLflow's command line, whose server then serves `app`."""
    from mlflow import server
    from mlflow.cli import cli

    build = server._build_uvicorn_command

    def build_ours(options: str | None, host: str, port: int, workers: int, theirs: str, *more: Any) -> list[str]:
        # A header would say who asks, in place of the connection
        command: list[str] = build(f"{options or ''} --no-proxy-headers", host, port, workers, theirs, *more)
        return [f"{__spec__.name}:app" if word == theirs else word for word in command]

    server._build_uvicorn_command = build_ours
    cli(sys.argv[1:])


if __name__ == "__main__":
    main()
