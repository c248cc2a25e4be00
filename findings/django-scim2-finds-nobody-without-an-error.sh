#!/usr/bin/env bash
# django-scim2 0.23.0 with Django 5.2.19 (PyPI), its own models and adapters as they come, over Django's test client.
# Guessed: a filter it cannot compare is 400 invalidFilter (RFC 7644 section 3.4.2.2), and what GET shows PUT takes. Seen: userName
# is found in any case; filters on externalId, id and active are 200 with nobody, whatever is stored; a User made without an e-mail
# is shown with the e-mail "", and PUT of that is 400. So whoever asks by externalId before creating is told "nobody" each time.
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
from urllib.parse import urlencode

import site_of_it
from django.core.management import call_command
from django.test import Client

call_command("migrate", run_syncdb=True, verbosity=0)
client = Client(raise_request_exception=False)


def call(method, path, body=None):
    content = json.dumps(body) if body else ""
    response = client.generic(method, "/v2" + path, content, content_type="application/scim+json")
    return response.status_code, json.loads(response.content or "{}")


schema = "urn:ietf:params:scim:schemas:core:2.0:User"
ada = {"schemas": [schema], "userName": "ada", "externalId": "e1", "active": True}
made = call("POST", "/Users", ada)[1]


def found(condition):
    status, body = call("GET", "/Users?" + urlencode({"filter": condition}))
    return status, body.get("totalResults")


seen = {}
for condition in ('userName eq "ADA"', 'externalId eq "e1"', f'id eq "{made["id"]}"', "active eq true"):
    seen[condition] = found(condition)
shown = call("GET", f"/Users/{made['id']}")[1]
seen["what was shown, by PUT"] = (shown["emails"][0]["value"], call("PUT", f"/Users/{made['id']}", shown)[0])
for what, result in seen.items():
    print(f"{what:23} {result}")
assert list(seen.values()) == [(200, 1), (200, 0), (200, 0), (200, 0), ("", 400)], seen
print("as found")
PY
env/bin/python -W ignore run.py
