"""Rules of meaning about documents: each part shows one thing."""

from __future__ import annotations

from saas.i18n import lazy
from saas.metadata.check import Check


def check_documents(check: Check) -> None:
    for document in check.bundle.documents:
        for part in document.parts:
            path = f"documents[{document.key}].parts[{part.key}]"
            if sum(map(bool, (part.fields, part.text, part.image))) != 1:
                check.problems.add(path, "not_one_thing", lazy("A part shows fields, a text or pictures: exactly one of them."), lazy("Leave the others out, or make two parts."))
            if (part.ref or part.list) and not part.fields:
                check.problems.add(f"{path}.fields", "half_said", lazy("It is not said which fields are shown."), lazy("Choose at least one field."))
            if part.ref and part.list:
                check.problems.add(f"{path}.list", "two_records", lazy("A part is about one record or about lines, not both."), lazy("Leave one of them out."))
            if part.totals and not part.list:
                check.problems.add(f"{path}.totals", "nothing_to_add", lazy("Only lines can be added up."), lazy("Choose the lines, or leave the totals out."))
            for key in part.totals:
                if key not in part.fields:
                    check.problems.add(f"{path}.totals[{key}]", "not_shown", lazy("“%(field)s” is added up but is no column.", field=key), lazy("Add it to the fields."))
    homeless = {d.key for d in check.bundle.documents if d.file_field is None}
    for scene in check.scenes():
        for number, action in enumerate(scene.actions):
            if action.options.get("document") in homeless:
                check.problems.add(
                    f"{scene.path}[{number}].document", "nowhere_to_keep", lazy("“%(document)s” does not say where copies are kept.", document=action.options["document"]),
                    lazy("Give the document a field for files."),
                )  # fmt: skip
