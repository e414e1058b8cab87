"""What another user of the host may try: python3 neighbour.py TRACKER_PORT KEY. Says in JSON how far it came.

Nothing but the standard library: this runs under an account that reads little.
"""

import json
import socket
import struct
import sys

TRACKER_MAGIC, RPC_MAGIC = 0x2F271, 0xFF271
PUT, REQUEST, UPDATE_INFO, SUMMARY = 3, 4, 5, 6
port, key = int(sys.argv[1]), sys.argv[2]


def exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionError("closed")
        data += part
    return data


def ask(connection: socket.socket, message: object) -> object:
    text = json.dumps(message).encode()
    connection.sendall(struct.pack("<i", len(text)) + text)
    (size,) = struct.unpack("<i", exactly(connection, 4))
    return json.loads(exactly(connection, size))


def at_tracker() -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=5)
    connection.sendall(struct.pack("<i", TRACKER_MAGIC))
    assert struct.unpack("<i", exactly(connection, 4))[0] == TRACKER_MAGIC
    return connection


def say_hello(address: tuple[str, int], name: str) -> int:
    connection = socket.create_connection(address, timeout=5)
    connection.sendall(struct.pack("<ii", RPC_MAGIC, len(name)) + name.encode())
    return struct.unpack("<i", exactly(connection, 4))[0]


def tried(what: object) -> object:
    try:
        return what()
    except (OSError, AssertionError) as error:
        return f"refused: {type(error).__name__}"


def summary() -> object:
    return ask(at_tracker(), [SUMMARY])[0]


def session() -> object:
    _, (host, its_port, match_key) = ask(at_tracker(), [REQUEST, key, "", 1])
    return "in" if say_hello((host, its_port), f"client:{match_key}") == RPC_MAGIC else "mismatch"


def register() -> object:
    connection = at_tracker()
    ask(connection, [UPDATE_INFO, {"key": f"server:{key}", "addr": ["127.0.0.1", 9]}])
    return ask(connection, [PUT, key, [9, f"{key}:false"], "127.0.0.1"])


told = {"summary": tried(summary), "session": tried(session), "register": tried(register)}
if len(sys.argv) > 3:  # the match key too, and the server's own port
    told["server"] = tried(lambda: say_hello(("127.0.0.1", int(sys.argv[3])), f"client:{sys.argv[4]}"))
print(json.dumps(told))
