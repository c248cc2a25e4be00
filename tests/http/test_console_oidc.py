"""Signing in at an OpenID Connect provider: a small one with real keys, and each thing that it may say wrongly."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from scim_bridge.cli.doctor import of_provider
from scim_bridge.config import ConsoleOidcSettings, Settings, load_settings
from scim_bridge.console import opening
from scim_bridge.console.oidc import OpenId
from scim_bridge.errors import ConfigurationError
from tests.http.consoles import Browser, Site, used
from tests.http.test_console import words
from tests.unit.cli.test_looking import Operator

ISSUER = "https://login.example"
BACK = "/console/sign-in/oidc/back"
OIDC = f"""
[console.oidc]
issuer = "{ISSUER}"
client_id = "bridge"
client_secret = "between us"
operators = ["grace@x.example"]
viewers = ["vic@x.example"]
"""
KEYS = [RSAKey.generate_key(2048, {"kid": kid}) for kid in ("one", "other")]


def token(algorithm: str, claims: dict[str, Any], secret: bytes | None = None) -> str:
    """Return a token that no library makes."""
    parts = ({"alg": algorithm, "kid": "one"}, claims)
    text = b".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in parts)
    signature = b"" if secret is None else base64.urlsafe_b64encode(hmac.digest(secret, text, "sha256")).rstrip(b"=")
    return (text + b"." + signature).decode()


def signed(claims: dict[str, Any], key: RSAKey = KEYS[0], kid: str = "one") -> str:
    """Return a token as a provider signs it."""
    return jwt.encode({"alg": "RS256", "kid": kid}, claims, key)


@dataclass
class Provider:
    """A provider at which somebody is signed in.

    :param says: What differs from what it would rightly say.
    :param sign: How it signs.
    """

    says: dict[str, Any] = field(default_factory=dict)
    configuration: dict[str, Any] = field(default_factory=dict)
    sign: Callable[[dict[str, Any]], str] = signed
    keys: list[RSAKey] = field(default_factory=lambda: [KEYS[0]])
    status: int = 200
    challenge: str = ""
    nonce: str = ""
    exchanged: list[dict[str, list[str]]] = field(default_factory=list)
    elsewhere: dict[str, Any] | None = None
    """What it tells at its userinfo endpoint, where it has one."""
    date: str | None = None

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        """Answer the bridge."""
        if request.url.path == "/.well-known/openid-configuration":
            names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
            names |= {} if self.elsewhere is None else {"userinfo_endpoint": "userinfo"}
            about = {"issuer": ISSUER} | {name: f"{ISSUER}/{path}" for name, path in names.items()}
            return httpx2.Response(200, json=about | self.configuration)
        if request.url.path == "/keys":
            headers = {} if self.date is None else {"Date": self.date}
            return httpx2.Response(
                200, json={"keys": [key.as_dict(private=False) for key in self.keys]}, headers=headers
            )
        if request.url.path == "/userinfo":
            assert request.headers["authorization"] == "Bearer acce55"
            return httpx2.Response(200, json=self.elsewhere)
        form = parse_qs(request.content.decode())
        self.exchanged.append(form)
        assert request.headers["authorization"] == f"Basic {base64.b64encode(b'bridge:between%20us').decode()}"
        digest = hashlib.sha256(form["code_verifier"][0].encode()).digest()
        assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == self.challenge
        now = int(time())
        rightly = {"iss": ISSUER, "aud": "bridge", "sub": "00u1", "iat": now, "exp": now + 300, "nonce": self.nonce}
        rightly |= {"email": "grace@x.example", "email_verified": True}
        claims = {name: value for name, value in (rightly | self.says).items() if value is not None}
        return httpx2.Response(self.status, json={"id_token": self.sign(claims), "access_token": "acce55"})


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """A bridge whose console has a provider."""
    with used(tmp_path_factory.mktemp("oidc")) as made:
        made.file.write_text(made.file.read_text() + OIDC)
        yield made


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Provider:
    """What stands at the issuer's address."""
    made, real = Provider(), opening.open_id_of

    def reached(settings: Settings, oidc: ConsoleOidcSettings | None) -> OpenId | None:
        found = real(settings, oidc)
        return found and replace(found, transport=httpx2.MockTransport(made.answer))

    monkeypatch.setattr(opening, "open_id_of", reached)
    return made


@asynccontextmanager
async def sent(site: Site, provider: Provider) -> AsyncIterator[tuple[Browser, dict[str, str]]]:
    """Yield a browser that was sent to the provider, and the query that it comes back with."""
    async with site.browser() as browser:
        answer = await browser.get("/console/sign-in/oidc")
        assert answer.status_code == 303
        where = urlsplit(answer.headers["location"])
        asked = {name: one for name, (one,) in parse_qs(where.query).items()}
        assert asked["redirect_uri"].endswith(BACK)
        assert (asked["code_challenge_method"], asked["scope"]) == ("S256", "openid email profile")
        provider.challenge, provider.nonce = asked["code_challenge"], asked["nonce"]
        yield browser, {"code": "c0de", "state": asked["state"]}


