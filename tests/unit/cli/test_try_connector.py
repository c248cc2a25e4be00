"""``scim-bridge try-connector``, on the fake server that comes with a connector that was begun."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from click.testing import CliRunner, Result

from scim_bridge.cli import main
from scim_bridge.cli.new_connector import new_connector
from scim_bridge.testing.newsaas.fake import FakeNewsaas

ADA = '{"userName": "ada@example.com", "name": {"givenName": "Ada"}}'


@pytest.fixture
def saas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNewsaas]:
    """Return a remote system that a connector of its own is written for, and configured."""
    fake = FakeNewsaas()
    monkeypatch.setattr(httpx2, "AsyncHTTPTransport", lambda: httpx2.ASGITransport(app=fake))
    CliRunner().invoke(new_connector, ["tried", str(tmp_path / "tried")])
    monkeypatch.syspath_prepend(str(tmp_path / "tried/src"))
    connection = f'[connections.one]\nconnector = "tried"\nconfig = {{ token = "{fake.token}" }}\n'
    (tmp_path / "scim-bridge.toml").write_text('[store]\nurl = "sqlite:///x.db"\n' + connection)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)
    yield fake
    for name in [one for one in sys.modules if one.startswith("scim_bridge_tried")]:
        del sys.modules[name]


def tried(*arguments: str) -> Result:
    """Call a hook."""
    return CliRunner().invoke(main, ["try-connector", "scim_bridge_tried", *arguments])


def test_what_changes_something_is_shown_and_not_sent(saas: FakeNewsaas) -> None:
    """Without ``--write`` reads go out, and a write is told in its place."""
    done = tried("create_user", f"user={ADA}")
    assert done.exit_code == 1
    assert "GET /people 200" in done.stderr
    assert "POST /people (not sent" in done.stderr
    assert "--write sends it" in done.stdout
    assert not saas.people


def test_a_write_is_sent_and_read_again(saas: FakeNewsaas, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result is JSON; what a read shows otherwise than it was asked for is named."""
    done = tried("create_user", "--write", f"user={ADA}")
    assert json.loads(done.stdout)["remote_id"] in saas.people
    assert saas.token not in done.output
    assert "ada" not in done.stderr

    add = saas.add_person
    monkeypatch.setattr(saas, "add_person", lambda body: add(body | {"first": body["first"].upper()}))
    done = tried("create_user", "--write", 'user={"userName": "bob@example.com", "name": {"givenName": "Bob"}}')
    assert "name.givenName: 'Bob' was asked for, and a read shows 'BOB'" in done.stdout


def test_a_refusal_is_told_with_its_class(saas: FakeNewsaas) -> None:
    """And arguments that the hook does not have are."""
    done = tried("get_user", "remote_id=99")
    assert (done.exit_code, done.stdout) == (1, "RemoteNotFoundError (404): the remote system has no such account\n")
    assert "get_user takes remote_id=" in tried("get_user", "id=99").stderr
    assert "this is no JSON" in tried("create_user", "user=ada").stderr
    assert "OperationNotSupportedError (501)" in tried("delete_user", "remote_id=99").stdout


def test_what_the_connector_does_not_ask_for_need_not_be_given(saas: FakeNewsaas) -> None:
    """Its ``deactivate_user`` takes no ``user``; and when work is to be asked for again is told."""
    person = saas.add_person({"email": "ada@example.com"})
    assert (tried("deactivate_user", "--write", f"remote_id={person.id}").exit_code, person.active) == (0, False)

    source = Path("tried/src/scim_bridge_tried/connector.py")
    raising = "        raise RemoteUnavailableError('accepted', retry_after=15.0)\n"
    body = '        """End the person\'s access.'
    source.write_text(source.read_text("utf-8").replace(body, raising + body))
    for name in [one for one in sys.modules if one.startswith("scim_bridge_tried")]:
        del sys.modules[name]
    assert tried("deactivate_user", "remote_id=1").stdout == "RemoteUnavailableError (429): accepted; again in 15 s\n"


def test_an_exception_of_its_own_is_shown_whole(saas: FakeNewsaas) -> None:
    """The bridge's log hides its text, which may be about people; whoever writes the connector needs it."""
    source = Path("tried/src/scim_bridge_tried/connector.py")
    source.write_text(source.read_text("utf-8").replace("    name = user.name or Name()", '    raise KeyError("oops")'))
    done = tried("create_user", f"user={ADA}")
    assert "RemoteUnavailableError (429): the connector failed unexpectedly" in done.stdout
    assert "in attributes" in done.stderr
    assert "KeyError: 'oops'" in done.stderr


def test_a_change_of_the_connector_is_tried_at_once(saas: FakeNewsaas, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--watch`` goes on with what the files say now, until it is ended."""
    source = Path("tried/src/scim_bridge_tried/connector.py")

    def edit(_: float) -> None:
        text = source.read_text("utf-8")
        if "Changed" in text:
            raise KeyboardInterrupt
        source.write_text(text.replace("this is no id", "Changed: this is no id"), "utf-8")

    monkeypatch.setattr(time, "sleep", edit)
    done = tried("get_user", "--watch", "remote_id=ID")
    assert done.stdout.splitlines()[:3] == [
        "RemoteNotFoundError (404): this is no id of an account",
        "--- again",
        "RemoteNotFoundError (404): Changed: this is no id of an account",
    ]
