"""Rules of meaning about drawings: what each kind cannot be without."""

from __future__ import annotations

from saas.i18n import lazy
from saas.metadata import models as m
from saas.metadata.check import Check
from saas.metadata.property_words import property_word

MOST_SHOWN = 4


def check_charts(check: Check) -> None:
    for chart in check.bundle.charts:
        _chart(check, f"charts[{chart.key}]", chart)


def _chart(check: Check, path: str, chart: m.ChartDef) -> None:
    def lacks(name: str) -> None:
        check.problems.add(f"{path}.{name}", "half_said", lazy("This kind of drawing needs “%(what)s”.", what=property_word("chart", name)), lazy("Choose a field, or another kind."))

    entity = check.entities.get(chart.entity)
    drawn = entity
    if entity is not None and chart.list:
        relation = entity.children.get(chart.list)
        drawn = check.entities.get(relation.child) if relation else None
    if chart.kind == "gantt" and not (chart.planned_end or chart.actual_end):
        lacks("planned_end")
    if chart.kind == "tree":
        if not chart.parent:
            lacks("parent")
        elif drawn is not None and (field := drawn.fields.get(chart.parent)) is not None and field.options.get("to") != drawn.key:
            _wrong_target(check, f"{path}.parent", field.key, drawn.key)
    if chart.kind == "graph":
        for name in ("links", "link_from", "link_to"):
            if not getattr(chart, name):
                lacks(name)
        links = check.entities.get(chart.links or "")
        if links is not None and drawn is not None:
            ends = [links.fields[k] for k in (chart.link_from, chart.link_to) if k in links.fields]
            if len(ends) == 2 and all(f.options.get("to") != drawn.key for f in ends):
                _wrong_target(check, f"{path}.link_from", ends[0].key, drawn.key)
    for name in ("shows", "link_shows"):
        if len(getattr(chart, name)) > MOST_SHOWN:
            check.problems.add(f"{path}.{name}", "too_many", lazy("More than %(count)s fields do not fit into a drawing.", count=MOST_SHOWN), lazy("Leave some out."))


def _wrong_target(check: Check, path: str, field: str, target: str) -> None:
    check.problems.add(path, "wrong_target", lazy("“%(field)s” does not refer to “%(target)s”.", field=field, target=target), lazy("Choose a field that refers to the same kind of record."))
