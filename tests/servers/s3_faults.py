"""An HTTP proxy in front of an S3 server that counts what passes, and makes chosen requests fail on purpose."""

from __future__ import annotations

import email.utils
import http.client
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

PIECE = 64 * 1024
ERROR_XML = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>on purpose</Message></Error>'


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: str
    headers: dict[str, str]  # names in lower case

    def __str__(self) -> str:
        return f"{self.method} {self.path}{'?' if self.query else ''}{self.query}"


@dataclass
class Answer:
    """Instead of the server's: an error's body, or `body`. Code 200 with an error body is an S3 speciality."""

    status: int
    code: str
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass
class Fault:
    """What happens to the requests from the `first` to the `last` of those whose text (METHOD PATH?QUERY) matches.

    action: an Answer; "reset" (before anything is sent on); "lose" (the server does it, its answer is lost); "stall"
    (half of the answer's body, then nothing); "short" (half of the body, then the end); "corrupt" (one bit of it);
    "hold" (nothing of the answer until `release` is set); "cut" (the server gets half of the request's body, and no
    checksums, as if that were all).

    every: of these requests, only one in as many.
    """

    pattern: str
    action: Answer | str
    first: int = 1
    last: int = 1
    every: int = 1
    when: Callable[[Request], bool] = lambda _: True
    seen: int = 0
    hit: int = 0
    release: threading.Event = field(default_factory=threading.Event)


def _count(pattern: str, requests: list[Request]) -> int:
    return sum(bool(re.search(pattern, str(request))) for request in requests)


