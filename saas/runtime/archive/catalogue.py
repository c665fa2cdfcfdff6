"""What of a tenant goes into its archive, table by table and column by column, and what stays out, with the reason.

Nothing is taken because it happens to be there: a column that is named neither as kept nor as left out fails a test
(tests/isolation/test_archive_catalogue.py), so that whoever adds one decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ENTITY = "entity"  # in the archive's rows: the key of the entity whose number this installation knows


@dataclass(frozen=True, slots=True)
class Kept:
    """A table whose rows are written as they are. `ids` name columns that hold ids; where the table has `entity_id` the row has the
    entity's key instead. `whole`: rows refer to each other, so they are written in one statement. `without`: column -> why not."""

    table: str
    columns: tuple[str, ...]
    order: tuple[str, ...]
    ids: frozenset[str] = frozenset()
    of_entity: bool = False
    whole: bool = False
    only: str = ""  # SQL condition on the rows
    without: Mapping[str, str] = field(default_factory=dict)

    @property
    def known(self) -> frozenset[str]:
        """Every key a row of the archive may have."""
        return frozenset((*self.columns, *((ENTITY,) if self.of_entity else ())))


def _kept(table: str, columns: str, order: str, ids: str = "", *, of_entity: bool = False, whole: bool = False, only: str = "", without: Mapping[str, str] | None = None) -> Kept:
    return Kept(table, tuple(columns.split()), tuple(order.split()), frozenset(ids.split()), of_entity, whole, only, without or {})


_TOLD = "what waits to be told by e-mail here; a restored workspace tells nobody again"
_SIGN_IN = "how often somebody failed to sign in belongs to this installation"

