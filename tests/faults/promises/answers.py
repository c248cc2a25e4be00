"""Rules about answers, calls and logs, whatever they are about."""

from collections import defaultdict, deque
from collections.abc import Iterator

from tests.faults.promises.record import Ask
from tests.faults.promises.story import UNDER_WAY, Story
from tests.faults.promises.words import FILTER

REFUSALS = {400, 403}
"""What tells a client that its request is wrong, or not for it to make. A client gives up then."""


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
    """What stands before HubSpot, and what HubSpot says of account and token, is never told as the object's refusal."""
    for ask in story.asks:
        if ask.status not in REFUSALS or ask.answered is None or (ask.status == 403 and _admins(story, ask)):
            continue
        under_way = [call for call in story.record.calls if ask.order < call.order < ask.answered]
        last = {(call.method, call.path): call for call in under_way}  # of a call and its repetitions
        foreign = [call for call in last.values() if call.fault and call.status >= 400]
        if foreign and not any(400 <= call.status < 500 and not call.fault for call in under_way):
            call = foreign[-1]
            yield ask.answered_at, f"{ask} after {call.method} {call.path} was answered {call.status} ({call.fault})"


def _admins(story: Story, ask: Ask) -> bool:
    """Whether somebody whom a request may be about is a Super Admin, and so refused for a reason of their own."""
    kind, _, id_ = ask.path.strip("/").partition("/")
    keys = story.names.member(id_) if kind == "Users" and id_ else story.record.accounts.keys()
    held = [story.account(key, ask.order) for key in keys if key not in story.record.initial]
    return any(one is not None and one.admin for one in held)


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
