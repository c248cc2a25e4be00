#!/usr/bin/env bash
# Canaille 0.3.6 (PyPI), an identity provider that is a SCIM service provider, too, in memory; with the oldest scim2-models that its
# own range lets in (0.6.12), and with the newest (0.12.3), which is what `pip install 'canaille[scim]'` brings.
# Guessed: the Users and Groups of RFC 7643 are taken, and pages can be asked for. Seen: a User has to have `active` and its name
# `formatted`, a member `$ref`, else 400, though RFC 7643 section 8.7.1 requires none of them; any `count` is 500, so whoever asks
# for pages, as most clients do, gets no list, while `/.search` turns them. With the newest scim2-models all that shows a User or a
# list is 500, a creation too.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check 'canaille[scim,oidc]==0.3.6' scim2-models==0.6.12 scim2-client==0.7.5 portpicker==1.6.0 \
  pytest-iam==0.3.0 2>/dev/null
cat > run.py <<'PY'
import importlib.metadata, logging, os

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
from canaille import create_app
from canaille.backends import Backend
from joserfc.jwk import JWKRegistry
from pytest_iam import Server

key = JWKRegistry.generate_key("RSA", 2048)
key.ensure_kid()
quiet = {"version": 1, "disable_existing_loggers": True}
settings = {"SECRET_KEY": "none", "SERVER_NAME": "localhost:1", "CANAILLE": {"DATABASE": "memory", "LOGGING": quiet}}
app = create_app(config=settings | {"PREFERRED_URL_SCHEME": "http", "CANAILLE_OIDC": {"ACTIVE_JWKS": [key.as_dict(private=True)]}})
server = Server(app, 0, Backend.instance)
with app.app_context():
    client = server.models.Client(client_id="c", client_secret="none", client_name="c", scope=["openid"], grant_types=["client_credentials"])
    server.backend.save(client)
    token = server.random_token(None, client, audience=[client]).access_token
USER, GROUP, SEARCH = (f"urn:ietf:params:scim:{name}" for name in ("schemas:core:2.0:User", "schemas:core:2.0:Group", "api:messages:2.0:SearchRequest"))
logging.disable()


def ask(method, path, body=None):
    answer = app.test_client().open(f"/scim/v2{path}", method=method, json=body, headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, answer.get_json(silent=True) or {}


def made(**more):
    ben = {"schemas": [USER], "userName": "ben", "emails": [{"value": "ben@example.com"}]}
    return ask("POST", "/Users", {**ben, "active": True, "name": {"givenName": "Ben", "familyName": "B", "formatted": "Ben B"}, **more})


seen = {"without active": made(active=None)[0], "without formatted": made(name={"givenName": "Ben", "familyName": "B"})[0]}
seen["whole"], ben = made()
group = {"schemas": [GROUP], "displayName": "Sales", "members": [{"value": ben.get("id", "x")}]}
seen["member without $ref"] = ask("POST", "/Groups", group)[0]
seen |= {query: ask("GET", f"/Users{query}")[0] for query in ("", "?count=1")}
seen["search"] = ask("POST", "/.search", {"schemas": [SEARCH], "startIndex": 1, "count": 1})[0]
version = importlib.metadata.version("scim2-models")
print("scim2-models", version, seen)
refused = {"without active": 400, "without formatted": 400, "member without $ref": 400, "?count=1": 500}
assert seen == refused | ({"whole": 201, "": 200, "search": 200} if version == "0.6.12" else {"whole": 500, "": 500, "search": 500})
PY
env/bin/python -W ignore run.py 2>log.txt || { tail -n 5 log.txt; exit 1; }
env/bin/pip install --quiet --disable-pip-version-check scim2-models==0.12.3 scim2-client==0.13.2 2>/dev/null
env/bin/python -W ignore run.py 2>log.txt || { tail -n 5 log.txt; exit 1; }
echo "as found"
