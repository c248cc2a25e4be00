"""Questions about being invited, removed, invited again, and deactivated by hand."""

from collections.abc import Awaitable, Callable

from scim_bridge_hubspot.errors import problem_of

from .calls import Answer, Calls, ProbeError, document_of
from .report import Report

SEAT_TAKEN = "NO_SEAT_AVAILABLE_FOR_ROLE_COMBINATION"
SEAT_TRIES = 10
LAG_READS = 30

FIRST, SECOND = "Throwaway", "Thrownaway"
"""The first names that the person is invited under, the first and the second time."""


async def ask_creation(calls: Calls, report: Report, email: str) -> str:
    """Invite the person, and again, and return their id.

    :raises ProbeError: When HubSpot refuses.
    """
    sent = email[0].upper() + email[1:]
    made = await calls.create("invite a person", sent, FIRST)
    user_id = str(document_of(made).get("id") or "")
    if made.status_code != 201 or not user_id:
        raise ProbeError(f"HubSpot answers {made.status_code} to the invitation; nothing else can be asked")
    report.add("Does an invitation tell where the person is?", "yes" if "location" in made.headers else "no")
    stored = str(document_of(made).get("email") or "")
    email_form = {sent: "as_sent", sent.lower(): "lower"}.get(stored) if sent != sent.lower() else None
    report.add(
        "How is the address kept?", email_form or "neither as sent nor in lower case", "email_stored", email_form
    )
    seats = document_of(made).get("seatNames")
    seat = ("assigned" if seats else "none") if isinstance(seats, list) else None
    seen = f"{len(seats)} seats" if isinstance(seats, list) else "this version does not tell"
    report.add("Does a new person get a seat?", seen, "default_seat", seat)
    await _reading(calls, report, user_id, stored)
    again = await calls.create("invite a member again", sent, FIRST)
    report.add(
        "What does inviting a member answer?", f"status {again.status_code}", "duplicate_create", str(again.status_code)
    )
    return user_id


async def _reading(calls: Calls, report: Report, user_id: str, stored: str) -> None:
    """Tell how a new person is read: at once, under another case, and without values."""
    read = await calls.read("read a new person", user_id)
    report.add("Is a new person there at once?", f"status {read.status_code}")
    other = stored.swapcase()
    found = await calls.read_by_email("read an address in another case", other)
    reading = {200: "insensitive", 404: "sensitive"}.get(found.status_code) if other != stored else None
    report.add("Does an address match in another case?", f"status {found.status_code}", "email_lookup", reading)
    person = document_of(read)
    values = [person.get(name, "omitted") for name in ("roleId", "primaryTeamId")]
    forms = {
        "omitted" if value == "omitted" else "null" if value is None else "empty"
        for value in values
        if not value or value == "omitted"
    }
    form = forms.pop() if len(forms) == 1 else None
    report.add("How is a field without a value written?", form or "in several ways", "absent_fields", form)


async def ask_removal(calls: Calls, report: Report, user_id: str, email: str) -> None:
    """Remove the person, look, remove them again, and invite them again.

    :raises ProbeError: When the person cannot be removed or invited again.
    """
    removed = await calls.remove("remove a person", user_id)
    report.add("What does a removal answer?", f"status {removed.status_code}")
    if not removed.is_success:
        raise ProbeError(f"HubSpot answers {removed.status_code} to the removal of the person")
    gone = [
        await calls.read("read a removed person", user_id),
        await calls.read_by_email("read a removed person's address", email),
    ]
    report.add("Is a removed person gone at once?", " and ".join(f"status {read.status_code}" for read in gone))
    codes = problem_of(gone[0]).codes
    form = "named" if "OBJECT_NOT_FOUND" in codes else "uncategorised" if gone[0].content else "empty"
    report.add("What does a 404 of a missing person look like?", form, "not_found_form", form)
    await _lag(calls, report, user_id)
    again = await calls.remove("remove a removed person", user_id)
    report.add("What does a second removal answer?", f"status {again.status_code}")
    await _invited_again(calls, report, user_id, email)


async def _lag(calls: Calls, report: Report, user_id: str) -> None:
    """Count how often the list still shows a removed person."""
    for reads in range(LAG_READS):
        if not await is_listed(calls, user_id):
            report.add(
                "How long is a removed person listed?", f"{reads} reads, a second apart", "list_lag_reads", reads
            )
            return
        await calls.sleep(1.0)
    report.add("How long is a removed person listed?", f"more than {LAG_READS} reads", "list_lag_reads")


async def is_listed(calls: Calls, user_id: str) -> bool:
    """Look through the whole list for a person."""
    return any([str(member.get("id")) == user_id async for member in calls.members("look through the list")])


async def _invited_again(calls: Calls, report: Report, user_id: str, email: str) -> None:
    for refused in range(SEAT_TRIES):
        made = await calls.create("invite a removed person again", email, SECOND)
        if SEAT_TAKEN not in made.text:
            # Never is no reading: the account may have had other seats to give.
            report.add(
                "How often is a freed seat still taken?", f"{refused} times", "seat_lag_creates", refused or None
            )
            break
        await calls.sleep(1.0)
    else:
        report.add("How often is a freed seat still taken?", f"more than {SEAT_TRIES} times", "seat_lag_creates")
        raise ProbeError("HubSpot has no free seat to invite the person again")
    if made.status_code != 201:
        raise ProbeError(f"HubSpot answers {made.status_code} when the removed person is invited again")
    same = str(document_of(made).get("id")) == user_id
    report.add("Has a person who is invited again the same id?", "yes" if same else "no")
    name = document_of(await calls.read("read a person who was invited again", user_id)).get("firstName")
    reading = {FIRST: "kept", SECOND: "applied"}.get(str(name))
    report.add("Does an invitation rename a known person?", reading or "neither name is shown", "create_names", reading)


async def ask_deactivated(
    calls: Calls, report: Report, user_id: str, email: str, hand: Callable[[str], Awaitable[bool]]
) -> None:
    """Ask about a person whom somebody deactivates in HubSpot's pages, which no API can."""
    task = "deactivate the throw-away person in HubSpot (Settings, Users & Teams)"
    if not await hand(task):
        for switch in ("read_deactivated", "list_deactivated", "write_deactivated", "create_deactivated"):
            report.add("How is a deactivated person shown and changed?", "nobody was there to deactivate one", switch)
        return
    read = await calls.read("read a deactivated person", user_id)
    _note(report, "Is a deactivated person read?", read, "read_deactivated", {200: "shown", 404: "404"})
    listed = await is_listed(calls, user_id)
    report.add(
        "Is a deactivated person listed?",
        "yes" if listed else "no",
        "list_deactivated",
        "shown" if listed else "hidden",
    )
    person = document_of(read)
    teams = {
        "primaryTeamId": person.get("primaryTeamId") or None,
        "secondaryTeamIds": person.get("secondaryTeamIds") or [],
    }
    written = await calls.write("change a deactivated person", user_id, teams)
    _note(report, "Can a deactivated person be changed?", written, "write_deactivated", {200: "works", 404: "404"})
    made = await calls.create("invite a deactivated person", email, SECOND)
    readings = {200: "reactivate", 201: "reactivate", 400: "400", 409: "409"}
    _note(report, "What does inviting a deactivated person do?", made, "create_deactivated", readings)


def _note(report: Report, question: str, answer: Answer, switch: str, readings: dict[int, str]) -> None:
    report.add(question, f"status {answer.status_code}", switch, readings.get(answer.status_code))