async def back(browser: Browser, query: dict[str, str]) -> httpx2.Response:
    """Come back from the provider."""
    headers = {"Sec-Fetch-Site": "cross-site"}
    return await browser.http.get(BACK, params=query, headers=headers)


async def test_whoever_the_provider_names_is_in(open_site: Site, provider: Provider) -> None:
    """With their role, for eight hours, as an entry of the chain; the code is taken once."""
    async with sent(open_site, provider) as (browser, query):
        assert "Sign in" in words((await browser.get("/console/sign-in")).text)
        answer = await back(browser, query)
        assert answer.status_code == 200
        assert "You are grace@x.example, operator." in words(answer.text)
        cookies = [one for one in answer.headers.get_list("set-cookie") if one.startswith("scim-bridge=")]
        assert all(part in cookies[0].lower() for part in ("httponly", "samesite=strict", "max-age=28800"))
        assert (await browser.get("/console/people.csv")).status_code == 200
        assert (await back(browser, query)).status_code == 403
    assert len(provider.exchanged) == 1
    (entry,) = [one for one in await open_site.entries() if one["event"] == "sign-in" and one["decision"] == "operator"]
    assert (entry["actor"], entry["subject"]) == ("grace@x.example", "00u1")


async def test_roles_follow_from_a_claim(open_site: Site, provider: Provider) -> None:
    """A viewer looks, and takes no file."""
    provider.says = {"email": "vic@x.example"}
    async with sent(open_site, provider) as (browser, query):
        assert (await back(browser, query)).status_code == 200
        assert (await browser.get("/console")).status_code == 200
        assert (await browser.get("/console/people.csv")).status_code == 403


async def test_the_keys_may_change_at_any_time(open_site: Site, provider: Provider) -> None:
    """The next sign-in is proved by the new key, one of several."""
    provider.keys, provider.sign = list(KEYS), lambda claims: signed(claims, KEYS[1], "other")
    async with sent(open_site, provider) as (browser, query):
        assert (await back(browser, query)).status_code == 200


THIN = {"email": None, "email_verified": None}
GRACE = {"sub": "00u1", "email": "grace@x.example", "email_verified": True}


@pytest.mark.parametrize(
    ("says", "elsewhere", "status"),
    [
        (THIN, GRACE, 200),
        (THIN, GRACE | {"sub": "00u2"}, 403),
        (THIN, {"email": "grace@x.example", "email_verified": True}, 403),
        (THIN, GRACE | {"email_verified": False}, 403),
        (THIN, None, 403),
        ({"email": "mallory@x.example"}, GRACE, 403),
        ({"email_verified": None}, GRACE | {"email": "mallory@x.example"}, 403),
    ],
)
async def test_what_the_id_token_lacks_is_asked_for(
    open_site: Site, provider: Provider, says: dict[str, Any], elsewhere: dict[str, Any] | None, status: int
) -> None:
    """Claims of scopes stand at the userinfo endpoint, as npm's oidc-provider has it; of the same person alone."""
    provider.says, provider.elsewhere = says, elsewhere
    async with sent(open_site, provider) as (browser, query):
        assert (await back(browser, query)).status_code == status


async def test_doctor_examines_the_provider(operator: Operator, provider: Provider) -> None:
    """Its configuration, its keys, and its clock."""
    settings = load_settings(operator.file)

    async def told() -> list[tuple[str, str]]:
        return [(one.level, one.message) for one in await of_provider(settings)]

    assert await told() == [("ok", f"{ISSUER} answers, 1 key")]
    provider.date = format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)
    ((_, fine), (level, clock)) = await told()
    assert (fine, level) == (f"{ISSUER} answers, 1 key", "error")
    assert re.fullmatch(r"the provider's clock is \+(299|300) s from this one's", clock)
    provider.keys = []
    assert await told() == [("error", "The provider has no key that an ID token could be signed with.")]
    provider.configuration = {"issuer": "https://login.elsewhere"}
    assert await told() == [("error", "The provider says that it is another issuer than [console.oidc] has.")]


