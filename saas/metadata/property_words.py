"""What definitions, their properties and the choices of these are called by people. One table for forms, comparisons and lists of
usages; a test holds it complete for every JSON Schema in `schemas/`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import LazyString, lazy
from saas.metadata.anatomy import TYPES, is_common, sort_of, type_property

# ---- kinds of definitions -----------------------------------------------------------------------------------------------

NOUNS: Mapping[str, LazyString] = {
    "bundle": lazy("Configuration"),
    "pack": lazy("Pack"),
    "setting": lazy("Setting"),
    "option_set": lazy("Option list"),
    "option": lazy("Option"),
    "department": lazy("Department"),
    "entity": lazy("Entity"),
    "field": lazy("Field"),
    "band": lazy("Band"),
    "inverse": lazy("Other side of the relation"),
    "rule": lazy("Rule"),
    "unique": lazy("Unique rule"),
    "duplicate": lazy("Duplicate rule"),
    "pool": lazy("Pool"),
    "tree": lazy("Tree"),
    "timeline": lazy("Timeline"),
    "against": lazy("Other entity"),
    "merge": lazy("Merging"),
    "source": lazy("Source of the timeline"),
    "messages": lazy("Messages"),
    "pipeline": lazy("Pipeline"),
    "stage": lazy("Stage"),
    "transition": lazy("Transition"),
    "branch": lazy("Branch"),
    "action": lazy("Action"),
    "retry": lazy("Trying again"),
    "role": lazy("Role"),
    "right": lazy("Rights"),
    "field_right": lazy("Right on a field"),
    "menu": lazy("Menu group"),
    "view": lazy("View"),
    "board": lazy("Board"),
    "layout": lazy("Layout"),
    "tab": lazy("Tab"),
    "section": lazy("Section"),
    "related": lazy("Related list"),
    "report": lazy("Report"),
    "param": lazy("Parameter"),
    "dashboard": lazy("Dashboard"),
    "widget": lazy("Widget"),
    "measure": lazy("Measure"),
    "dimension": lazy("Dimension"),
    "automation": lazy("Automation"),
    "trigger": lazy("Trigger"),
    "schedule": lazy("Schedule"),
    "every": lazy("Time"),
    "form": lazy("Entry form"),
    "form_part": lazy("Part of the form"),
    "pricing": lazy("Pricing"),
    "approval": lazy("Approval"),
    "approval_start": lazy("Start"),
    "approval_step": lazy("Step"),
    "approval_way": lazy("Path"),
    "approval_people": lazy("People the applicant may name"),
    "approval_outcome": lazy("Outcome"),
    "approver": lazy("Approver"),
    "template": lazy("Message template"),
    "web_form": lazy("Web form"),
    "portal": lazy("For people who are a record"),
    "notice": lazy("To be read after signing in"),
    "webhook": lazy("Webhook"),
    "inbound_hook": lazy("Inbound webhook"),
    "connector": lazy("Connector"),
    "mirror": lazy("Mirror"),
    "live_list": lazy("Live list"),
    "live_column": lazy("Column"),
    "call": lazy("Call"),
    "chart": lazy("Drawing"),
    "document": lazy("Document"),
    "document_part": lazy("Part of the document"),
    "statement": lazy("Statement"),
    "ledger": lazy("Ledger"),
    "review": lazy("Review"),
    "example": lazy("Example"),
    "example_record": lazy("Record of an example"),
    "example_act": lazy("What is done"),
    "example_decision": lazy("Decision"),
}

# ---- properties ---------------------------------------------------------------------------------------------------------

# Properties that are called the same wherever they stand.
COMMON: Mapping[str, LazyString] = {
    "key": lazy("Key"),
    "label": lazy("Name"),
    "help": lazy("Help text"),
    "description": lazy("Description"),
    "icon": lazy("Icon"),
    "color": lazy("Colour"),
    "entity": lazy("Entity"),
    "roles": lazy("Roles"),
    "filter": lazy("Filter"),
    "type": lazy("Type"),
    "message": lazy("Message"),
    "sort": lazy("Sort order"),
    "columns": lazy("Columns"),
    "fields": lazy("Fields"),
    "if": lazy("Condition"),
    "widgets": lazy("Widgets"),
    "options": lazy("Options"),
}

PROPERTIES: Mapping[str, Mapping[str, LazyString]] = {
    "bundle": {
        "$schema": lazy("JSON Schema"), "format": lazy("Format"), "pack": lazy("Pack"), "settings": lazy("Settings"), "option_sets": lazy("Option lists"),
        "departments": lazy("Departments"), "entities": lazy("Entities"), "pipelines": lazy("Pipelines"), "roles": lazy("Roles"), "views": lazy("Views"),
        "layouts": lazy("Layouts"), "reports": lazy("Reports"), "dashboards": lazy("Dashboards"), "automations": lazy("Automations"),
        "schedules": lazy("Schedules"), "approvals": lazy("Approvals"), "examples": lazy("Examples"), "templates": lazy("Message templates"), "web_forms": lazy("Web forms"), "webhooks": lazy("Webhooks"),
        "inbound_hooks": lazy("Inbound webhooks"), "ledgers": lazy("Ledgers"), "forms": lazy("Entry forms"), "pricing": lazy("Pricing"), "statements": lazy("Statements"), "charts": lazy("Drawings"), "documents": lazy("Documents"), "reviews": lazy("Reviews"),
        "connectors": lazy("Connectors"), "mirrors": lazy("Mirrors"), "live_lists": lazy("Live lists"), "calls": lazy("Calls"),
    },
    "pack": {"version": lazy("Version"), "order": lazy("Place in the list")},
    "setting": {"default": lazy("Standard value"), "min": lazy("Smallest value"), "max": lazy("Largest value")},
    "option_set": {"tree": lazy("Options form a tree"), "edit_roles": lazy("Kept up to date by")},
    "option": {"active": lazy("Offered for new values"), "parent": lazy("Belongs to")},
    "department": {"parent": lazy("Part of")},
    "entity": {
        "plural": lazy("Name of several"), "title": lazy("Field that names a record"), "subtitle": lazy("Field below the name"),
        "owned": lazy("Records have an owner"), "owner_label": lazy("What the owner is called"), "owner_roles": lazy("Roles that may be owner"), "owner_picker": lazy("Filters of the window in which the owner is chosen"),
        "search": lazy("Searched fields"), "rules": lazy("Rules"), "unique": lazy("Unique rules"), "duplicates": lazy("Duplicate rules"), "merge": lazy("Merging"),
        "read_only": lazy("Fed from outside"), "append_only": lazy("Never changed or deleted"), "editable_if": lazy("Can be edited if"),
        "deletable_if": lazy("Can be deleted if"), "assignees": lazy("Fields that assign people"), "tree": lazy("Tree"),
        "timeline": lazy("Timeline"), "messages": lazy("Messages"), "form": lazy("Filled in as a form"), "pools": lazy("Pools"), "countdown_label": lazy("What the days left are called"),
        "sharing": lazy("Single records can be shared"), "segment_field": lazy("Field of the segment"), "segment_roles": lazy("Roles that cross segments"),
    },
    "pool": {
        "when": lazy("For records where"), "see": lazy("Who sees it"), "see_roles": lazy("Roles that see it"), "claimable": lazy("Records can be claimed"),
        "claim_roles": lazy("Roles that may claim"), "claim_transition": lazy("Transition when claimed or assigned"), "assign_roles": lazy("Roles that may assign"),
        "release_roles": lazy("Roles that may give back"), "release_transition": lazy("Transition when given back"), "max_held": lazy("Records one person may hold"),
        "held_if": lazy("Records that count as held"), "cooldown_days": lazy("Days before claiming again what was given up"), "claims_per_day": lazy("Claims a day"),
        "recycle_days": lazy("Back to the pool after days"), "touch": lazy("What counts as work on it"), "touch_lists": lazy("New records that count as work on it"),
        "warn_days": lazy("Warnings so many days before"), "recycle_unless": lazy("Stays with its owner if"),
    },
    "field": {
        "required": lazy("Must be filled"), "required_if": lazy("Must be filled if"), "visible_if": lazy("Shown if"), "read_only": lazy("Nobody edits it"),
        "read_only_if": lazy("Nobody edits it if"), "set_once": lazy("Cannot change after creation"), "default": lazy("Default value"),
        "unique": lazy("No two records share a value"), "message": lazy("Text when the value is refused"), "sensitive": lazy("Masked in exports"),
        "hidden": lazy("Only on layouts that name it"), "indexed": lazy("Sorting and filtering stay fast in long lists"),
    },
    "band": {"from": lazy("From")},
    "inverse": {},
    "rule": {"expr": lazy("What must hold"), "field": lazy("Shown at the field")},
    "unique": {"when": lazy("Only for records where"), "loose": lazy("Only letters and digits count"), "with_deleted": lazy("Deleted records keep their values")},
    "duplicate": {
        "match": lazy("Compared fields"), "action": lazy("What to do"), "similar": lazy("Similar is enough"), "names": lazy("Company names"),
        "threshold": lazy("How alike, in percent"), "where": lazy("Only records found for which"), "on_update": lazy("When changing"),
        "confirm_roles": lazy("Roles that may save all the same"), "reason": lazy("A reason is needed"), "reveal": lazy("Told of records one may not see"),
        "across": lazy("Also among records one may not see"), "review": lazy("Review"), "against": lazy("Compared with another entity"),
    },
    "merge": {"winner": lazy("Whose value is proposed"), "undo_days": lazy("Days in which it can be undone")},
    "against": {"fields": lazy("Fields compared there"), "reveal": lazy("Told of records one may not see"), "where": lazy("Only records found for which")},
    "tree": {"parent": lazy("Field of the record above"), "max_depth": lazy("Levels of the tree")},
    "timeline": {"sources": lazy("Sources of the timeline")},
    "source": {"via": lazy("Field that leads here"), "at": lazy("Time shown"), "kind": lazy("Kind of entry")},
    "messages": {
        "created": lazy("Text after creating"), "updated": lazy("Text after changing"), "deleted": lazy("Text after deleting"),
        "confirm_delete": lazy("Question before deleting"),
    },
    "pipeline": {"field": lazy("Field of the stage"), "stages": lazy("Stages"), "transitions": lazy("Transitions")},
    "stage": {"kind": lazy("Meaning"), "probability": lazy("Chance of success in percent"), "age_alert_days": lazy("Days after which a record is late"), "if": lazy("Only for records for which")},
    "transition": {
        "from": lazy("From stages"), "to": lazy("To stage"), "branches": lazy("Branches"), "roles": lazy("Roles that may do it"),
        "allow_if": lazy("Offered if"), "guard": lazy("Allowed only if"), "guard_message": lazy("Text when it is refused"),
        "require": lazy("Fields that must be filled"), "ask": lazy("Fields that are asked for"), "set": lazy("Values it sets"),
        "confirm": lazy("Question before"), "done": lazy("Text afterwards"), "style": lazy("Look of the button"), "effects": lazy("What follows"),
    },
    "branch": {"to": lazy("To stage")},
    "action": {
        "action": lazy("Action"), "as": lazy("Name for later actions"), "then": lazy("Then"), "else": lazy("Otherwise"), "do": lazy("For each of them"),
        "retry": lazy("When it fails, try again"),
    },
    "retry": {"times": lazy("How often"), "minutes": lazy("Minutes before the first time")},
    "role": {
        "portal": lazy("For people who are a record"), "notice": lazy("To be read after signing in"),
        "admin": lazy("Every right on everything"), "external": lazy("For people outside the company"), "entities": lazy("Rights per entity"),
        "transitions": lazy("Transitions it may do"), "reports": lazy("Reports"), "dashboards": lazy("Dashboards"), "settings": lazy("Settings pages"),
        "home": lazy("Start page"), "menu": lazy("Menu"), "tiles": lazy("The first page shows the menu, large"), "verification": lazy("Passwords change only with a verification item"),
    },
    "right": {
        "create": lazy("Create"), "read": lazy("See"), "update": lazy("Edit"), "delete": lazy("Delete"), "export": lazy("Export"), "import": lazy("Import"),
        "bulk": lazy("Bulk changes"), "merge": lazy("Merge records"), "purge": lazy("Purge records for good"), "fields": lazy("Rights on fields"),
    },
    "field_right": {"access": lazy("Access"), "mask": lazy("Mask")},
    "menu": {"items": lazy("Entries")},
    "view": {
        "kind": lazy("Kind"), "page_size": lazy("Rows a page"), "group": lazy("Grouped by"), "panel": lazy("Records open beside the list"), "default": lazy("Shown first"),
        "roles": lazy("Shown to the roles"), "board": lazy("Board"),
    },
    "board": {"by": lazy("Field of the board's columns"), "sum": lazy("Sum above each column"), "card": lazy("Fields on the cards")},
    "layout": {
        "roles": lazy("For the roles"), "header": lazy("Fields in the head"), "timeline": lazy("Timeline beside the tabs"), "tabs": lazy("Tabs"),
    },
    "tab": {"sections": lazy("Sections"), "related": lazy("Related lists"), "timeline": lazy("Shows the timeline")},
    "section": {"columns": lazy("Number of columns")},
    "related": {"key": lazy("Related list")},
    "report": {"params": lazy("Parameters")},
    "param": {"field": lazy("Field"), "kind": lazy("Kind")},
    "widget": {
        "measures": lazy("Measures"), "dimensions": lazy("Grouped by"), "limit": lazy("Rows"), "width": lazy("Width in twelfths"),
        "report": lazy("Report"), "widget": lazy("Widget"),
    },
    "measure": {"fn": lazy("Function"), "field": lazy("Field")},
    "dimension": {"field": lazy("Field"), "bucket": lazy("Period")},
    "dashboard": {},
    "automation": {
        "on": lazy("When"), "active": lazy("Switched on"), "do": lazy("What happens"), "stop": lazy("Then no further rule"), "on_error": lazy("When a step fails"),
        "overlap": lazy("While a run for the record waits"),
    },
    "trigger": {"trigger": lazy("When")},
    "schedule": {
        "every": lazy("Time"), "where": lazy("For records where"), "once_per": lazy("At most once per"), "active": lazy("Switched on"),
        "do": lazy("What happens"),
    },
    "every": {"cron": lazy("Time")},
    "form": {"parts": lazy("Parts"), "only": lazy("Such records are entered only here"), "roles": lazy("For the roles")},
    "form_part": {
        "ref": lazy("Record it refers to"), "list": lazy("Lines"), "creates": lazy("Made by their name in a line"), "only": lazy("Such records are entered only here"),
        "min": lazy("At least so many lines"),
    },
    "pricing": {
        "entity": lazy("Lines"), "where": lazy("Only lines where"), "product": lazy("Product"), "quantity": lazy("Quantity"), "standard": lazy("Standard price of the product"), "list_price": lazy("Field of the list price"),
        "suggested": lazy("Field of the recommended price"), "price": lazy("Field of the price asked"), "explanation": lazy("Field of the explanation"),
        "deviates": lazy("Ticked when less is asked than recommended"), "day": lazy("The day that counts"), "prices": lazy("Price lists"), "prices_value": lazy("Price in the list"),
        "prices_from": lazy("List holds from"), "prices_to": lazy("List holds until"), "prices_match": lazy("List holds where"), "strategies": lazy("Discounts"),
        "kind": lazy("Kind of discount"), "discount": lazy("Discount in percent"), "minimum": lazy("From this quantity"), "valid_from": lazy("Discount holds from"),
        "valid_to": lazy("Discount holds until"), "match": lazy("Discount holds where"), "combine": lazy("Of several discounts"), "then": lazy("Kinds that come on top"),
    },
    "portal": {
        "link": lazy("Field of the account"), "email": lazy("Field of the e-mail address"), "login": lazy("Field of the login name"), "open_if": lazy("They come in as long as"),
        "closed": lazy("What they read at the sign-in page otherwise"), "makers": lazy("Roles that give records an account"), "register": lazy("Web form by which people ask to be let in"),
    },
    "notice": {"text": lazy("Field of the text"), "where": lazy("Only those where")},
    "approval": {
        "active": lazy("Switched on"), "model": lazy("Model"), "start": lazy("Start"), "steps": lazy("Steps"), "ways": lazy("Paths to pick from"),
        "people": lazy("People the applicant may name"), "open_fields": lazy("Fields that stay open"), "shown": lazy("Shown to approvers"),
        "outcome": lazy("Outcome"), "may": lazy("What approvers may do besides"),
    },
    "approval_start": {
        "button": lazy("With a button on the record"), "roles": lazy("Roles that may start it"), "transitions": lazy("Starts by itself after"),
        "guards": lazy("Transitions only through this approval"),
    },
    "approval_step": {
        "approvers": lazy("Approvers"), "mode": lazy("How many must agree"), "count": lazy("Number that must agree"), "if_nobody": lazy("If nobody fits"),
        "fallback": lazy("Role that decides instead"), "if_applicant": lazy("If it is the applicant"), "due_hours": lazy("Hours to decide"),
        "remind_hours": lazy("Hours before the end to remind"),
    },
    "approval_way": {"steps": lazy("Steps")},
    "approval_people": {"roles": lazy("Only people with these roles"), "least": lazy("At least so many"), "most": lazy("At most so many")},
    "approval_outcome": {
        "approved": lazy("When approved"), "rejected": lazy("When rejected"), "withdrawn": lazy("When withdrawn"), "returned": lazy("When returned to the applicant"),
    },
    "approver": {
        "by": lazy("Who"), "level": lazy("Levels up"), "role": lazy("Role"), "department": lazy("Department"), "field": lazy("Field"),
        "person": lazy("E-mail address"), "each": lazy("Each of them"),
    },
    "webhook": {"events": lazy("Events"), "fields": lazy("Fields that are told"), "active": lazy("Switched on")},
    "inbound_hook": {
        "map": lazy("Where values stand"), "values": lazy("Set by itself"), "match": lazy("The same as before if equal in"), "on_match": lazy("Then"),
        "once": lazy("Number of the message"), "signed": lazy("Must be signed"), "active": lazy("Switched on"), "lookup": lazy("Found by"),
    },
    "web_form": {
        "required": lazy("Must be filled in"), "values": lazy("Set by itself"), "match": lazy("The same as before if equal in"), "on_match": lazy("Then"),
        "owner_role": lazy("Given in turn to people with the role"), "intro": lazy("Text above"), "button": lazy("Text of the button"), "thanks": lazy("Text afterwards"),
        "redirect": lazy("Then go on to"), "embed_on": lazy("May stand on"), "answers_to": lazy("Answers are about"), "days": lazy("Days the link is good for"), "question": lazy("Asks a small sum"), "per_hour": lazy("At most so many an hour"),
        "active": lazy("Switched on"),
    },
    "template": {
        "channels": lazy("Sent by"), "to": lazy("To"), "subject": lazy("Subject"), "body": lazy("Text"), "language": lazy("Language"),
        "essential": lazy("Also to those who opted out"),
    },
    "review": {
        "entity": lazy("Whose records wait"), "stage": lazy("Stage in which they wait"), "target": lazy("Field that names what it is matched to"),
        "source": lazy("Field that names what it was merged into"), "target_if": lazy("Matched only to records for which"), "exact": lazy("Compared exactly"),
        "exact_there": lazy("… with these fields there, in the same order"), "similar": lazy("Compared for being similar"),
        "similar_there": lazy("… with these fields there, in the same order"), "threshold": lazy("How alike, in percent"), "exact_found": lazy("When an exact match is found at once"),
        "both": lazy("A match and others that wait are ticked"), "target_only": lazy("Only a match is ticked"), "sources_only": lazy("Only others that wait are ticked"),
        "nothing": lazy("Nothing is ticked"), "each_source": lazy("With each of the others that were ticked"),
    },
    "document": {
        "entity": lazy("Of which records"), "heading": lazy("Heading"), "where": lazy("Only where"), "paper": lazy("Paper"), "landscape": lazy("Landscape"), "logo": lazy("Logo and name of the company"),
        "page_numbers": lazy("Page numbers"), "parts": lazy("Parts"), "signatures": lazy("Signed by"), "file_field": lazy("Field that keeps copies"),
    },
    "document_part": {
        "ref": lazy("Of the record it refers to by"), "list": lazy("Lines"), "totals": lazy("Added up"), "columns": lazy("Columns"), "text": lazy("Text"), "image": lazy("Pictures of"),
    },
    "chart": {
        "entity": lazy("On the pages of"), "kind": lazy("Kind"), "list": lazy("What is drawn"), "shows": lazy("Also shown"), "color_by": lazy("Coloured by"), "planned_start": lazy("Planned start"),
        "planned_end": lazy("Planned end"), "actual_start": lazy("Actual start"), "actual_end": lazy("Actual end"), "parent": lazy("Field that names the one above"), "links": lazy("Links"),
        "link_from": lazy("Field of the one side"), "link_to": lazy("Field of the other side"), "link_kind": lazy("Field of the kind of link"), "symmetric": lazy("Kinds without a direction"),
        "link_shows": lazy("Also shown of a link"),
    },
    "connector": {"mode": lazy("Mode"), "samples": lazy("Sample answers"), "active": lazy("Switched on")},
    "mirror": {
        "entity": lazy("Kept as"), "connector": lazy("Connector"), "path": lazy("Path"), "rows": lazy("Where the rows stand"), "match": lazy("The same as before if equal in"),
        "map": lazy("Where values stand"), "lookup": lazy("Links are found by"), "minutes": lazy("Fetched every so many minutes"), "since": lazy("Parameter for what changed since"),
        "mark": lazy("Where a row says when it changed"), "next": lazy("Where the answer names the next page"), "page": lazy("Parameter of the page"), "active": lazy("Switched on"),
    },
    "live_list": {
        "entity": lazy("Shown with"), "connector": lazy("Connector"), "path": lazy("Path"), "query": lazy("What is asked with"), "rows": lazy("Where the rows stand"), "columns": lazy("Columns"),
        "roles": lazy("Roles that see it"), "active": lazy("Switched on"),
    },
    "live_column": {"path": lazy("Where it stands"), "type": lazy("Shown as")},
    "call": {
        "entity": lazy("What is sent"), "connector": lazy("Connector"), "method": lazy("Method"), "path": lazy("Path"), "body": lazy("Content"), "lines": lazy("List that is sent along"),
        "lines_as": lazy("The list is called"), "line": lazy("Content of each line"), "answer": lazy("Fields that take the answer"), "once": lazy("Once a record"), "active": lazy("Switched on"),
    },
    "statement": {
        "entity": lazy("What is settled"), "where": lazy("Only where"), "party": lazy("With whom"), "date": lazy("Day that counts"), "measure": lazy("What is added up"), "period": lazy("Period"), "columns": lazy("Listed below with these columns"),
        "prices": lazy("Prices"), "prices_value": lazy("Price"), "prices_from": lazy("Price holds from"), "prices_party": lazy("Price for the party"), "closings": lazy("Closed periods"),
        "closed_party": lazy("Field of the party"), "closed_period": lazy("Field of the period"), "closed_count": lazy("Field of the count"), "closed_amount": lazy("Field of the amount"),
    },
    "ledger": {
        "entity": lazy("Its entries"), "party": lazy("Whose balance it is"), "amount": lazy("Amount"), "balance": lazy("Field of the balance"), "direction": lazy("Field of the direction"),
        "adds": lazy("These add"), "takes": lazy("These take away"), "holds": lazy("These reserve"), "frees": lazy("These release"),
        "deny_negative": lazy("The balance never falls below zero"), "never_negative": lazy("Further figures that never fall below zero"), "limit": lazy("Field the balance may not exceed"),
        "minimum": lazy("Field of the minimum that gives an alarm"), "origin": lazy("Field of the kind of origin"), "origins": lazy("Records an entry can come from"),
        "free_origins": lazy("Kinds of origin without a record"), "approved": lazy("Stage without approval"), "approved_if": lazy("No approval is needed if"),
        "reversal": lazy("Field that names the entry it reverses"), "reason": lazy("Field of the reason"), "main": lazy("Field of the main account"),
        "account": lazy("Field that keeps the sub-account"), "expires": lazy("Field of the expiry"),
    },
    "example": {
        "as": lazy("Who does it"), "given": lazy("The record before"), "records": lazy("Other records before"), "state": lazy("Stage before"),
        "when": lazy("What is done"), "decisions": lazy("How the approval is decided"), "expect": lazy("What must happen"), "message": lazy("Text the refusal must contain"),
        "then": lazy("What must hold afterwards"),
    },
    "example_record": {"values": lazy("Values")},
    "example_decision": {"as": lazy("Who decides"), "act": lazy("What they decide")},
    "example_act": {
        "create": lazy("Create the record"), "update": lazy("Change these fields"), "transition": lazy("Do the transition"),
        "values": lazy("Values given with it"), "delete": lazy("Delete the record"), "read": lazy("Open the record"),
    },
}  # fmt: skip


def noun(kind: str) -> LazyString:
    """“Field”, “Transition”, …"""
    return NOUNS.get(kind) or lazy("Part")


def property_word(kind: str, name: str, definition: Mapping[str, Any] | None = None) -> LazyString:
    """What a property is called. `definition` tells the type, whose own properties have their names in its schema."""
    own = PROPERTIES.get(kind, {}).get(name)
    if own is None and (kind not in TYPES or is_common(kind, name)):
        own = COMMON.get(name)
    if own is None and (title := type_property(kind, name, definition).get("title")):
        own = lazy(title)
    return own or COMMON.get(name) or lazy(name.replace("_", " ").capitalize())


# ---- choices ------------------------------------------------------------------------------------------------------------

YES, NO = lazy("yes"), lazy("no")

COLORS: Mapping[str, LazyString] = {
    "gray": lazy("Gray"), "red": lazy("Red"), "orange": lazy("Orange"), "yellow": lazy("Yellow"), "green": lazy("Green"), "teal": lazy("Teal"),
    "blue": lazy("Blue"), "indigo": lazy("Indigo"), "purple": lazy("Purple"), "pink": lazy("Pink"),
}  # fmt: skip
ICONS: Mapping[str, LazyString] = {
    "user": lazy("Person"), "users": lazy("People"), "building": lazy("Building"), "briefcase": lazy("Briefcase"), "target": lazy("Target"),
    "phone": lazy("Telephone"), "mail": lazy("Letter"), "calendar": lazy("Calendar"), "check-square": lazy("Check mark"), "file-text": lazy("Document"),
    "package": lazy("Parcel"), "truck": lazy("Lorry"), "star": lazy("Star"), "heart": lazy("Heart"), "flag": lazy("Flag"), "tag": lazy("Tag"),
    "ticket": lazy("Ticket"), "megaphone": lazy("Megaphone"), "chart-bar": lazy("Bar chart"), "coins": lazy("Coins"), "credit-card": lazy("Bank card"),
    "book": lazy("Book"), "message": lazy("Speech bubble"), "alert": lazy("Warning sign"), "clock": lazy("Clock"), "folder": lazy("Folder"),
    "gift": lazy("Gift"), "shield": lazy("Shield"), "home": lazy("House"), "list": lazy("List"), "box": lazy("Box"),
}  # fmt: skip
SCOPES: Mapping[str, LazyString] = {
    "none": lazy("none"), "own": lazy("own records"), "assigned": lazy("records assigned to them"), "participant": lazy("records they take part in"),
    "team": lazy("records of their team"), "dept": lazy("records of their department"), "dept_tree": lazy("records of their department and those below"),
    "portal_self": lazy("their own record and what belongs to it"), "all": lazy("all records"),
}  # fmt: skip
ACCESS: Mapping[str, LazyString] = {"hidden": lazy("hidden"), "masked": lazy("masked"), "read": lazy("read only"), "write": lazy("editable")}
ON_MATCH: Mapping[str, LazyString] = {
    "fill": lazy("fill in what is empty in the record there is"), "keep": lazy("leave the record there is as it is"), "refuse": lazy("refuse, and say so"),
}  # fmt: skip
EVENTS: Mapping[str, LazyString] = {
    "create": lazy("created"), "update": lazy("changed"), "transition": lazy("moved along the pipeline"), "delete": lazy("deleted"), "restore": lazy("restored"),
}  # fmt: skip
CHANNELS: Mapping[str, LazyString] = {"email": lazy("E-mail"), "sms": lazy("SMS"), "in_app": lazy("In the product")}
_PERIODS = {"day": lazy("day"), "week": lazy("week"), "month": lazy("month"), "quarter": lazy("quarter"), "year": lazy("year")}
_FUNCTIONS = {
    "count": lazy("number of records"), "count_distinct": lazy("number of different values"), "sum": lazy("sum"), "avg": lazy("average"),
    "min": lazy("smallest"), "max": lazy("largest"),
}  # fmt: skip

CHOICES: Mapping[str, Mapping[str, Mapping[str, LazyString]]] = {
    "setting": {
        "type": {"int": lazy("whole number"), "number": lazy("number"), "bool": lazy("yes or no"), "text": lazy("text"), "date": lazy("date")},
    },
    "entity": {"form": {"data": lazy("a form that is kept"), "process": lazy("a form that somebody decides about")}},
    "pool": {
        "see": {
            "none": lazy("only who may read its records anyway"), "dept": lazy("people of the record's department"), "dept_tree": lazy("people of the record's department and those above"),
            "all": lazy("everybody who may read such records"),
        },
        "touch": {"update": lazy("changing it"), "transition": lazy("moving it to another stage")},
    },
    "duplicate": {
        "action": {"warn": lazy("ask whether to go on"), "block": lazy("refuse"), "queue": lazy("save and put into a review")},
        "on_update": {"warn": lazy("ask whether to go on"), "block": lazy("refuse"), "queue": lazy("save and put into a review"), "ignore": lazy("do not look")},
    },
    "merge": {"winner": {"survivor": lazy("that of the record that stays"), "newest": lazy("that of the record changed last")}},
    "stage": {"kind": {"open": lazy("in progress"), "won": lazy("won"), "lost": lazy("lost"), "done": lazy("done")}},
    "transition": {"style": {"default": lazy("plain"), "primary": lazy("important"), "danger": lazy("dangerous")}},
    "view": {"kind": {"list": lazy("list"), "board": lazy("board")}},
    "role": {
        "settings": {
            "config": lazy("Configuration"), "users": lazy("People"), "audit": lazy("Audit log"), "jobs": lazy("Jobs"), "brand": lazy("Name and colour"),
            "import": lazy("Import"), "export": lazy("Export"), "api": lazy("API"), "forms": lazy("Forms"), "*": lazy("all"),
        },
    },
    "automation": {
        "on_error": {"undo": lazy("what caused it is undone, too"), "keep": lazy("the change stays, and the run can be done again")},
        "overlap": {"each": lazy("another one begins"), "skip": lazy("no other one begins"), "restart": lazy("it begins anew")},
    },
    "param": {"kind": {"year": lazy("year"), "period": lazy("period"), "option": lazy("choice"), "user": lazy("person")}},
    "measure": {"fn": _FUNCTIONS},
    "dimension": {"bucket": _PERIODS},
    "schedule": {
        "once_per": {
            "run": lazy("run"), "day": lazy("day"), "week": lazy("week"), "month": lazy("month"), "year": lazy("year"), "ever": lazy("record, ever"),
        },
    },
    "pricing": {"combine": {"best": lazy("the best one"), "sum": lazy("all together"), "best_then": lazy("the best one, then some on top")}},
    "approval": {
        "model": {"fixed": lazy("one fixed path"), "predefined": lazy("the applicant picks a path"), "adhoc": lazy("the applicant names the people")},
        "may": {
            "return": lazy("return it"), "countersign": lazy("ask somebody else as well"), "delegate": lazy("pass it on"), "withdraw": lazy("the applicant may withdraw it"),
        },
    },
    "approval_step": {
        "mode": {"all": lazy("all of them"), "any": lazy("any one of them"), "count": lazy("a certain number")},
        "if_nobody": {"refuse": lazy("it cannot be started"), "fallback": lazy("a role decides instead"), "skip": lazy("the step is skipped")},
        "if_applicant": {"superior": lazy("their superior decides"), "skip": lazy("it counts as agreed"), "decide": lazy("they decide themselves")},
    },
    "approver": {
        "by": {
            "superior": lazy("superior of the applicant"), "role": lazy("people with a role"), "head": lazy("head of the applicant's department"),
            "department": lazy("head of a department"), "field": lazy("person named in a field"), "person": lazy("a certain person"),
        },
    },
    "web_form": {"on_match": ON_MATCH},
    "inbound_hook": {"on_match": {"update": lazy("change the record there is"), **ON_MATCH}},
    "webhook": {"events": EVENTS},
    "template": {"channels": CHANNELS},
    "connector": {"mode": {"live": lazy("asks the other system"), "stub": lazy("gives sample answers")}},
    "live_column": {"type": {"text": lazy("text"), "number": lazy("number"), "money": lazy("amount of money"), "date": lazy("day"), "datetime": lazy("day and time")}},
    "call": {"method": {m: lazy(m) for m in ("POST", "PUT", "PATCH")}},
    "document": {"paper": {"a4": lazy("A4"), "a5": lazy("A5"), "letter": lazy("Letter")}},
    "chart": {"kind": {"gantt": lazy("bars on a time line"), "tree": lazy("organisation chart"), "graph": lazy("relations")}},
    "statement": {"period": {"month": lazy("month"), "quarter": lazy("quarter"), "year": lazy("year")}},
    "example": {"expect": {"allowed": lazy("it is allowed"), "refused": lazy("it is refused")}},
    "example_decision": {"act": {"approve": lazy("approved"), "reject": lazy("rejected")}},
    "field": {
        "pattern": {
            "letters": lazy("letters"), "digits": lazy("digits"), "letters_digits": lazy("letters and digits"), "code": lazy("letters, digits and . _ / -"),
            "hex": lazy("digits 0-9 and letters A-F"),
        },
    },
}  # fmt: skip
_BY_SORT: Mapping[str, Mapping[str, LazyString]] = {"color": COLORS, "icon": ICONS}


def choice_word(kind: str, name: str, value: Any, definition: Mapping[str, Any] | None = None) -> LazyString | None:
    """What one of a property's fixed values is called; None where the value is not one of these."""
    if isinstance(value, bool):
        return YES if value else NO
    if not isinstance(value, str):
        return None
    if kind in TYPES and name == TYPES[kind][0]:
        found = TYPES[kind][1].find(value)
        return found.label if found is not None else None
    if kind == "field_right" and name == "access":
        return ACCESS.get(value)
    labels = type_property(kind, name, definition).get("x-labels") or {}
    if value in labels:
        return lazy(labels[value])
    return CHOICES.get(kind, {}).get(name, {}).get(value) or _BY_SORT.get(sort_of(kind, name), {}).get(value)
