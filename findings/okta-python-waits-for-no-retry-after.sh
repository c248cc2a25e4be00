#!/usr/bin/env bash
# okta 3.4.6 (PyPI), Okta's Python SDK, against a local server; two retries, as it comes.
# Guessed: 503 with Retry-After is sent again when that has passed. Seen: Retry-After is not read; beside Okta's own
# X-Rate-Limit-Reset, which says the same, 503 is sent two more times at once, without any wait.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check okta==3.4.6 2>/dev/null
OKTA_TESTING_TESTINGDISABLEHTTPSCHECK=true env/bin/python -W ignore - <<'PY'
import asyncio, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

times, answer = [], {}


class Okta(BaseHTTPRequestHandler):
    def do_GET(self):
        times.append(time.monotonic())
        self.send_response(answer["status"])
        for name, value in answer["headers"].items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Okta)
threading.Thread(target=server.serve_forever, daemon=True).start()
from okta.client import Client

url = f"http://127.0.0.1:{server.server_address[1]}"
client = Client({"orgUrl": url, "token": "none"})


def read(status, **headers):
    times.clear()
    answer.update(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})
    asyncio.run(client.get_user("1"))
    return len(times), max(times) - min(times)


sent, seconds = read(503, Retry_After="30", X_Rate_Limit_Reset=str(int(time.time()) + 30))
print("503:", sent, "requests within", round(seconds, 1), "s")
assert sent == 3 and seconds < 30
print("as found")
PY
