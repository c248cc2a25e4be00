#!/usr/bin/env bash
# okta 3.4.6 (PyPI), Okta's Python SDK: the body that updates a user of an application (AppUserUpdateRequest), made from a dict
# or from JSON, as all its models can be.
# Guessed: {"profile": {...}} and {"credentials": {...}} are read. Seen: no body is, not even an empty one: it is "one of" two
# models whose every field is optional, both match whatever comes, and two matches are an error. It works when the model inside
# is made by hand.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check okta==3.4.6 2>/dev/null
env/bin/python -W ignore - <<'PY'
from okta.models.app_user_profile_request_payload import AppUserProfileRequestPayload
from okta.models.app_user_update_request import AppUserUpdateRequest

bodies = [{"profile": {"role": "admin"}}, {"credentials": {"userName": "ada@example.com"}}, {}]
seen = []
for body in bodies:
    try:
        seen.append(AppUserUpdateRequest.from_dict(body).to_dict())
    except ValueError as error:
        seen.append(str(error).split(" found")[0])
by_hand = AppUserUpdateRequest(AppUserProfileRequestPayload(profile={"role": "admin"})).to_dict()
print("from a dict:", seen, " by hand:", by_hand)
assert seen == ["Multiple matches"] * 3
assert by_hand == {"profile": {"role": "admin"}}
print("as found")
PY
