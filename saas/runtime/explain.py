"""Why a person can or cannot do something: the rules in the order the engine applies them, each with whether it holds.

Nothing is decided here a second time: grants, conditions and flags are those of `permissions` and `present`, and an act that all
rules allow is really tried and undone, so that what only shows then (a guard, a rule, an automation) is told, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import AppError, InvalidInput, NotFound
from saas.i18n import gettext as _
from saas.i18n import lazy, listed, ngettext, pick, sentences, titled
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import EntityRights, FieldDef, RoleDef, ScopeRule, TransitionDef
from saas.runtime import operations as ops
from saas.runtime import permissions
from saas.runtime.context import Context, User
from saas.runtime.door import execute
from saas.runtime.env import prepare
from saas.runtime.explain_words import ACCESS, GRANTS, RIGHTS, SCOPES
from saas.runtime.pools import rights as pools
from saas.runtime.present import can_flags, display_text, names_for
from saas.runtime.records import children_of, entity_of, load
from saas.runtime.rows import Projection, Row
from saas.runtime.segment_sql import isolates, within_sql
from saas.runtime.share_sql import shared_sql
from saas.runtime.sql import RecordScope, Statement
from saas.runtime.validate import EMPTY

ON_RECORDS = ("read", "update", "delete", "export")
BY_ROLES = ("create", "import", "bulk", "merge")  # no record is asked
WRITES = ("create", "update", "delete", "restore", "import", "bulk", "merge", "transition", "change_field")


@dataclass(frozen=True, slots=True)
class Step:
    """One rule. `holds` is None where that depends on the record, or says nothing either way; `steps` are what it rests on."""

    text: str
    holds: bool | None
    detail: str = ""
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """`level`: of a field, what the person gets of it: hidden, masked, read or write."""

    allowed: bool
    steps: tuple[Step, ...]
    level: str = ""


class _Undo(Exception):
    """Ends every attempt."""


Say = Callable[[Entity, str], str]


async def explain(
    ctx: Context, person: User, entity_key: str, record_id: UUID | None, right: str, field: str | None = None, transition: str | None = None,
    *, say: Say = lambda _entity, text: text,
) -> Verdict:  # fmt: skip
    """Walk the rules for `person` under the configuration of `ctx`, whose user asks; no value is named that they may not see.

    right: read create update delete restore export import bulk merge transition see_field change_field. Without a record it is asked
    whether the person may do so at all. `say` puts a condition over an entity into words. The transaction must be one that may write. Errors: NotFound for what does not exist,
    and for a record that who asks may not see.
    """
    entity = entity_of(ctx, entity_key)
    if right not in RIGHTS:
        raise NotFound(lazy("There is no right “%(key)s”.", key=right))
    async with tenant_transaction(ctx.tenant_id) as conn:
        walk = _Walk(conn, ctx, ctx.replace(user=person, viewer=None, elevated=False, origin="page"), entity, say)
        await walk.meet()
        if record_id is not None and right not in BY_ROLES:
            await walk.open(record_id)
        return await walk.verdict(right, field, transition)


class _Walk:
    """`asker` reads, `them` is the person in question."""

    def __init__(self, conn: Any, asker: Context, them: Context, entity: Entity, say: Say) -> None:
        self.conn, self.asker, self.them, self.entity, self.say = conn, asker, them, entity, say
        self.row: Row | None = None
        self.name = them.user.name if them.user else ""
        self._open: dict[str, str] = {}  # {field: text} of what the asker may see of the record
        self._active = True

    async def meet(self) -> None:
        """Look whether the person may sign in; somebody made up is taken to."""
        status = await self.conn.fetchval("SELECT status FROM app_user WHERE tenant_id = $1 AND id = $2", self.them.tenant_id, self.them.user_id)
        self._active = status in ("active", None)

    async def open(self, record_id: UUID) -> None:
        """Read the record whoever may, with each rule's truth for the person; the asker must be able to see it."""
        seen = await self._as_asker(record_id)
        statement = Statement(self.them)
        scope = RecordScope(statement, self.entity, "t")
        projection = Projection(scope)
        can_flags(self.them, scope, projection.flag)
        projection.flag("within segment", within_sql(scope))
        for right in ON_RECORDS:
            projection.flag(f"granted {right}", permissions.right_sql(right, scope))
            if self.entity.defn.sharing and right in ("read", "update"):
                projection.flag(f"shared {right}", shared_sql(scope, edit=right == "update"))
            for pool in self.entity.defn.pools if right == "read" else ():
                projection.flag(f"seen {pool.key}", pools.seen_in_sql(scope, pool))
            for role, number, rule in self._rules(right):
                for part, sql in zip(("scope", "if"), permissions.rule_sql(rule, scope), strict=True):
                    projection.flag(f"{right} {role.key} {number} {part}", sql)
        for name, text in self._conditions():
            projection.flag(name, ex.to_where(ex.parse(text), scope))
        sql = f"SELECT {projection.sql} FROM record t WHERE t.entity_id = {self.entity.number} AND t.id = {scope.param(record_id, 'uuid')}"
        self.row = projection.row(await self.conn.fetchrow(*statement.finish(sql)))
        access = permissions.access(self.asker, self.entity, seen.holds)
        fields = [f for k, f in self.entity.fields.items() if access.get(k) in ("read", "write")]
        names = await names_for(self.conn, self.asker, ((f, self.row.get(f.key)) for f in fields))
        self._open = {f.key: display_text(self.asker, self.entity, f, self.row.get(f.key), names) for f in fields}

    async def _as_asker(self, record_id: UUID) -> Row:
        try:
            return await load(self.conn, self.asker, self.entity, record_id)
        except NotFound:
            return await load(self.conn, self.asker, self.entity, record_id, deleted=True)

    def _conditions(self) -> Iterable[tuple[str, str]]:
        defn = self.entity.defn
        found = [("editable_if", defn.editable_if), ("deletable_if", defn.deletable_if)]
        found += [(f"allow {t.key}", t.allow_if) for t in (self.entity.pipeline.transitions if self.entity.pipeline else ())]
        return [(name, text) for name, text in found if text]

    # ---- the ways -----------------------------------------------------------------------------------------------------

    async def verdict(self, right: str, field: str | None, transition: str | None) -> Verdict:
        if right == "transition":
            steps = await self._transition(transition)
        elif right in ("see_field", "change_field"):
            return await self._field(right, field)
        elif right == "create":
            steps = self._new("create", lambda r: (r.create and not r.create_if, r.create_if))
        elif right == "import":
            steps = self._new("import", lambda r: (r.import_, None))
        elif right == "bulk":
            steps = [*self._new("bulk", lambda r: (r.bulk, None)), self._grant("update")]
        elif right == "merge":
            steps = [*self._new("merge", lambda r: (r.merge, None)), self._grant("update")]
        elif right == "restore":
            steps = await self._restore()
        else:
            steps = await self._record(right)
        return self._judge([*self._person(write=right in WRITES), *steps])

    def _judge(self, steps: list[Step], level: str = "") -> Verdict:
        return Verdict(all(s.holds is not False for s in steps), tuple(steps), level)

    async def _record(self, right: str) -> list[Step]:
        """read, update, delete, export: of the record, or of any."""
        steps = [*self._there(), self._grant("read")]
        if right == "read":
            return steps
        if right != "export":
            steps += self._changeable()
        if right == "update":
            steps += self._entered()
        steps.append(self._grant(right))
        if right == "update":
            steps += self._condition("editable_if", _("%(records)s stay open for changes only while a condition holds", records=self._plural))
        if right == "delete":
            steps += self._condition("deletable_if", _("%(records)s can be deleted only while a condition holds", records=self._plural))
            steps += await self._children()
            steps += await self._attempt(steps, lambda row: ops.Delete(entity=self.entity.key, id=row.id))
        return steps

    async def _restore(self) -> list[Step]:
        row = self.row
        steps = [Step(_("The record is in the recycle bin"), row.deleted_at is not None)] if row else []
        steps += [self._grant("read"), *self._changeable(), self._grant("delete")]
        steps += self._condition("deletable_if", _("%(records)s can be deleted only while a condition holds", records=self._plural))
        return steps + await self._attempt(steps, lambda found: ops.Restore(entity=self.entity.key, id=found.id))

    def _new(self, right: str, given: Callable[[EntityRights], tuple[bool, str | None]]) -> list[Step]:
        """create, import, bulk, merge: by the roles alone."""
        found = []
        for role, rights in self._by_role():
            yes, condition = given(rights)
            detail = _("if %(condition)s", condition=self.say(self.entity, condition)) if condition else ""
            found.append(Step(self._whose(role), None if condition and not yes else yes, self._source(role, detail)))
        holds = any(s.holds is not False for s in found)
        steps = [Step(_(GRANTS[right], name=self.name, records=self._plural), holds, steps=tuple(found))]
        return [*(self._changeable() if right in ("bulk", "merge") else self._outside()), *self._entered(), *steps]

    # ---- transitions

    async def _transition(self, key: str | None) -> list[Step]:
        pipeline = self.entity.pipeline
        transition = pipeline.transition(key or "") if pipeline else None
        if pipeline is None or transition is None:
            raise NotFound(lazy("There is no transition “%(key)s” here.", key=key))
        steps = [*self._there(), self._grant("read"), *self._who_moves(transition)]
        if transition.allow_if:
            steps += self._condition(f"allow {transition.key}", _("“%(label)s” is offered only while a condition holds", label=pick(transition.label)), transition.allow_if)
        if self.row is None:
            return steps
        steps.append(self._stage(transition))
        missing = [k for k in transition.require if self.row.get(k) in EMPTY]
        labels = listed(pick(self.entity.fields[k].label) for k in missing)
        if transition.require:
            steps.append(Step(_("All fields “%(label)s” needs are filled in", label=pick(transition.label)), not missing, _("Still empty: %(fields)s. The dialog asks for them.", fields=labels) if missing else ""))
        if transition.guard:
            steps.append(await self._guard(transition))
        return steps + await self._attempt(steps, lambda row: ops.Transition(entity=self.entity.key, id=row.id, key=transition.key))

    def _who_moves(self, transition: TransitionDef) -> list[Step]:
        pipeline = self.entity.pipeline
        assert pipeline is not None
        found, verdicts = [], []
        for role in permissions.roles(self.them):
            verdict = permissions.transition_roles(self._with_role(role), pipeline, transition)
            verdicts.append(verdict)
            detail = "" if verdict is not None else _("whoever may change the record")
            found.append(Step(self._whose(role), verdict, detail))
        overall = permissions.transition_roles(self.them, pipeline, transition)
        text = _("A role lets %(name)s do “%(label)s”", name=self.name, label=pick(transition.label))
        if overall is not None:
            return [Step(text, overall, steps=tuple(found))]
        return [*self._outside(), Step(_("Whoever may change the record may do “%(label)s”", label=pick(transition.label)), None, steps=tuple(found)), self._grant("update")]

    def _stage(self, transition: TransitionDef) -> Step:
        pipeline, row = self.entity.pipeline, self.row
        assert pipeline is not None and row is not None
        names = {s.key: pick(s.label) for s in pipeline.stages}
        detail = _("It is at “%(stage)s”.", stage=names.get(row.state or "", row.state or "–"))
        if "*" in transition.sources:
            return Step(_("“%(label)s” is possible at every stage", label=pick(transition.label)), True, detail)
        stages = listed(f"“{names.get(s, s)}”" for s in transition.sources)
        return Step(_("The record is at a stage from which “%(label)s” leads on: %(stages)s", label=pick(transition.label), stages=stages), row.state in transition.sources, detail)

    async def _guard(self, transition: TransitionDef) -> Step:
        assert self.row is not None
        env = await prepare(self.conn, self.them, self.entity, self.row, [transition.guard], old=self.row)
        holds = env.holds(transition.guard)
        text = _("The condition of “%(label)s” holds", label=pick(transition.label))
        return Step(text, holds, sentences(t for t in ("" if holds else pick(transition.guard_message), self._shown(transition.guard or "")) if t))

    # ---- fields

    async def _field(self, right: str, key: str | None) -> Verdict:
        field = self.entity.fields.get(key or "")
        if field is None:
            raise NotFound(lazy("There is no field “%(key)s” here.", key=key))
        if right == "see_field":
            steps = [*self._person(write=False), *await self._record("read")]
        elif self.row is not None:
            steps = [*self._person(write=True), *await self._record("update")]
        else:
            steps = [*self._person(write=True), *self._new("create", lambda r: (r.create and not r.create_if, r.create_if))]
        level = self._level(field)
        wanted = ("read", "write") if right == "see_field" else ("write",)
        if right == "see_field" or not field.system or field.key == "owner":
            steps.append(Step(_("Roles: the field “%(label)s” is %(access)s", label=pick(field.label), access=str(ACCESS[level])), level in wanted, steps=tuple(self._limits(field))))
        if right == "see_field":
            if field.visible_if:
                steps.append(Step(_("Pages show the field only where it applies"), None, self._shown(field.visible_if)))
            return self._judge(steps, level)
        steps += await self._fixed(field)
        return self._judge(steps, level)

    def _level(self, field: FieldDef) -> str:
        if self.row is None:
            return permissions.static_access(self.them, self.entity)[field.key]
        return permissions.access(self.them, self.entity, self.row.holds)[field.key]

    def _limits(self, field: FieldDef) -> Iterable[Step]:
        for role, rights in permissions.deciding_fields(self.them, self.entity.key):
            limit = rights.fields.get(field.key)
            if limit is None:
                yield Step(titled(self._whose(role), _("no limit for this field")), True)
                continue
            holds = None if limit.condition and self.row is None else not limit.condition or self.row is None or self.row.holds.get(limit.condition, True)
            text = titled(self._whose(role), ACCESS[limit.access])
            detail = titled(_("only if"), self._shown(limit.condition)) if limit.condition else ""
            yield Step(text if holds is not False else titled(self._whose(role), _("no limit on this record")), limit.access == "write" or holds is False, detail)

    async def _fixed(self, field: FieldDef) -> list[Step]:
        """What keeps a value from being changed, whoever asks."""
        found = []
        if field_types.get(field.type).computed:
            found.append(Step(_("People can set this value"), False, _("It is computed.")))
        elif field.type == "pipeline":
            found.append(Step(_("People can set this value"), False, _("The stage changes only through its transitions.")))
        elif field.system and field.key != "owner":
            found.append(Step(_("People can set this value"), False, _("The system keeps it itself.")))
        if field.read_only and not field.system:
            found.append(Step(_("The field may be edited"), False, _("It is read-only for everybody.")))
        if field.set_once and self.row is not None:
            found.append(Step(_("The value has not been set before"), self.row.get(field.key) in EMPTY, _("It cannot change after it was first saved.")))
        if field.read_only_if:
            env = await prepare(self.conn, self.them, self.entity, self.row, [field.read_only_if]) if self.row else None
            found.append(Step(_("No condition locks the field now"), None if env is None else not env.holds(field.read_only_if), titled(_("locked if"), self._shown(field.read_only_if))))
        return found

    # ---- steps that many ways share -----------------------------------------------------------------------------------

    @property
    def _plural(self) -> str:
        return pick(self.entity.defn.plural)

    def _whose(self, role: RoleDef) -> str:
        return pick(role.label) or role.key

    def _with_role(self, role: RoleDef) -> Context:
        assert self.them.user is not None
        return self.them.replace(user=replace(self.them.user, role_keys=(role.key,)))

    def _by_role(self) -> list[tuple[RoleDef, EntityRights]]:
        return [(role, permissions.rights_of(role, self.entity.key)) for role in permissions.roles(self.them)]

    def _rules(self, right: str) -> Iterable[tuple[RoleDef, int, ScopeRule]]:
        for role in permissions.roles(self.them):
            for number, rule in enumerate(permissions.rules(self._with_role(role), right, self.entity.key)):
                yield role, number, rule

    def _person(self, *, write: bool) -> list[Step]:
        user = self.them.user
        assert user is not None
        found = []
        if write:
            closed = not self.them.tenant.is_writable
            found.append(Step(_("The workspace is active"), not closed, str(permissions.why_closed(self.them.tenant.status)) if closed else ""))
        found.append(Step(_("%(name)s can sign in", name=self.name), self._active, "" if self._active else _("The account is switched off.")))
        roles = [self._whose(role) for role in permissions.roles(self.them)]
        gone = [key for key in user.role_keys if key not in self.them.config.roles]
        detail = sentences(t for t in (listed(roles), _("not in this configuration: %(keys)s", keys=listed(gone)) if gone else "") if t)
        found.append(Step(_("%(name)s has a role", name=self.name), bool(roles), detail))
        return found

    def _there(self) -> list[Step]:
        if self.row is None:
            return []
        deleted = self.row.deleted_at is not None
        detail = _("It lies in the recycle bin, which those who may delete can open.") if deleted else ""
        return [Step(_("The record has not been deleted"), not deleted, detail)]

    def _outside(self) -> list[Step]:
        if not self.entity.defn.read_only:
            return []
        return [Step(_("%(records)s can be changed here", records=self._plural), False, _("These records come from another system and cannot be changed here."))]

    def _entered(self) -> list[Step]:
        """Records that are entered through a form alone are neither made nor changed on pages of their own."""
        if permissions.enters_here(self.them, self.entity.key):
            return []
        ways = permissions.only_forms(self.them.config)[self.entity.key]
        forms = listed(pick(f.label) for f in self.them.config.bundle.forms if f.key in ways)
        return [Step(_("%(records)s have a page to enter them on", records=self._plural), False, _("They are entered and changed through a form alone: %(forms)s.", forms=forms))]

    def _changeable(self) -> list[Step]:
        if self.entity.defn.read_only:
            return self._outside()
        if self.entity.defn.append_only:
            return [Step(_("%(records)s can be changed here", records=self._plural), False, _("These records can be added but never changed."))]
        return []

    def _grant(self, right: str) -> Step:
        """Whether a role gives the right, with each rule of each role; any of them suffices."""
        found = []
        for role in permissions.roles(self.them):
            rules = [(number, rule) for r, number, rule in self._rules(right) if r is role]
            if not rules:
                found.append(Step(titled(self._whose(role), SCOPES["none"]), False, self._source(role)))
            found += [self._rule(right, role, number, rule) for number, rule in rules]
        if self.entity.defn.sharing and right in ("read", "update"):
            text = _("Somebody shared it with %(name)s", name=self.name) if right == "read" else _("Somebody shared it with %(name)s, to be changed", name=self.name)
            found.append(Step(text, None if self.row is None else self.row.holds[f"shared {right}"]))
        for pool in self.entity.defn.pools if right == "read" else ():
            holds = pools.sees(self.them, pool) and (None if self.row is None else self.row.holds[f"seen {pool.key}"])
            detail = "" if holds is not False or pools.sees(self.them, pool) else _("This pool is for other roles.")
            found.append(Step(_("It lies in the pool “%(name)s”, open to %(person)s", name=pick(pool.label), person=self.name), holds, detail))
        if isolates(self.them, self.entity):
            holds = None if self.row is None else self.row.holds["within segment"]
            found.append(Step(_("It is in a segment of %(name)s; nothing else opens it", name=self.name), holds))
        if self.row is None:
            holds = bool(permissions.rules(self.them, right, self.entity.key))
        else:
            holds = self.row.holds[f"granted {right}"]
        return Step(_(GRANTS[right], name=self.name, records=self._plural), holds, steps=tuple(found))

    def _rule(self, right: str, role: RoleDef, number: int, rule: ScopeRule) -> Step:
        scope, condition = str(SCOPES[rule.scope]), rule.condition
        text = titled(self._whose(role), _("%(records)s, if %(condition)s", records=scope, condition=self.say(self.entity, condition)) if condition else scope)
        if self.row is None:
            return Step(text, True if rule.scope == "all" and not condition else None, self._source(role))
        within, fits = (self.row.holds[f"{right} {role.key} {number} {part}"] for part in ("scope", "if"))
        detail = [] if within and rule.scope == "all" else [self._reach(rule.scope)]
        if condition:
            detail.append(titled(_("the condition holds") if fits else _("the condition does not hold"), self._shown(condition)))
        return Step(text, within and fits, self._source(role, sentences(d for d in detail if d)))

    def _source(self, role: RoleDef, detail: str = "") -> str:
        """Where a role says so, when that is not its entry for this entity."""
        if role.admin:
            return detail or _("administrators may do everything")
        if self.entity.key in role.entities:
            return detail
        default = _("by its rule for all other entities") if "*" in role.entities else _("it says nothing about this entity")
        return sentences([default, detail]) if detail else default

    def _reach(self, scope: str) -> str:
        """The people on the record that a scope looks at."""
        user, entity = self.them.user, self.entity
        assert user is not None and self.row is not None
        holder = "owner" if entity.defn.owned else "created_by"
        own = self._value(holder)
        if scope == "own":
            return own
        if scope == "assigned":
            return sentences(self._value(key) for key in entity.defn.assignees) or _("no field of this entity assigns people")
        if scope == "participant":
            return sentences(self._value(f.key) for f in entity.fields.values() if field_types.get(f.type).holds == "user" and f.key != "updated_by")
        if scope == "team":
            return sentences([own, ngettext("%(count)s person reports to %(name)s", "%(count)s people report to %(name)s", len(user.team_ids), name=self.name)])
        if scope in ("dept", "dept_tree"):
            return sentences([own, self._value("department") if "department" in entity.fields else ""]) if entity.defn.owned else own
        return ""

    def _value(self, key: str) -> str:
        """“Owner: Li Na”, as far as the asker may see it."""
        return titled(pick(self.entity.fields[key].label), self._open[key] or _("empty") if key in self._open else _("not shown to you"))

    def _shown(self, text: str) -> str:
        """A condition with what its fields hold on the record."""
        keys = dict.fromkeys(path[0] for path in sorted(ex.needs(ex.parse(text)).paths) if path[0] in self.entity.fields)
        values = [self._value(key) for key in keys] if self.row is not None else []
        words = self.say(self.entity, text)
        return _("%(condition)s (%(values)s)", condition=words, values=sentences(values)) if values else words

    def _condition(self, name: str, text: str, condition: str | None = None) -> list[Step]:
        condition = condition or getattr(self.entity.defn, name, None)
        if not condition:
            return []
        return [Step(text, None if self.row is None else self.row.holds[name], self._shown(condition))]

    async def _children(self) -> list[Step]:
        """Records below that keep this one from being deleted."""
        found = []
        for relation in self.entity.children.values() if self.row is not None else ():
            if relation.on_delete == "restrict" and not relation.many:
                count = len(await children_of(self.conn, self.them, relation, self.row, "LIMIT 1000"))
                label = pick(self.them.config.entity(relation.child).defn.plural)
                found.append(Step(_("Nothing in “%(label)s” belongs to it any more", label=label), not count, ngettext("%(count)s record", "%(count)s records", count) if count else ""))
        return found

    async def _attempt(self, steps: list[Step], operation: Callable[[Row], Any]) -> list[Step]:
        """What the engine says when it is really done; undone at once. Only where nothing else stands against it."""
        if self.row is None or any(s.holds is False for s in [*self._person(write=True), *steps]):
            return []
        try:
            async with self.conn.transaction():
                await execute(self.them.replace(foreseeing=True), operation(self.row))
                raise _Undo
        except _Undo:
            return []
        except AppError as error:
            return [Step(_("Nothing else stands against it when it is tried"), False, self._words(error))]

    def _words(self, error: AppError) -> str:
        if not isinstance(error, InvalidInput):
            return str(error.message)
        labels = {key: pick(f.label) for key, f in self.entity.fields.items()}
        return sentences(dict.fromkeys(titled(labels.get(p.field, ""), p.message) for p in error.problems)) or str(error.message)
