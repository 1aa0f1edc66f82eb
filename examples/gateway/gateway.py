#!/usr/bin/env python3
"""A gateway that asks Sealwright before each request whether the tenant's budget admits it.

    SEALWRIGHT_URL=http://127.0.0.1:3010 SEALWRIGHT_KEY=swk_... \
        python3 gateway.py --upstream http://127.0.0.1:8000 --listen 127.0.0.1:8080

The tenant of a request is the value of its header X-Tenant. Allowed requests go on to the upstream; a
tenant that is to slow down gets 429 with Retry-After, one that is to stop gets 402. When Sealwright
cannot be asked, --when-unreachable decides. Python's standard library only.
"""

import argparse
import http.client
import json
import os
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, urlsplit

TIMEOUT = 0.25  # seconds; longer than that and the budget is not worth the wait
TENANT = re.compile(r"[A-Za-z0-9_-]{1,64}")
HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "host", "content-length"}


class Gate:
    """Asks `POST /api/billing/budgets/{tenant}/check` over one kept connection a thread."""

    def __init__(self, url, key, when_unreachable):
        self.base = urlsplit(url)
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.when_unreachable = when_unreachable
        self.local = threading.local()

    def decide(self, tenant):
        """`allow`, `throttle` or `stop`, and the words to go with it."""
        path = f"/api/billing/budgets/{quote(tenant, safe='')}/check"
        for attempt in (1, 2):  # a kept connection may have been closed meanwhile
            try:
                if getattr(self.local, "connection", None) is None:
                    self.local.connection = http.client.HTTPConnection(
                        self.base.hostname, self.base.port or 80, timeout=TIMEOUT
                    )
                self.local.connection.request("POST", path, b"", self.headers)
                answer = self.local.connection.getresponse()
                body = json.loads(answer.read())
                if answer.status == 404:
                    return "stop", "there is no such tenant"
                if answer.status != 200:
                    return self.when_unreachable, body.get("detail", "the budget cannot be asked")
                why = "usage is not known" if not body["known"] else (
                    f"{body['used']} of {body['limit']} {body['unit']} used" if body["limit"] else "no budget"
                )
                return body["decision"], why
            except (OSError, ValueError, http.client.HTTPException):
                self.local.connection = None
        return self.when_unreachable, "the budget cannot be asked"


def handler(gate, upstream):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status, text, headers=()):
            body = text.encode()
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def serve(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            tenant = self.headers.get("X-Tenant", "")
            if not TENANT.fullmatch(tenant):
                return self.answer(400, "the header X-Tenant names no tenant\n")
            decision, why = gate.decide(tenant)
            if decision == "stop":
                return self.answer(402, f"stopped: {why}\n")
            if decision == "throttle":
                return self.answer(429, f"slow down: {why}\n", [("Retry-After", "1")])
            target = urlsplit(upstream)
            connection = http.client.HTTPConnection(target.hostname, target.port or 80, timeout=30)
            try:
                kept = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
                connection.request(self.command, self.path, body, kept)
                reply = connection.getresponse()
                content = reply.read()
            except OSError:
                return self.answer(502, "the upstream does not answer\n")
            finally:
                connection.close()
            self.send_response(reply.status)
            for name, value in reply.getheaders():
                if name.lower() not in HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

        def log_message(self, *_):
            pass

    return Handler


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--listen", default="127.0.0.1:8080")
    parser.add_argument("--when-unreachable", choices=["allow", "throttle", "stop"], default="allow")
    options = parser.parse_args()
    gate = Gate(os.environ["SEALWRIGHT_URL"], os.environ["SEALWRIGHT_KEY"], options.when_unreachable)
    host, _, port = options.listen.rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), handler(gate, options.upstream))
    server.daemon_threads = True
    print(f"listening on {server.server_address[0]}:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
