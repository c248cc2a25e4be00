#!/usr/bin/env bash
# scimschema 0.3.1 (PyPI), a validator of SCIM answers.
# Guessed: it takes the Users of RFC 7643 §8 and refuses two primary e-mails (§2.4). Seen: a User with the enterprise extension
# is refused, since both schemas count as core ones and one is allowed; an e-mail with a type of its own ("school") is refused,
# though the types are only suggested (§7, canonicalValues); two primary e-mails pass; a ListResponse or Error is a KeyError.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check scimschema==0.3.1 2>/dev/null
env/bin/python - <<'PY'
from scimschema import validate

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
MESSAGE = "urn:ietf:params:scim:api:messages:2.0"
ADA = {"schemas": [USER], "id": "1", "userName": "ada@corp.example"}
documents = {
    "minimal": ADA,
    "enterprise": ADA | {"schemas": [USER, ENTERPRISE], ENTERPRISE: {"employeeNumber": "701984"}},
    "type of its own": ADA | {"emails": [{"value": "ada@corp.example", "type": "school"}]},
    "two primaries": ADA | {"emails": [{"value": f"{name}@corp.example", "primary": True} for name in ("ada", "a")]},
    "list": {"schemas": [f"{MESSAGE}:ListResponse"], "totalResults": 0},
    "error": {"schemas": [f"{MESSAGE}:Error"], "status": "404"},
}
seen = {}
for name, document in documents.items():
    try:
        validate(document, {})
        seen[name] = "valid"
    except Exception as error:
        seen[name] = type(error).__name__
    print(f"{name}: {seen[name]}")
assert seen["minimal"] == seen["two primaries"] == "valid"
assert seen["enterprise"] == "AssertionError" and seen["list"] == seen["error"] == "KeyError"
assert seen["type of its own"].startswith("AggregatedScim")
print("as found")
PY
