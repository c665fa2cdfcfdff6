"""A reference to one other record."""

from __future__ import annotations

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import field_types
from saas.runtime.fields._shared.ids import IdType
from saas.runtime.fields._shared.schemas import KEY_PATTERN, choice, control, label_map, options, prop

INVERSE = {
    "title": N_("Other side"),
    "description": N_("Key and label of the list shown on the other record"),
    "default": None,
    "type": ["object", "null"],
    "properties": {
        "key": prop(N_("Key"), N_("Machine name of the list"), "", type="string", pattern=KEY_PATTERN, **{"x-kind": "key"}),
        "label": label_map(N_("Label"), N_("Heading of the list")),
    },
    "required": ["key"],
    "additionalProperties": False,
    **control("inverse"),
}
PICKER = prop(
    N_("Chosen in a window with filters"), N_("Nothing is typed into the field: records are found in a window by search and by these choices"), [],
    type="array", items={"type": "string", "pattern": KEY_PATTERN}, maxItems=6, uniqueItems=True, **control("target_fields"),
)  # fmt: skip
TO = prop(N_("Points to"), N_("Which kind of record can be chosen"), "", type="string", pattern=KEY_PATTERN, **control("entity"))


@field_types.register
class Ref(IdType):
    key = "ref"
    label = lazy("Reference")
    description = lazy("A link to one other record, such as the customer of an order.")
    group = "link"
    icon = "link"
    expr_type = "ref"
    holds = "record"
    expects = lazy("Choose a record")
    options_schema = options(
        {
            "to": TO,
            "on_delete": choice(
                N_("When the other record is deleted"), N_("What happens to this record then"), "restrict",
                {"restrict": N_("Refuse while this record refers to it"), "cascade": N_("Delete this record, too"), "set_null": N_("Empty this field"), "keep": N_("Leave this field, which goes on showing its name")},
            ),
            "filter": prop(
                N_("Only records where"), N_("Expression over the other record; new.field is the record being edited"), None,
                type=["string", "null"], maxLength=2000, **control("condition"),
            ),
            "picker": PICKER,
            "inverse": INVERSE,
            "detail": prop(N_("Part of the other record"), N_("Shown and edited inside it"), False, type="boolean"),
        },
        required=("to",),
    )  # fmt: skip
    EXAMPLE_OPTIONS = {"to": "thing"}
