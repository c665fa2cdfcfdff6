"""The pages that every section of the configuration has whose definitions are a form each: begin one, open, save, take away. What the
form shows, and how it is read, is the section's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from litestar import Request, Response, get, post
from litestar.datastructures import FormMultiDict
from litestar.params import FromPath

from saas.errors import NotFound
from saas.i18n import LazyString, lazy
from saas.metadata.config import Entity
from saas.ui.builder import words
from saas.ui.builder.desk import Desk, open_desk
from saas.ui.builder.removal import ask_removal, take_out

Raw = Mapping[str, Any]
WHICH = lazy("Which records is it about?")


class Section(Protocol):
    """`part`: its place below /settings and in the navigation."""

    @property
    def part(self) -> str: ...
    @property
    def noun(self) -> LazyString: ...
    @property
    def title(self) -> LazyString: ...
    @property
    def new(self) -> LazyString: ...
    @property
    def about(self) -> LazyString: ...
    @property
    def url(self) -> str: ...
    def path(self, key: str) -> str: ...


S = TypeVar("S", bound=Section)
Draw = Callable[[Desk, S, Raw], Awaitable[Response[Any]]]  # the form of a definition; without a key, that of a new one about its `entity`
Save = Callable[[Desk, S, Raw, FormMultiDict], Awaitable[Response[Any]]]


def addresses(sections: Sequence[Section], rest: str = "") -> list[str]:
    return [f"{section.url}{rest}" for section in sections]


async def ask_entity(desk: Desk, part: str, entities: Iterable[Entity], *, title: str, back_text: str, question: LazyString | str = WHICH) -> Response[Any]:
    """The question which records a new definition below /settings/`part` is about."""
    url = f"/settings/{part}"
    tiles = [{"url": f"{url}/new?entity={e.key}", "icon": e.defn.icon, "text": desk.words(e.defn.plural, e.key), "note": desk.words(e.defn.description)} for e in entities]
    return await desk.page("settings/design_flow/choose", part, title=title, question=str(question), tiles=tiles, back=url, back_text=back_text)


async def entity_and_form(desk: Desk) -> tuple[str, FormMultiDict]:
    """Which entity the form of a new definition is about, and the form. Errors: NotFound."""
    form = await desk.ask.form()
    entity = str(form.get("entity") or "")
    if entity not in desk.config.entities:
        raise NotFound()
    return entity, form


def pages(sections: Sequence[S], draw: Draw[S], keep: Save[S]) -> list[Any]:
    """Route handlers for all of them."""
    by_part = {section.part: section for section in sections}

    def section_of(request: Request) -> S:
        return by_part[request.url.path.split("/")[2]]

    @get(addresses(sections, "/new"))
    async def new(request: Request) -> Response[Any]:
        """The form for an entity, or the question which one it is about."""
        desk, section = await open_desk(request), section_of(request)
        key = request.query_params.get("entity", "")
        if key in desk.config.entities:
            return await draw(desk, section, {"entity": key})
        return await ask_entity(desk, section.part, desk.config.entities.values(), title=str(section.new), back_text=str(section.title), question=section.about)

    @post(addresses(sections, "/new"), status_code=200)
    async def create(request: Request) -> Response[Any]:
        desk, section = await open_desk(request), section_of(request)
        entity, form = await entity_and_form(desk)
        return await keep(desk, section, {"entity": entity}, form)

    @get(addresses(sections, "/{key:str}"))
    async def show(request: Request, key: FromPath[str]) -> Response[Any]:
        desk, section = await open_desk(request), section_of(request)
        return await draw(desk, section, desk.find(section.path(key)))

    @post(addresses(sections, "/{key:str}"), status_code=200)
    async def save(request: Request, key: FromPath[str]) -> Response[Any]:
        desk, section = await open_desk(request), section_of(request)
        return await keep(desk, section, desk.find(section.path(key)), await desk.ask.form())

    @get(addresses(sections, "/{key:str}/remove"))
    async def ask_remove(request: Request, key: FromPath[str]) -> Response[Any]:
        desk, section = await open_desk(request), section_of(request)
        name = desk.words(desk.find(section.path(key)).get("label"), key)
        return await ask_removal(desk, section.path(key), section.part, name=name, back=f"{section.url}/{key}", action=f"{section.url}/{key}/remove")

    @post(addresses(sections, "/{key:str}/remove"), status_code=200)
    async def remove(request: Request, key: FromPath[str]) -> Response[Any]:
        desk, section = await open_desk(request), section_of(request)
        name = desk.words(desk.find(section.path(key)).get("label"), key)
        await take_out(desk, await desk.ask.form(), section.path(key), words.removed(str(section.noun), name))
        return desk.done(section.url)

    return [new, create, show, save, ask_remove, remove]
