#!/usr/bin/env bash
# huaweicloudsdkidentitycenterscim 3.1.219 (PyPI), Huawei Cloud's SDK for the SCIM API of its IAM Identity Center, against a local
# service provider with three people who are answered two at a time (RFC 7644 section 3.4.2.4: fewer than asked for may come).
# Guessed: lists have startIndex, count and filter, as the API's documentation. Seen: the requests of lists have neither, nor has
# the SDK any other way: whoever is past the first page is not there, nobody can be found by userName, and a program that creates
# whom it does not find is told 409. A refused request's SCIM error is a text; after 429 there is none: its answer is dropped.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check huaweicloudsdkidentitycenterscim==3.1.219 2>/dev/null
env/bin/python -W ignore - <<'PY'
import json, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PEOPLE = [{"id": str(number), "userName": f"{number}@example.com", "active": True} for number in (1, 2, 3)]
LIST, ERROR = (f"urn:ietf:params:scim:api:messages:2.0:{name}" for name in ("ListResponse", "Error"))
asked = []


class Provider(BaseHTTPRequestHandler):
    def do_GET(self):
        asked.append(self.path)
        if "/Users/" in self.path:
            status = int(self.path.rsplit("/", 1)[1])
            body = {"schemas": [ERROR], "status": str(status), "scimType": "tooMany", "detail": "why"}
        else:
            status, body = 200, {"schemas": [LIST], "totalResults": 3, "startIndex": 1, "itemsPerPage": 2, "Resources": PEOPLE[:2]}
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/scim+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkidentitycenterscim.v1 import GetUserRequest, IdentityCenterSCIMClient, ListGroupsRequest, ListUsersRequest
from huaweicloudsdkidentitycenterscim.v1.identitycenterscim_credentials import IdentityCenterSCIMCredentials

address = f"http://127.0.0.1:{server.server_address[1]}"
client = IdentityCenterSCIMClient.new_builder().with_credentials(IdentityCenterSCIMCredentials()).with_endpoints([address]).build()
tenant = {"authorization": "Bearer none", "tenant_id": "acme"}
page = client.list_users(ListUsersRequest(**tenant))
taken = sorted({*ListUsersRequest.attribute_map, *ListGroupsRequest.attribute_map})


def refused(status):
    try:
        client.get_user(GetUserRequest(**tenant, user_id=str(status)))
    except ClientRequestException as error:
        return "why" in str(error)


print("asked:", asked, " shown:", len(page.resources), "of", page.total_results, " a list can be given:", taken)
assert asked == ["/acme/scim/v2/Users"] and (len(page.resources), page.total_results) == (2, 3)
assert taken == ["authorization", "tenant_id"]
told = {status: refused(status) for status in (404, 429)}
print("the SCIM error is in the exception:", told)
assert told == {404: True, 429: False}
print("as found")
PY
