"""Rules about answers, calls and logs, whatever they are about."""

import re
from collections import defaultdict, deque
from collections.abc import Iterator

from tests.faults.promises.record import Ask, Call
from tests.faults.promises.story import UNDER_WAY, Story
from tests.faults.promises.words import FILTER, person_named

REFUSALS = {400, 403}
"""What tells a client that its request is wrong, or not for it to make. A client gives up then."""
ADDRESSEE = re.compile(r"(\S+@\S+): ")
"""How the refusal of a group begins that is about one of its members."""


def one_name_one_id(story: Story) -> Iterator[tuple[float, str]]:
    """Never one account under two ids: no list shows one userName twice."""
    for ask in story.asks:
        ids = defaultdict(set)
        for one in ask.answer.get("Resources") or () if ask.path.startswith("/Users") else ():
            ids[str(one.get("userName", "")).casefold()].add(one.get("id"))
        for name, found in ids.items():
            if len(found) > 1:
                yield ask.answered_at, f"{name} is listed under {len(found)} ids"


def one_id_one_person(story: Story) -> Iterator[tuple[float, str]]:
    """Never one id for two people: who is created with another externalId is another person."""
    known: dict[str, str] = {}
    for ask in sorted((one for one in story.asks if one.succeeded), key=lambda one: one.answered or 0):
        if not ask.path.startswith("/Users") or ask.method not in {"POST", "PUT"}:
            continue
        id_, external = str(ask.answer.get("id", "")), str(ask.document.get("externalId", ""))
        if ask.method == "POST" and external and known.get(id_, external) != external:
            yield ask.answered_at, f"{id_} stood for {known[id_]}, and stands for {external} after {ask}"
        if id_ and external:
            known[id_] = external


def not_absent_then_taken(story: Story) -> Iterator[tuple[float, str]]:
    """Never "not found" and then "conflict", unless something happened to that person in between."""
    absent: dict[str, Ask] = {}
    for ask in sorted((one for one in story.asks if one.answered is not None), key=lambda one: one.answered or 0):
        found = FILTER.search(ask.path) if ask.method == "GET" else None
        if found and ask.status == 200:
            absent.pop(found[1].casefold(), None)
            if ask.answer.get("totalResults") == 0:
                absent[found[1].casefold()] = ask
        name = str(ask.document.get("userName", "")).casefold()
        looked = absent.get(name) if ask.method == "POST" and ask.path.startswith("/Users") else None
        if looked is None or ask.status != 409 or looked.order > ask.order:
            continue
        if not _happened(story, name, looked, ask):
            yield ask.answered_at, f"{name} was not found at {looked.answered_at:.3f} s, and then in the way of {ask}"


def _happened(story: Story, name: str, looked: Ask, ask: Ask) -> bool:
    """Whether anything but the two requests was done to a person between them."""
    end = ask.answered or ask.order
    for key in story.names.with_addresses({name}):
        if any(story.by_hand(key, looked.order, end)):
            return True
    for word in story.words:
        other = word.ask
        if other in (looked, ask) or other.order > end or word.kind not in {"in", "out"}:
            continue
        same = name in story.names.users.get(word.user, ()) or word.name.casefold() == name
        ended = other.order if other.answered is None else other.answered
        late = other.answered is None and looked.at - other.at < UNDER_WAY
        if same and (ended > looked.order or late or other.status == 429):
            return True
    return False


def transient_is_429(story: Story) -> Iterator[tuple[float, str]]:
    """Whatever passes is 429 with whole seconds in Retry-After; nothing is ever answered 5xx, 408 or 401."""
    for ask in story.asks:
        if ask.status >= 500 or ask.status in {401, 408}:
            yield ask.answered_at, f"{ask}"
        if ask.status == 429 and not (ask.retry_after.isascii() and ask.retry_after.isdigit()):
            yield ask.answered_at, f"{ask} with Retry-After {ask.retry_after!r}"


