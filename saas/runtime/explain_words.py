"""How rights, scopes and access to fields are named when they are explained."""

from __future__ import annotations

from saas.i18n import lazy
from saas.i18n import noop as N_

RIGHTS = {
    "read": lazy("see the record"), "create": lazy("create records"), "update": lazy("change the record"), "delete": lazy("delete the record"),
    "restore": lazy("bring the record back"), "export": lazy("export the record"), "import": lazy("import records"), "bulk": lazy("change many records at once"), "merge": lazy("merge records"),
    "transition": lazy("do a transition"), "see_field": lazy("see a field"), "change_field": lazy("change a field"),
}  # fmt: skip
GRANTS = {
    "read": N_("A role lets %(name)s see it"), "update": N_("A role lets %(name)s change it"), "delete": N_("A role lets %(name)s delete it"),
    "export": N_("A role lets %(name)s export it"), "create": N_("A role lets %(name)s create %(records)s"), "import": N_("A role lets %(name)s import %(records)s"),
    "bulk": N_("A role lets %(name)s change many %(records)s at once"), "merge": N_("A role lets %(name)s merge %(records)s"),
}  # fmt: skip
SCOPES = {
    "none": lazy("none"), "own": lazy("own records"), "assigned": lazy("records assigned to them"), "participant": lazy("records they take part in"),
    "team": lazy("their own records and their team's"), "dept": lazy("records of their department"), "dept_tree": lazy("records of their department and those below"),
    "portal_self": lazy("their own record and what belongs to it"), "all": lazy("all records"),
}  # fmt: skip
ACCESS = {"hidden": lazy("hidden"), "masked": lazy("masked"), "read": lazy("read-only"), "write": lazy("editable")}