NOW = int(time())
WRONG: dict[str, dict[str, Any]] = {
    "another nonce": {"says": {"nonce": "another"}},
    "no nonce": {"says": {"nonce": None}},
    "another audience": {"says": {"aud": "others"}},
    "no audience": {"says": {"aud": None}},
    "for others, too": {"says": {"aud": ["bridge", "others"]}},
    "another issuer": {"says": {"iss": "https://login.elsewhere"}},
    "expired": {"says": {"exp": NOW - 120}},
    "no end": {"says": {"exp": None}},
    "of the future": {"says": {"iat": NOW + 3600}},
    "nobody": {"says": {"sub": None}},
    "not signed": {"sign": partial(token, "none")},
    "signed with another key": {"sign": lambda claims: signed(claims, KEYS[1], "one")},
    "a key nobody knows": {"sign": lambda claims: signed(claims, KEYS[1], "other")},
    "the public key as a secret": {"sign": partial(token, "HS256", secret=KEYS[0].as_pem(private=False))},
    "no token at all": {"sign": lambda _: "a.b.c"},
    "address not verified": {"says": {"email_verified": False}},
    "verified in words": {"says": {"email_verified": "true"}},
    "no role": {"says": {"email": "mallory@x.example"}},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
async def test_what_is_not_proved_lets_nobody_in(open_site: Site, provider: Provider, wrong: dict[str, Any]) -> None:
    """A page says so, nobody has a session, and it is an entry of the chain."""
    for name, value in wrong.items():
        setattr(provider, name, value)
    before = len([one for one in await open_site.entries() if one["event"] == "sign-in"])
    async with sent(open_site, provider) as (browser, query):
        answer = await back(browser, query)
        assert answer.status_code == 403
        assert "You are not signed in." in words(answer.text)
        assert not [name for name in browser.http.cookies if name == "scim-bridge"]
        assert (await browser.get("/console")).status_code == 401
    entry = [one for one in await open_site.entries() if one["event"] == "sign-in"][before:]
    assert [one["decision"] for one in entry] == ["refused"]


@pytest.mark.parametrize(
    "changes",
    [{"state": "another"}, {"state": ""}, {"iss": "https://login.elsewhere"}, {"code": "", "error": "access_denied"}],
)
async def test_another_answer_than_was_asked_for_is_not_taken(
    open_site: Site, provider: Provider, changes: dict[str, str]
) -> None:
    """No code is exchanged."""
    async with sent(open_site, provider) as (browser, query):
        answered = {name: text for name, text in (query | changes).items() if text}
        assert (await back(browser, answered)).status_code == 403
    async with sent(open_site, provider) as (_, query), open_site.browser() as other:
        assert (await back(other, query)).status_code == 403  # whose sign-in somebody else began
    assert provider.exchanged == []


@pytest.mark.parametrize(
    "configuration",
    [
        {"issuer": "https://login.elsewhere"},
        {"authorization_endpoint": "http://login.example"},
        {"authorization_endpoint": "https://[login.example"},
        {"authorization_endpoint": "https://login.example/\r\n"},
        {"issuer": None},
    ],
)
async def test_a_provider_that_is_another_one_is_sent_nobody(
    open_site: Site, provider: Provider, configuration: dict[str, Any]
) -> None:
    """Its configuration names another issuer, or an address in clear, or what is no address."""
    provider.configuration = configuration
    async with open_site.browser() as browser:
        answer = await browser.get("/console/sign-in/oidc")
        assert (answer.status_code, "location" in answer.headers) == (403, False)


async def test_an_address_that_nobody_can_be_asked_at_is_told_of(open_site: Site, provider: Provider) -> None:
    """As a provider that does not answer."""
    async with sent(open_site, provider) as (browser, query):
        provider.configuration = {"token_endpoint": "https://login.example:port/token"}
        assert "does not answer now" in words((await back(browser, query)).text)


async def test_a_provider_that_does_not_exchange_the_code_is_told_of(open_site: Site, provider: Provider) -> None:
    """With its status, and nothing that it said."""
    provider.status = 500
    async with sent(open_site, provider) as (browser, query):
        assert "refused to tell (status 500)" in words((await back(browser, query)).text)


def test_a_provider_in_clear_is_refused_at_the_start(tmp_path: Path) -> None:
    """What it says could be anybody's; this machine itself may."""
    file = tmp_path / "scim-bridge.toml"
    file.write_text("[console]\n" + OIDC.replace("https:", "http:"))
    with pytest.raises(ConfigurationError, match="issuer"):
        load_settings(file)
    file.write_text("[console]\n" + OIDC.replace(ISSUER, "http://localhost:9400"))
    assert load_settings(file).console is not None


@pytest.mark.parametrize(
    ("issuer", "said"),
    [
        ("https://login.example:port", "not an https URL"),
        ("https://[login.example", "not an https URL"),
        ("https://grace:secret@login.example", "neither a user"),
        ("https://login.example?tenant=1", "a query"),
        ("https://login .example", "blanks"),
        ("https://login.example/.well-known/openid-configuration", "leave /.well-known/… out"),
    ],
)
def test_what_is_no_issuer_is_refused_at_the_start(tmp_path: Path, issuer: str, said: str) -> None:
    """With what is wrong, not with what it is: the first who signs in would learn it late, and may see a password."""
    file = tmp_path / "scim-bridge.toml"
    file.write_text("[console]\n" + OIDC.replace(ISSUER, issuer))
    with pytest.raises(ConfigurationError, match=said) as refused:
        load_settings(file)
    assert "secret" not in str(refused.value)