class FaultyProxy:
    def __init__(self, server_port: int) -> None:
        self.server_port = server_port
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.drop_header = ""  # of requests: as a service that does not know it
        self.admits_per_s = 0.0  # requests; more are refused with SlowDown; 0: no limit
        self.tokens = 0.0
        self.filled_at = time.monotonic()
        self.under_way = 0
        self.most_under_way = 0
        self.body_bytes_in = 0  # of requests
        self.body_bytes_out = 0  # of answers
        self.answered: list[Request] = []  # by the server, and passed on
        self.lock = threading.RLock()
        self.news = threading.Condition(self.lock)  # of `requests` and `answered`
        self.stopping = threading.Event()
        proxy = self

        class Handler(_Handler):
            owner = proxy

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request: object, client_address: object) -> None:
                """Connections that end early are what this is for."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fail(self, pattern: str, action: Answer | str, first: int = 1, last: int = 1, every: int = 1) -> Fault:
        fault = Fault(pattern, action, first, last, every)
        self.faults.append(fault)
        return fault

    def fault_for(self, request: Request) -> Fault | None:
        with self.lock:
            self.requests.append(request)
            self.news.notify_all()
            for fault in self.faults:
                if re.search(fault.pattern, str(request)) and fault.when(request):
                    fault.seen += 1
                    if fault.first <= fault.seen <= fault.last and (fault.seen - fault.first) % fault.every == 0:
                        fault.hit += 1
                        return fault
        return None

    def admits(self) -> bool:
        """A token bucket that holds the tokens of a second."""
        with self.lock:
            if not self.admits_per_s:
                return True
            now = time.monotonic()
            self.tokens = min(self.tokens + (now - self.filled_at) * self.admits_per_s, self.admits_per_s)
            self.filled_at = now
            if self.tokens < 1:
                return False
            self.tokens -= 1
            return True

    def enter(self, step: int) -> None:
        with self.lock:
            self.under_way += step
            self.most_under_way = max(self.most_under_way, self.under_way)

    def count(self, pattern: str) -> int:
        with self.lock:
            return _count(pattern, self.requests)

    def wait_for_answers(self, pattern: str, count: int, timeout_s: float = 60) -> None:
        with self.news:
            assert self.news.wait_for(lambda: _count(pattern, self.answered) >= count, timeout_s), self.answered

    def add_bytes(self, to_server: int, to_client: int) -> None:
        with self.lock:
            self.body_bytes_in += to_server
            self.body_bytes_out += to_client

    def stop(self) -> None:
        self.stopping.set()
        for fault in self.faults:
            fault.release.set()
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self) -> FaultyProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: FaultyProxy

    def log_message(self, *_: object) -> None:
        pass

    def reset(self) -> None:
        """Closes with a TCP reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def do_any(self) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, parts.path, parts.query, headers)
        fault = self.owner.fault_for(request)
        action = fault.action if fault else ""
        if not action and not self.owner.admits():
            action = Answer(503, "SlowDown")
        self.owner.enter(1)
        try:
            self.act(request, fault, action)
        finally:
            self.owner.enter(-1)

    def act(self, request: Request, fault: Fault | None, action: Answer | str) -> None:
        if action == "reset":
            self.reset()
        elif isinstance(action, Answer):
            self.answer(request, action)
        else:
            self.forward(request, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_any

    def answer(self, request: Request, answer: Answer) -> None:
        self.drain(int(request.headers.get("content-length", "0")))
        text = answer.body or ERROR_XML.format(code=answer.code)
        body = text.encode() if request.method != "HEAD" else b""
        self.send_response_only(answer.status)
        for name, value in {"Date": email.utils.formatdate(time.time(), usegmt=True), **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def drain(self, left: int) -> None:
        while left > 0 and (piece := self.rfile.read(min(left, PIECE))):
            left -= len(piece)

    def forward(self, request: Request, fault: Fault | None) -> None:
        upstream = http.client.HTTPConnection("127.0.0.1", self.owner.server_port, timeout=60)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        left = int(request.headers.get("content-length", "0"))
        cut = fault is not None and fault.action == "cut"
        surplus = left - left // 2 if cut else 0
        for name, value in self.headers.items():
            if cut and name.lower().startswith(("x-amz-checksum", "content-")):
                continue
            if name.lower() not in ("connection", "expect", self.owner.drop_header):
                upstream.putheader(name, value)
        if cut:
            upstream.putheader("Content-Length", str(left - surplus))
        upstream.endheaders()
        left -= surplus
        while left > 0:
            piece = self.rfile.read1(min(left, PIECE))
            if not piece:
                upstream.close()
                self.close_connection = True
                return
            left -= len(piece)
            self.owner.add_bytes(len(piece), 0)
            upstream.send(piece)
        self.drain(surplus)
        response = upstream.getresponse()
        action = str(fault.action) if fault else ""
        if fault and action == "hold":
            fault.release.wait()
        if action == "lose":
            response.read()
            upstream.close()
            self.reset()
            return
        self.pass_on(request, response, action)
        upstream.close()

    def pass_on(self, request: Request, response: http.client.HTTPResponse, action: str) -> None:
        self.send_response_only(response.status)
        length = response.getheader("Content-Length")
        chunked = length is None and request.method != "HEAD" and response.status not in (204, 304)
        body_left = int(length or 0) if request.method != "HEAD" else 0
        if chunked:
            whole = response.read()
            body_left = len(whole)
            self.send_header("Content-Length", str(body_left))
        for name, value in response.getheaders():
            if name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        self.end_headers()
        stop_at = body_left // 2 if action in ("stall", "short") else 0
        while body_left > stop_at:
            piece = whole if chunked else response.read(min(body_left - stop_at, PIECE))
            if not piece:
                break
            body_left -= len(piece)
            if action == "corrupt":
                piece, action = bytes([piece[0] ^ 1]) + piece[1:], ""
            self.owner.add_bytes(0, len(piece))
            self.wfile.write(piece)
        if action == "stall":
            self.owner.stopping.wait()
        if action in ("stall", "short"):
            self.close_connection = True
        with self.owner.news:
            self.owner.answered.append(request)
            self.owner.news.notify_all()
