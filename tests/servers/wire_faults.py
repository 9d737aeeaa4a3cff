"""A TCP proxy, in this process, that does one thing wrong at one byte of a direction."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

PIECE = 64 * 1024
SLOW_PIECE = 8 * 1024
DRIP_BYTES = 64
DRIP_SECONDS = 0.02
DELAY_SECONDS = 1.5

_libc = ctypes.CDLL(None, use_errno=True)

ACTIONS = ("cut", "reset", "stall", "corrupt", "drip", "half-close", "duplicate", "delay")


@dataclass
class WireFault:
    """What happens to the connection on which the byte at `offset` passes, counted over all connections of a direction.

    cut: both sides see an end; reset: both see a reset; stall: the connection stays open and passes nothing more;
    corrupt: one bit of the byte is flipped; drip: the next 64 bytes come one by one in 1.3 s; half-close: the receiver
    sees an end, the other direction continues; duplicate: what is passed on with that byte comes twice; delay: nothing
    passes for 1.5 s.
    """

    action: str
    upwards: bool  # from the client to the server
    offset: int
    hit: threading.Event = field(default_factory=threading.Event)


class WireProxy:
    """Between clients, which connect to `port`, and 127.0.0.1:`server_port`."""

    def __init__(self, server_port: int, fault: WireFault | None = None, *, bytes_per_s: int = 0) -> None:
        """`bytes_per_s`: of each direction of a connection; 0: as many as come."""
        self.server_port = server_port
        self.bytes_per_s = bytes_per_s
        self.passed = {True: 0, False: 0}  # bytes, by `upwards`
        self.fault = fault
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.sockets: set[socket.socket] = set()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self.listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self.stopping.set()
        with self.lock:
            open_sockets = [self.listener, *self.sockets]
        for connection in open_sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def __enter__(self) -> WireProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.server_port))
            except OSError:
                client.close()
                continue
            for side in (client, server):
                if self.bytes_per_s:
                    side.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PIECE)
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.sockets |= {client, server}
            stalled = threading.Event()
            for pair in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass, args=(*pair, stalled), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, upwards: bool, stalled: threading.Event) -> None:
        try:
            while piece := source.recv(SLOW_PIECE if self.bytes_per_s else PIECE):
                if (at := self._reached(upwards, len(piece))) is not None:
                    assert self.fault
                    self.fault.hit.set()
                    if not self._act(self.fault.action, source, sink, piece, at, stalled):
                        return
                elif stalled.is_set():
                    self.stopping.wait()
                    return
                else:
                    sink.sendall(piece)
                if self.bytes_per_s:
                    time.sleep(len(piece) / self.bytes_per_s)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for side in (source, sink):
                with contextlib.suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)

    def _reached(self, upwards: bool, count: int) -> int | None:
        """Where in this piece the fault's byte is."""
        with self.lock:
            before = self.passed[upwards]
            self.passed[upwards] += count
        fault = self.fault
        if fault is None or fault.upwards != upwards or fault.hit.is_set():
            return None
        return fault.offset - before if before <= fault.offset < before + count else None

    def _act(
        self, action: str, source: socket.socket, sink: socket.socket, piece: bytes, at: int, stalled: threading.Event
    ) -> bool:
        """False: this direction has ended."""
        if action == "corrupt":
            sink.sendall(piece[:at] + bytes([piece[at] ^ 1]) + piece[at + 1 :])
            return True
        sink.sendall(piece[:at])
        rest = piece[at:]
        if action == "drip":
            for byte in rest[:DRIP_BYTES]:
                sink.sendall(bytes([byte]))
                time.sleep(DRIP_SECONDS)
            sink.sendall(rest[DRIP_BYTES:])
            return True
        if action == "delay":
            time.sleep(DELAY_SECONDS)
            sink.sendall(rest)
            return True
        if action == "duplicate":
            sink.sendall(rest + rest)
            return True
        if action == "stall":
            stalled.set()
            self.stopping.wait()
            return False
        if action == "half-close":
            sink.shutdown(socket.SHUT_WR)
            while source.recv(PIECE):
                pass
            return False
        for side in (source, sink):
            with contextlib.suppress(OSError):
                if action == "reset":
                    _reset(side)
                else:
                    side.shutdown(socket.SHUT_RDWR)
        return False


def _reset(connection: socket.socket) -> None:
    """To connect a TCP socket to AF_UNSPEC (connect(2)) resets it, also while another thread reads from it."""
    _libc.connect(connection.fileno(), struct.pack("HHIQ", socket.AF_UNSPEC, 0, 0, 0), 16)