# In the order in which they are written back: what others refer to comes first.
BEFORE_RECORDS = (
    _kept(
        "app_user", "id email name locale status superior_id title phone successor_id must_change_password password_changed_at created_at last_login_at sample_key closed_at told_by", "id", "id superior_id successor_id",
        without={"verification_hash": "a secret; the person chooses another one", "password_hash": "a secret; only with the operator's --with-passwords", "failed_count": _SIGN_IN, "locked_until": _SIGN_IN},
    ),
    _kept("first_steps", "user_id put_away_at", "user_id", "user_id"),
    _kept("department", "id key name parent_id position head_id", "id", "id parent_id head_id", whole=True),
    _kept("user_role", "user_id role_key", "user_id role_key", "user_id"),
    _kept("user_department", "user_id department_id is_primary title", "user_id department_id", "user_id department_id"),
    _kept("config_revision", "number hash bundle message author_id created_at data", "number", "author_id"),
    _kept("config_draft", "author_id base_revision bundle data version created_at updated_at", "author_id", "author_id"),
    _kept("config_draft_step", "author_id number title base_revision bundle data at", "author_id number", "author_id"),
    _kept("pack_install", "pack_key version bundle revision installed_at", "pack_key"),
    _kept("brand_file", "kind content content_type hash updated_at", "kind"),
)  # fmt: skip
AFTER_RECORDS = (
    _kept("record_link", "field_key from_id to_id", "entity_id field_key from_id to_id", "from_id to_id", of_entity=True),
    _kept("record_event", "record_id id at actor_id origin kind operation_id transition version changes", "entity_id record_id at id", "record_id id actor_id operation_id", of_entity=True),
    _kept("stage_history", "record_id id stage entered_at left_at user_id", "entity_id record_id id", "record_id id user_id", of_entity=True),
    _kept("record_merge", "id survivor_id merged_at merged_by undo_until undone_at undone_by detail", "entity_id id", "id survivor_id merged_by undone_by", of_entity=True),
    _kept("twin_dismissed", "one_id other_id dismissed_at dismissed_by", "entity_id one_id other_id", "one_id other_id dismissed_by", of_entity=True),
    _kept("review_item", "id review_key record_id enqueued_at decided_at decided_by outcome target_id sources", "entity_id id", "id record_id decided_by target_id", of_entity=True),
    _kept("record_trace", "loser_id survivor_id merge_id", "entity_id loser_id", "loser_id survivor_id merge_id", of_entity=True),
    _kept("ownership_event", "record_id id at kind user_id actor_id pool days", "entity_id record_id id", "record_id id user_id actor_id", of_entity=True),
    _kept(
        "record_share", "record_id user_id department_id role_key level part until created_at created_by", "entity_id record_id subject",
        "record_id user_id department_id created_by", of_entity=True, without={"subject": "made of whom it names"},
    ),
    _kept("user_segment", "user_id option_key record_id", "user_id option_key record_id", "user_id record_id"),
    _kept("counter", "field_key period value", "entity_id field_key period", of_entity=True),
    _kept(
        "file", "id entity_key record_id field_key name size_bytes content_type sha256 created_at created_by deleted_at", "id", "id record_id created_by", only="t.record_id IS NOT NULL",
    ),  # what no record took yet is forgotten within a day anyway, and the archive itself is such a file
    _kept("sample_record", "record_id sample_key loaded_at cleared_at", "entity_id record_id", "record_id", of_entity=True),
    _kept("saved_view", "id entity_key key user_id shared definition position created_at", "id", "id user_id"),
    _kept("notification", "id user_id created_at read_at title body entity_key record_id kind", "id", "id user_id record_id", without={"due_by": _TOLD, "due_at": _TOLD}),
    _kept(
        "message", "id created_at created_by record_id batch_id template_key channel recipient user_id locale subject body link essential status attempts error reply sent_at delivered_at", "id",
        "id created_by record_id batch_id user_id", of_entity=True, without={"provider_ref": "what a provider of this installation calls it"},
    ),
    _kept("notice_seen", "user_id record_id version at", "user_id entity_id record_id", "user_id record_id", of_entity=True),
    _kept("opt_out", "id channel address user_id reason created_at created_by", "id", "id user_id created_by"),
    _kept("schedule_run", "schedule_key record_id period ran_at", "schedule_key record_id period", "record_id"),
    _kept("schedule_log", "id schedule_key at matched done failed detail", "id", "id"),
    _kept(
        "approval_flow", "id approval_key record_id status definition way_key applicant_id started_at ended_at round step needed comment", "entity_id record_id id",
        "id record_id applicant_id", of_entity=True,
    ),
    _kept(
        "approval_task", "id flow_id round step seat kind parent_id status created_at remind_at due_at reminded_at decided_at decided_by for_id comment", "flow_id id",
        "id flow_id parent_id decided_by for_id",
    ),
    _kept("approval_person", "user_id task_id is_open", "task_id user_id", "user_id task_id"),
    _kept("approval_event", "id flow_id record_id number at actor_id act step for_id to_id comment", "entity_id record_id at id", "id flow_id record_id actor_id for_id to_id", of_entity=True),
    _kept("approval_deputy", "id user_id deputy_id first_day last_day created_at", "id", "id user_id deputy_id"),
    _kept("automation_log", "id automation_key record_id at status detail trigger revision actor_id ended_at work_us error steps state due_at watches", "id", "id record_id actor_id", of_entity=True),
    _kept("audit_event", "id at actor_id kind target ip request_id data", "id", "id actor_id"),
)  # fmt: skip
KEPT: Mapping[str, Kept] = {kept.table: kept for kept in (*BEFORE_RECORDS, *AFTER_RECORDS)}

