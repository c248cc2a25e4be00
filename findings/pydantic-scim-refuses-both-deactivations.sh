#!/usr/bin/env bash
# pydantic-scim 0.0.8 with pydantic 2.14.4 (PyPI); its metadata asks for pydantic >= 1.8.
# Guessed: types for SCIM read what the two largest clients send to deactivate somebody. Seen: Okta's operation has no path
# (optional by RFC 7644 section 3.5.2), which is required here; Entra's says "Replace", which is no value here; and the module of
# the enterprise extension ends at its import, since a field is called _ref.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check pydantic-scim==0.0.8 'pydantic[email]==2.14.4' 2>/dev/null
env/bin/python -W ignore - <<'PY'
import importlib

from pydantic import PydanticUserError, ValidationError
from pydanticscim.responses import PatchRequest

operations = {
    "Okta": {"op": "replace", "value": {"active": False}},
    "Entra": {"op": "Replace", "path": "active", "value": "False"},
}
seen = {}
for client, operation in operations.items():
    try:
        PatchRequest.model_validate({"Operations": [operation]})
        seen[client] = "read"
    except ValidationError as error:
        seen[client] = error.errors()[0]["loc"][-1]
try:
    importlib.import_module("pydanticscim.enterprise_user")
    seen["extension"] = "imported"
except PydanticUserError as error:
    seen["extension"] = type(error).__name__
print(seen)
assert seen == {"Okta": "path", "Entra": "op", "extension": "PydanticUserError"}
print("as found")
PY
