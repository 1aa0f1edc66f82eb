"""An SMTP server for the tests: prints its port, then each mail as a line of JSON.

    smtp_server.py plain|starttls|tls FOLDER

`starttls` and `tls` make a certificate for localhost with a key of its own and write it to FOLDER/ca.pem;
`starttls` requires STARTTLS and a login. The recipient nobody@… is refused, busy@… is put off.
"""

import asyncio
import email
import email.policy
import json
import ssl
import subprocess
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

SEEN = {}


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 no such mailbox"
        if address.startswith("busy@"):
            return "451 4.3.0 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        print(json.dumps({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": {name: str(value) for name, value in mail.items()},
            "body": mail.get_content(),
            "tls": session.ssl is not None,
            **SEEN,
        }), flush=True)
        return "250 2.0.0 taken"


def authenticate(server, session, envelope, mechanism, data):
    if not isinstance(data, LoginPassword):
        return AuthResult(success=False)
    SEEN.update(user=data.login.decode(), password=data.password.decode())
    return AuthResult(success=True)


def certificate(folder):
    key, cert = folder / "smtp-key.pem", folder / "ca.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE",
         "-addext", "extendedKeyUsage=serverAuth"],
        check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


async def main(mode, folder):
    options, context = {}, None
    if mode == "starttls":
        options = dict(tls_context=certificate(folder), require_starttls=True, auth_required=True,
                       authenticator=authenticate)
    elif mode == "tls":
        context = certificate(folder)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Handler(), hostname="localhost", **options), "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
