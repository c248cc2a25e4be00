"""A name is anybody's: on a page of the console it is text, in a spreadsheet no formula, whatever stands in it."""

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator, Iterator

import pytest

from scim_bridge.app import opened
from scim_bridge.config import load_settings
from scim_bridge.errors import RefusedError, RemoteForbiddenError
from scim_bridge.models import Group, User
from scim_bridge.testing.memory_remote import MemoryRemote
from tests.http.consoles import Browser, Site, used
from tests.unit.cli.test_looking import Operator

MARKUP = "<img src=x onerror=alert(1)>\"'--><script>alert(2)</script>{{7777777*7}}"
FORMULA = '=HYPERLINK("http://evil.example")'


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """A bridge with people, groups and refusals of every bad name."""
    directory = tmp_path_factory.mktemp("names")
    with used(directory) as made:
        asyncio.run(_named(made, MemoryRemote.named(f"{directory.name}-too")))
        yield made


async def _named(operator: Operator, remote: MemoryRemote) -> None:
    async with opened(load_settings(operator.file), only="beta") as bridge:
        provisioning = bridge.provisioning("beta")
        for number, name in enumerate((MARKUP, FORMULA, "+1", "-1", "@SUM(1)", "\u202eevil")):
            user = User(user_name=f"{name}{number}", display_name=name)
            id_ = (await provisioning.create_user(user)).row.id
            group = {"displayName": f"{name}{number}", "members": [{"value": id_}]}
            await provisioning.create_group(Group.model_validate(group))
        remote.fail("create_user", RemoteForbiddenError(MARKUP))
        with pytest.raises(RefusedError):
            await provisioning.create_user(User(user_name=f"refused {MARKUP}"))


@pytest.fixture
async def grace(open_site: Site) -> AsyncIterator[Browser]:
    """An operator's browser, whose own name is no better."""
    async with open_site.browser("operator", person="<b>Grace</b>") as browser:
        yield browser


async def test_names_are_text(grace: Browser) -> None:
    """On lists, on the pages of people, in what was typed, and in what was refused."""
    paths = ["/console", "/console/people", "/console/groups", "/console/work", "/console/departures", "/console/drift"]
    people = (await grace.get("/console/people")).text
    paths += re.findall(r'/console/people/beta/[^"]+', people)
    paths.append((await grace.post("/console/people", {"find": MARKUP})).headers["location"])
    paths.append((await grace.post("/console/people", {"group": MARKUP})).headers["location"])
    seen = 0
    for path in paths:
        page = (await grace.get(path)).text
        assert not re.search(r"<img|<script|<b>|\bonerror=(?!alert\(1\)&gt;)|54444439", page), path
        seen += page.count("&lt;img src=x onerror=alert(1)&gt;")
    assert seen > 6


async def test_no_cell_of_a_file_is_a_formula(operator: Operator, grace: Browser) -> None:
    """Neither of the console's nor of the command line's, which a test beside this compares."""
    for path in ("people", "groups"):
        rows = list(csv.reader(io.StringIO((await grace.get(f"/console/{path}.csv")).text)))
        cells = [cell for row in rows for cell in row]
        assert any(cell.startswith("'=HYPERLINK") for cell in cells)
        assert not [cell for cell in cells if cell[:1] in {"=", "+", "-", "@", "\t", "\r"}]
