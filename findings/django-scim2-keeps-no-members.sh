#!/usr/bin/env bash
# django-scim2 0.23.0 with Django 5.2.19 (PyPI), its own models and adapters as they come, over Django's test client.
# Guessed: members sent with POST and PUT of a Group are kept or refused, and members[value eq "…"] removes one (RFC 7644 section
# 3.5.2.2). Seen: 201 and 200, and nobody is in the group; only PATCH "add" keeps a member. A removal by filter is 501, by value
# (as Entra ID has it) it works. A rename of a group by PATCH is 501, too, by PUT it works. ServiceProviderConfig says "patch".
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env; mkdir people; touch people/__init__.py
env/bin/pip install --quiet --disable-pip-version-check django-scim2==0.23.0 Django==5.2.19 2>/dev/null
cat > people/models.py <<'PY'
from django.contrib.auth.models import AbstractUser
from django.db import models
from django_scim.models import AbstractSCIMGroupMixin, AbstractSCIMUserMixin


class Group(AbstractSCIMGroupMixin):
    name = models.CharField(max_length=100)


class User(AbstractSCIMUserMixin, AbstractUser):
    scim_groups = models.ManyToManyField(Group, related_name="user_set")
PY
cat > site_of_it.py <<'PY'
import django
from django.conf import settings


def signed_in(answer):
    from people.models import User

    def middleware(request):
        request.user = User(username="client")
        return answer(request)

    return middleware


settings.configure(
    SECRET_KEY="x" * 40, ALLOWED_HOSTS=["*"], ROOT_URLCONF="urls_of_it", AUTH_USER_MODEL="people.User", USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "people", "django_scim"],
    MIDDLEWARE=["site_of_it.signed_in", "django_scim.middleware.SCIMAuthCheckMiddleware"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", LOGGING_CONFIG=None,
    SCIM_SERVICE_PROVIDER={
        "NETLOC": "localhost", "GROUP_MODEL": "people.models.Group",
        "AUTHENTICATION_SCHEMES": [{"type": "oauth2", "name": "OAuth 2", "description": "a token"}],
    },
)
django.setup()
PY
cat > urls_of_it.py <<'PY'
from django.urls import include, path

urlpatterns = [path("v2/", include("django_scim.urls", namespace="scim"))]
PY
cat > run.py <<'PY'
import json

import site_of_it
from django.core.management import call_command
from django.test import Client

call_command("migrate", run_syncdb=True, verbosity=0)
client = Client(raise_request_exception=False)


def call(method, path, body=None):
    content = json.dumps(body) if body else ""
    response = client.generic(method, "/v2" + path, content, content_type="application/scim+json")
    return response.status_code, json.loads(response.content or "{}")


def patch(resource, **operation):
    schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]
    return call("PATCH", resource, {"schemas": schemas, "Operations": [operation]})[0]


def members():
    return len(call("GET", f"/Groups/{group}")[1]["members"])


schema = "urn:ietf:params:scim:schemas:core:2.0:"
ada = {"schemas": [schema + "User"], "userName": "ada", "emails": [{"value": "ada@example.com", "primary": True}]}
person = call("POST", "/Users", ada)[1]["id"]
sales = {"schemas": [schema + "Group"], "displayName": "Sales", "members": [{"value": person}]}
status, made = call("POST", "/Groups", sales)
group = made["id"]
seen = {"POST": (status, members())}
seen["PUT"] = (call("PUT", f"/Groups/{group}", sales | {"displayName": "Selling"})[0], members())
seen["add"] = (patch(f"/Groups/{group}", op="add", path="members", value=[{"value": person}]), members())
seen["remove by filter"] = (patch(f"/Groups/{group}", op="remove", path=f'members[value eq "{person}"]'), members())
seen["remove by value"] = (patch(f"/Groups/{group}", op="remove", path="members", value=[{"value": person}]), members())
seen["rename"] = (patch(f"/Groups/{group}", op="replace", path="displayName", value="Sold"), call("GET", f"/Groups/{group}")[1]["displayName"])
for what, result in seen.items():
    print(f"{what:17} {result}")
assert list(seen.values()) == [(201, 0), (200, 0), (200, 1), (501, 1), (200, 0), (501, "Selling")], seen
print("as found")
PY
env/bin/python -W ignore run.py
