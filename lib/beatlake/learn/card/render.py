"""A card's files from its facts."""

from __future__ import annotations

import base64

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from beatlake.learn.card.document import Section, plain
from beatlake.learn.card.facts import CardFacts
from beatlake.learn.card.markdown import escaped
from beatlake.learn.card.pictures import drawn
from beatlake.learn.card.sections import sections


def render(facts: CardFacts) -> dict[str, bytes]:
    """The card as files by name: ``card.html`` (images within), ``card.md`` and its ``*.png``.

    The same facts give the same bytes. Texts are shown as they are, whatever they hold; characters
    that would change how what follows them is shown are left out.
    """
    pictures, files = drawn(facts)
    said = sections(facts, pictures)
    images = {name: base64.b64encode(content).decode() for name, content in files.items()}
    return {
        "card.html": _set("card.html.j2", facts, said, images, html=True),
        "card.md": _set("card.md.j2", facts, said, images, html=False),
        **files,
    }


def _set(
    template: str,
    facts: CardFacts,
    said: tuple[Section, ...],
    images: dict[str, str],
    *,
    html: bool,
) -> bytes:
    environment = Environment(
        loader=PackageLoader("beatlake.learn.card"),
        autoescape=html,
        finalize=_plain if html else _markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["of_kind"] = lambda block, kind: type(block).__name__ == kind
    text = environment.get_template(template).render(
        title=f"{facts.task}, version {facts.version}", sections=said, images=images
    )
    return (text.rstrip() + "\n").encode()


def _plain(value: object) -> object:
    return value if isinstance(value, Markup) else plain(str(value))


def _markdown(value: object) -> object:
    return value if isinstance(value, Markup) else escaped(plain(str(value)))
