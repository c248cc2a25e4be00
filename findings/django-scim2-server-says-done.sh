#!/usr/bin/env bash
# django-scim2-server 1.1.0 on Django 5.2.19 (PyPI), its own adapters.
# Guessed: what a PATCH cannot do is refused, and a deleted User is not found (RFC 7644 sections 3.5.2 and 3.6). Seen: an attribute
# named with its schema's URN, or in another case (RFC 7643 section 2.1: case does not matter), is left as it is and answered 200,
# so a deactivation by `urn:…:User:active` ends nobody's access; a deleted User is shown with 200, inactive, stays in the
# list and in the group, and whoever is created again is refused with 409.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check django-scim2-server==1.1.0 Django==5.2.19 scim2-models==0.12.3
cat > run.py <<'PY'
import json
import django
from django.conf import settings

everybody = lambda request: True
settings.configure(
    SECRET_KEY="x", USE_TZ=True, ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SCIM2_SERVER_AUTH_CHECK=f"{__name__}.everybody",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django_scim2_server"],
)
django.setup()
from django.core.management import call_command
from django.test import Client
from django.urls import include, path

urlpatterns = [path("scim/v2/", include("django_scim2_server.urls"))]
call_command("migrate", verbosity=0)


def ask(method, where, body=None):
    answer = Client().generic(method, "/scim/v2" + where, json.dumps(body) if body else "", content_type="application/scim+json")
    return answer.status_code, json.loads(answer.content) if answer.content else None


USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ada = {"schemas": [USER], "userName": "ada@example.com", "active": True}
person = ask("POST", "/Users", ada)[1]["id"]
group = ask("POST", "/Groups", {"displayName": "Sales", "members": [{"value": person}]})[1]["id"]
patched = {}
for name in (f"{USER}:active", "Active", "active"):
    operation = {"op": "replace", "path": name, "value": False}
    status, seen = ask("PATCH", f"/Users/{person}", {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]})
    patched[name.removeprefix(USER)] = status, seen["active"]
deleted = ask("DELETE", f"/Users/{person}")[0]
status, seen = ask("GET", f"/Users/{person}")
left = status, seen["active"], ask("GET", "/Users")[1]["totalResults"], len(ask("GET", f"/Groups/{group}")[1]["members"])
again = ask("POST", "/Users", ada)[0]
print("active=false by path:", patched, "- deleted:", deleted, "- read, active, listed, in the group:", left, "- created again:", again)
assert patched == {":active": (200, True), "Active": (200, True), "active": (200, False)}
assert (deleted, left, again) == (204, (200, False, 1, 1), 409)
PY
venv/bin/python -W ignore run.py 2>/dev/null && echo "as found"