# Tables with a form of their own in the archive: all their columns are named here.
RECORD_META = (
    "id", "version", "owner_id", "department_id", "state", "state_since", "created_at", "created_by", "updated_at", "updated_by", "deleted_at", "deleted_by", "frozen", "touched_at",
)  # fmt: skip
RECORD_IDS = frozenset({"id", "owner_id", "department_id", "created_by", "updated_by", "deleted_by"})
TENANT = ("slug", "name", "locale", "time_zone", "currency", "country", "pack_key", "brand", "clock_offset_seconds", "config_revision", "created_at", "security")
PLACE = ("field", "storage", "shape", "place", "created_at", "retired_at")
_BY_IMPORTER = "whoever imports says it"
OWN_FORM: Mapping[str, Mapping[str, str]] = {
    "tenant": {
        "id": "a tenant gets a new one", "status": _BY_IMPORTER, "plan_key": _BY_IMPORTER, "cell": "where it lives is another installation's matter",
        "domain": "an address of this installation", "domain_redirects": "belongs to the address", "delete_after": "an imported tenant is not about to be deleted", "status_reason": _BY_IMPORTER, "features": "switches belong to an installation",
        "support": "consent to support is given to one installation's operators", "limit_overrides": _BY_IMPORTER, "trial_ends_at": _BY_IMPORTER,
        "status_cause": _BY_IMPORTER, "paid_limits": "what was paid for at this installation",
    },
    "record": {"entity_id": "by the entity's key", "tenant_id": "a tenant gets a new one"},
    "entity": {"id": "numbers are given anew"},
    "field_column": {"entity_id": "by the entity's key", "column_name": "columns are given anew; only places in the document and in links keep their names"},
}  # fmt: skip
OWN_FORM_KEPT: Mapping[str, frozenset[str]] = {
    "tenant": frozenset(TENANT),
    "record": frozenset((*RECORD_META, "doc")),  # and its typed columns, by the keys of the fields
    "entity": frozenset({"key", "created_at"}),
    "field_column": frozenset({"field_key", "storage", "shape", "created_at", "retired_at"}),
}

LEFT_OUT: Mapping[str, str] = {
    "session": "who is signed in here; tokens never leave",
    "usage_delta": "what is used is counted anew where it is used",
    "usage_day": "what was used here; the copy is counted anew",
    "usage_notice": "who was told of a limit of this installation's plans",
    "mail": "messages with links to this installation; a restored workspace sends none of them again",
    "outbox": "effects of this installation; a restored workspace must not send any of them again",
    "password_reset": "links that open somebody's account; tokens never leave",
    "invitation": "links with tokens; who has not come yet is invited again from where the workspace then is",
    "hand_over": "tokens that sign somebody in here within two minutes; they never leave",
    "support_access": "who of this installation's operators looked in; what they did stands in the audit log, which goes along",
    "announcement_dismissed": "which of this installation's announcements people have seen",
    "sign_in_step": "who is signing in here at this moment",
    "second_factor": "a secret, sealed with this installation's key; people set theirs up again",
    "recovery_code": "secrets that belong to the second factor",
    "tenant_domain": "addresses proved for this installation; they are proved anew elsewhere",
    "sso_provider": "a secret, sealed with this installation's key, and an address of this installation that the provider knows; set up again elsewhere",
    "sso_subject": "who is who at that provider: found again by verified address",
    "sso_used": "who is signing in here at this moment",
    "form_entry": "who sent what from where, kept to hold programs back; the records themselves go along",
    "integration": "addresses and secrets, sealed with this installation's key; set up again elsewhere",
    "exchange": "what was said with other programs from here",
    "connector_state": "how far this installation's fetches got; what they brought are records, which go along",
    "search_token": "made anew from the records",
    "twin_pair": "found anew when somebody searches",
    "unique_value": "made anew from the records",
    "field_index": "indexes of this database; the advisor proposes them again",
    "view_measure": "how fast this database was",
    "slow_query": "what took long in this database",
    "idempotency_key": "answers kept for two days for programs that ask again",
    "config_plan": "plans are made again: they speak of the data of a moment",
    "billing_account": "a contract with this installation's operator and payment provider; importing it elsewhere would pay nobody",
    "billing_invoice": "bills between the company and this installation's operator, which the provider sent by mail as well",
    "billing_usage": "what was told to this installation's payment provider",
    "job": "work of a moment with addresses of this installation; an archive is not made while records are being rewritten",
}
