#!/usr/bin/env bash
# scim2-server 0.8.3 (PyPI, in memory), driven over its ASGI application by scim2-client 0.13.2.
# Guessed: a member of a group who names no User is refused, and a User who is deleted leaves the groups. Seen: the member is
# kept with 201, and the deleted User stays listed in the group. A client that compares members with
# Users sees people who are not there; one that trusts 2xx to an addition believes in a membership of nobody.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check 'scim2-server==0.8.3' 'scim2-client[httpx2]==0.13.2' 'scim2-models==0.12.3' 2>/dev/null
env/bin/python -W ignore - <<'PY'
import asyncio

import httpx2
from scim2_client.engines.httpx2 import AsyncSCIMClient
from scim2_models import Group, GroupMembership, ScimProvider, User
from scim2_server.applications.asgi import ASGIApplication
from scim2_server.memory import AsyncInMemoryStorage
from scim2_server.utils import load_default_resource_types, load_default_schemas, load_default_service_provider_config

provider = ScimProvider.from_discovery(
    load_default_schemas().values(), load_default_resource_types().values(), config=load_default_service_provider_config()
)


async def main():
    transport = httpx2.ASGITransport(ASGIApplication(AsyncInMemoryStorage(), provider))
    client = AsyncSCIMClient(httpx2.AsyncClient(base_url="http://localhost/v2", transport=transport))
    await client.discover()
    users, groups = client.get_resource_model("User"), client.get_resource_model("Group")
    ada = await client.create(users(user_name="ada@example.com"))
    membership = groups.get_field_root_type("members")
    made = await client.create(groups(display_name="Sales", members=[membership(value=ada.id), membership(value="nobody")]))
    kept = sorted(member.value == ada.id for member in made.members)
    print("members of the new group, Ada among them:", kept)
    await client.delete(users, ada.id)
    left = await client.query(groups, made.id)
    print("members after Ada was deleted:", len(left.members), "Ada listed:", any(m.value == ada.id for m in left.members))
    assert kept == [False, True]
    assert any(member.value == ada.id for member in left.members) and len(left.members) == 2
    print("as found")


asyncio.run(main())
PY
