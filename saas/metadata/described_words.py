"""What the forms of described definitions say below a property: when one needs it, and what it means."""

from __future__ import annotations

from collections.abc import Mapping

from saas.i18n import LazyString, lazy

HELP: Mapping[str, Mapping[str, LazyString]] = {
    "review": {
        "stage": lazy("What leaves this stage, by whatever way, waits no more."),
        "target": lazy("A link to the records it is compared with, such as the members an application may be of."),
        "source": lazy("A link to records of the same kind; it is filled in those that were ticked."),
        "exact": lazy("Each field by itself, such as an identity number. Equal ones stand first."),
        "exact_there": lazy("Nothing chosen: the fields with the same keys."),
        "similar": lazy("Each field by itself: names by their letters, telephone numbers by their digits."),
        "similar_there": lazy("Nothing chosen: the fields with the same keys."),
        "exact_found": lazy("This transition is done at once, with the match filled in, and nobody has to look. Nothing chosen: it waits like all others."),
        "both": lazy("The transition asks the reviewer for what it requires, and its effects are what follows. Nothing chosen: this cannot be ticked."),
    },
    "form": {
        "only": lazy("Neither on a page of its own nor by import; rules and sample data still make them."),
    },
    "form_part": {
        "ref": lazy("People pick one that is there or enter a new one."), "list": lazy("Each line becomes a record that belongs to the main one."),
        "creates": lazy("Where there is no such record yet, a name suffices."),
    },
    "pricing": {
        "where": lazy("Other lines keep the prices they were given: those that were copied, for example."),
        "standard": lazy("Used where no price list has the product."), "price": lazy("It begins as the recommended one; people may write another."),
        "explanation": lazy("Says which discounts applied, which did not, and why."), "day": lazy("Empty: today. For example the date of the quotation."),
        "match": lazy("Fields of a discount and what of the line they must be equal to. An empty field fits everything."),
        "prices_match": lazy("Fields of a list entry and what of the line they must be equal to. An empty field fits everything; the entry that says most wins."),
        "then": lazy("For example cash: it is taken off what the best other discount leaves."),
    },
    "document": {
        "heading": lazy("Nothing written: the name of the document. {{ field }} is filled in, here and in texts and signatures."),
        "where": lazy("Other records do not have it. Empty: all have it."), "roles": lazy("Nothing chosen: everybody who may read the record."),
        "signatures": lazy("One name a line; each gets a place to sign."), "file_field": lazy("The step “Make a document” puts a PDF there."),
    },
    "document_part": {
        "ref": lazy("Then the fields are those of that record, such as the customer."), "list": lazy("Then the fields are the columns of a table, a row for each line."),
        "totals": lazy("Shown below the table."), "text": lazy("Paragraphs such as conditions; an empty line begins a new one."),
    },
    "chart": {
        "list": lazy("A list of the record. Nothing chosen: the records themselves, beside their list."),
        "planned_start": lazy("Nothing chosen: a plan is a day, the planned end."), "actual_start": lazy("Nothing chosen: what is finished began as planned."),
        "actual_end": lazy("While it is empty the record is not finished, and late from the day after its planned end."),
        "parent": lazy("A link to records of the same kind, such as the superior."), "links": lazy("Each of its records links two others."),
        "symmetric": lazy("Such as married to: drawn without an arrow."),
    },
    "mirror": {
        "path": lazy("It follows the address of the connector, such as /orders."), "rows": lazy("Such as data.items. Empty: the answer itself is the list."),
        "match": lazy("Such as the number there. The entity needs a unique rule over just these fields; the same rows again change nothing."),
        "map": lazy("One on a line: field = path in a row, such as name = customer.name."),
        "lookup": lazy("One on a line: link = field of the record it refers to, such as customer = code. What is not found stays empty."),
        "minutes": lazy("How old it may be."), "since": lazy("Such as updated_since. Empty: everything is fetched each time."),
        "mark": lazy("Such as updated_at; the highest is sent the next time. Empty: the time of the last fetch is sent."),
    },
    "live_list": {
        "path": lazy("It follows the address of the connector. Names in braces are filled in, such as /customers/{code}/orders."),
        "query": lazy("Each parameter with a formula for its value, over the record."), "rows": lazy("Such as data.items. Empty: the answer itself is the list."),
        "roles": lazy("Empty: everybody who sees the record."),
    },
    "live_column": {"path": lazy("Such as customer.name.")},
    "call": {
        "path": lazy("It follows the address of the connector, such as /orders."), "body": lazy("Each property with a formula for its value, over the record."),
        "line": lazy("Each property with a formula for its value, over the line."), "answer": lazy("One on a line: field = path in the answer, such as erp_number = data.number."),
        "once": lazy("It is sent again only if it failed for good, so pressing twice makes one order."),
    },
    "statement": {
        "measure": lazy("Empty: they are counted."), "prices": lazy("Without prices the sum itself is settled."), "prices_from": lazy("The newest one that holds on the day counts."),
        "prices_party": lazy("Where it is empty a price is for everybody; a price of one's own goes first."),
        "closings": lazy("Records that are only added: what was settled with whom. A closed period does not change any more."),
    },
    "ledger": {
        "party": lazy("The field of an entry that names the record whose balance it is, such as the member or the product."),
        "balance": lazy("A rollup that adds up the entries. Its condition says which of them count."),
        "direction": lazy("Leave it empty where amounts have a sign."),
        "holds": lazy("What is reserved is not taken yet, but can no longer be promised to somebody else."),
        "never_negative": lazy("For example what is available after reservations."),
        "limit": lazy("For example what is owed: no more can be paid."),
        "minimum": lazy("Whoever posts below it is warned; automations can react to it."),
        "origin": lazy("Entries must then say where they come from."),
        "origins": lazy("One of these must be filled, unless the kind of origin needs no record."),
        "approved_if": lazy("Other entries wait in the first stage."),
        "reversal": lazy("With it people correct an entry by its opposite, once."),
        "main": lazy("What is posted to a record with a main account counts there instead."),
        "expires": lazy("A schedule with the step “Post to a ledger” takes away what was not used in time."),
    },
}  # fmt: skip


def help_of(kind: str, name: str) -> LazyString | str:
    return HELP.get(kind, {}).get(name, "")
