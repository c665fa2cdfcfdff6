"""Who decides in a step, and when a step is decided: computed without a database."""

from __future__ import annotations

from uuid import UUID

import pytest

from saas.metadata.models import ApprovalStepDef, ApproverDef
from saas.runtime.approvals.path import Org, Seat, Tally, plan_step

ME, LEAD, BOSS, ANN, BEN, CLEO = (UUID(int=n) for n in range(1, 7))
ORG = Org(
    superiors=(LEAD, BOSS), heads=(LEAD, BOSS), roles={"finance": (ANN, BEN), "legal": (CLEO,), "mine": (ME,), "ours": (ME, CLEO), "empty": ()}, departments={"sales": BOSS},
    fields={"buyer": (ANN,), "crew": (ANN, BEN), "none": ()}, people={"cleo@x.example": CLEO},
)  # fmt: skip


def role(key, **more):
    return ApproverDef("role", role=key, **more)


def planned(*approvers, holds=True, applicant=ME, **more):
    return plan_step(ApprovalStepDef("s", {"en": "S"}, approvers, **more), 0, holds, ORG, applicant)


def people(*approvers, **more):
    return [set(seat.people) for seat in planned(*approvers, **more).seats]


@pytest.mark.parametrize(
    ("approver", "expected"),
    [
        (ApproverDef("superior"), [{LEAD}]), (ApproverDef("superior", level=2), [{BOSS}]), (ApproverDef("superior", level=3), []), (ApproverDef("head"), [{LEAD}]),
        (ApproverDef("head", level=2), [{BOSS}]), (role("finance"), [{ANN, BEN}]), (role("finance", each=True), [{ANN}, {BEN}]), (role("gone"), []),
        (ApproverDef("department", department="sales"), [{BOSS}]), (ApproverDef("department", department="nowhere"), []), (ApproverDef("field", field="buyer"), [{ANN}]),
        (ApproverDef("field", field="crew", each=True), [{ANN}, {BEN}]), (ApproverDef("field", field="none"), []), (ApproverDef("person", person="Cleo@X.example"), [{CLEO}]),
        (ApproverDef("person", person="nobody@x.example"), []),
    ],
)  # fmt: skip
def test_who_an_approver_stands_for(approver, expected):
    assert people(approver, if_nobody="skip") == expected


def test_a_condition_that_does_not_hold_asks_nobody():
    assert planned(role("finance"), holds=False).state == "condition"


def test_how_many_have_to_agree():
    both = (role("finance"), role("legal"))
    assert [planned(*both, mode=mode, count=count).needed for mode, count in (("all", None), ("any", None), ("count", 2))] == [2, 1, 2]


def test_when_nobody_fits():
    assert planned(role("empty")).state == "nobody"
    assert planned(role("empty"), role("legal")).state == "nobody"  # all are wanted
    assert planned(role("empty"), role("legal"), mode="any").state == "asked"
    assert planned(role("empty"), role("legal"), mode="count", count=2).state == "nobody"
    assert planned(role("empty"), if_nobody="skip").state == "skipped"
    assert people(role("empty"), role("legal"), if_nobody="skip") == [{CLEO}]
    found = planned(role("empty"), role("gone"), if_nobody="fallback", fallback="legal")
    assert (found.state, [s.people for s in found.seats], found.needed, found.by_fallback) == ("asked", [(CLEO,)], 1, True)
    assert planned(role("empty"), if_nobody="fallback", fallback="gone").state == "nobody"


def test_nobody_decides_about_their_own_wishes_unless_it_says_so():
    assert people(role("ours")) == [{CLEO}]
    assert people(role("mine")) == [{LEAD}]
    assert people(role("mine"), if_applicant="decide") == [{ME}]
    skipped = planned(role("mine"), if_applicant="skip")
    assert skipped.seats == (Seat((), passed=True),) and skipped.is_passed
    assert not planned(role("mine"), role("legal"), if_applicant="skip").is_passed
    alone = plan_step(ApprovalStepDef("s", {}, (role("mine"),)), 0, True, Org(roles={"mine": (ME,)}), ME)
    assert alone.state == "nobody"


def tally(mode, needed, *own, asked=()):
    return Tally(mode, needed, [*(("decide", s) for s in own), *(("after", s) for s in asked)]).verdict


@pytest.mark.parametrize(
    ("mode", "needed", "own", "asked", "verdict"),
    [
        ("all", 2, ("approved", "open"), (), ""), ("all", 2, ("approved", "approved"), (), "approved"), ("all", 2, ("rejected", "open"), (), "rejected"),
        ("all", 2, ("approved", "passed"), (), "approved"), ("any", 1, ("approved", "open"), (), "approved"), ("any", 1, ("open", "rejected"), (), "rejected"),
        ("count", 2, ("rejected", "approved", "open"), (), ""), ("count", 2, ("rejected", "approved", "approved"), (), "approved"),
        ("count", 2, ("rejected", "rejected", "open"), (), "rejected"), ("all", 1, ("waits",), ("open",), ""), ("all", 1, ("approved",), ("open",), ""),
        ("all", 1, ("approved",), ("approved",), "approved"), ("any", 1, ("waits",), ("rejected",), "rejected"), ("count", 2, ("approved", "waits", "open"), (), ""),
    ],
)  # fmt: skip
def test_when_a_step_is_decided(mode, needed, own, asked, verdict):
    assert tally(mode, needed, *own, asked=asked) == verdict