def road_is_no_refusal(story: Story) -> Iterator[tuple[float, str]]:
    """What stands before HubSpot, and what HubSpot says of account and token, is never told as the object's refusal.

    A refusal is HubSpot's own when the last that was heard of the person it is about was: a call is repeated, and a
    look after it is what counts. What was said meanwhile of others has nothing to do with it.
    """
    for ask in story.asks:
        if ask.status not in REFUSALS or ask.answered is None:
            continue
        named = _named(story, ask)
        last: dict[str, Call] = {}  # of all about the person, and of a call about nobody and its repetitions
        for call in story.record.calls:
            whom = story.names.called(call) if ask.order < call.order < ask.answered else None
            if whom is not None and (not whom or whom & named):
                last["the person" if whom else f"{call.method} {call.path}"] = call
        since = last["the person"].order if "the person" in last else 0
        foreign = [call for call in last.values() if _is_foreign(call) and call.order >= since]
        if not foreign or any(_has_reason(story, key, ask) for key in named) or _is_given(story, ask):
            continue
        if not any(400 <= call.status < 500 and not _is_foreign(call) for call in last.values()):
            call = foreign[-1]
            yield ask.answered_at, f"{ask} after {call.method} {call.path} was answered {call.status} ({call.fault})"


def _is_foreign(call: Call) -> bool:
    """Whether a call was refused by somebody else than HubSpot, or about something else than its object."""
    return call.status >= 400 and call.fault not in {"", "slow"}


def _named(story: Story, ask: Ask) -> frozenset[str]:
    """Return whom a refusal is about, by HubSpot's id or address: whom it names, or whom the request is about."""
    if found := ADDRESSEE.match(str(ask.answer.get("detail", ""))):
        names, id_ = {person_named(found[1])}, ""
    else:
        kind, _, id_ = ask.path.partition("?")[0].strip("/").partition("/")
        if kind != "Users":
            return frozenset()
        names = {person_named(str(ask.document["userName"]))} if "userName" in ask.document else set()
    return story.names.member(id_) | story.names.with_addresses(names) | names


def _has_reason(story: Story, key: str, ask: Ask) -> bool:
    """Whether HubSpot showed somebody, while a request was under way, as one whom no API can change as asked."""
    end = ask.answered or ask.order
    shown = [story.account(key, ask.order)]
    shown += [change.after for change in story.changes[key] if ask.order < change.order < end]
    held = [one for one in shown if one is not None]
    moved = any(one.before and one.after and one.before.email != one.after.email for one in story.changes[key])
    return bool(held) and (moved or any(one.admin or len(one.sets) > 1 for one in held))


def _is_given(story: Story, ask: Ask) -> bool:
    """Whether a request is about a group of a name that another Group has, or had when its set was taken for it.

    The client itself has said so: HubSpot need not be asked, and whatever was heard from the road has no part in it.
    """
    name = str(ask.document.get("displayName", ""))
    if not name or not ask.path.startswith("/Groups"):
        return False
    ended = {one.path.rpartition("/")[2] for one in story.asks if one.method == "DELETE" and one.order < ask.order}
    return any(name in names and id_ not in ended for id_, names in story.names.groups.items())


def limit_kept(story: Story) -> Iterator[tuple[float, str]]:
    """No window of HubSpot's limit holds more calls than it allows, but for one in which a bridge starts anew."""
    if story.record.limit is None:
        return
    most, seconds = story.record.limit
    arrivals: deque[float] = deque()
    for call in story.record.calls:
        if call.path.startswith("/scim/"):
            continue  # HubSpot's own SCIM endpoint has a token, and a limit, of its own
        arrivals.append(call.at)
        while arrivals[0] <= call.at - seconds:
            arrivals.popleft()
        fresh = any(call.at - seconds <= start <= call.at for start in story.record.starts)
        if len(arrivals) > most and not fresh:
            yield call.at, f"{len(arrivals)} calls within {seconds:.0f} s, the limit is {most}"
            arrivals.clear()


def logs_are_clean(story: Story) -> Iterator[tuple[float, str]]:
    """No line of the log holds a secret, an address or a name of anybody."""
    for line in story.record.lines:
        folded = line.casefold()
        for secret in story.record.secrets:
            if secret.casefold() in folded:
                yield 0.0, f"a line of the log holds {secret!r}: {line[:300]}"
                break
