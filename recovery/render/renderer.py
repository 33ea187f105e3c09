"""One estate and its templates → bundles."""

from __future__ import annotations

import json
from collections.abc import Iterator

from recovery.errors import DeclarationError, Mistake
from recovery.model.bundle import Bundle, RenderedFile
from recovery.model.estate import BastionName, Endpoint, Estate, Office, Region, Service, ServiceName, Unit
from recovery.render import scripts
from recovery.render.faults import fault
from recovery.render.syntax import finalize
from recovery.render.templates import ENDPOINT_HOST, FileTemplate, Kind, Templates, Word

_BY_NAME = (ServiceName("identity"), ServiceName("time"))
"""The supporting services that templates know by name."""

_Context = dict[str, object]


class Renderer:
    """Renders the units and endpoints of one estate.

    Attributes:
        estate: The estate.
        templates: Its templates.
    """

    def __init__(self, estate: Estate, templates: Templates) -> None:
        self.estate = estate
        self.templates = templates
        self._common: dict[tuple[str, str], RenderedFile] = {}

    def unit(self, region: Region, office: Office, unit: Unit) -> Bundle:
        """Render one unit.

        Raises:
            DeclarationError: Its templates need something that the estate doesn't declare, or a declared value may not
                stand where they put it.
        """
        service = self.estate.service[unit.service]
        endpoint = self._serving(service.name, region)
        if endpoint is None:
            words = f"{unit.name} needs an endpoint of it at the data centre where it is placed"
            raise self._mistake("placement.yaml", f"placement.{service.name}", words)
        if service.unit_kind is None:
            raise self._mistake(
                "services.yaml", service.name, f"{unit.name} is of this service, which has no unit_kind"
            )
        supporting = {name: self._serving(name, region) for name in _BY_NAME}
        context = self._context(service, endpoint, office.bastion, supporting)
        context |= {"region": region, "office": office, "unit": unit, "login": unit.login, "root": unit.root}
        return self._bundle(service.unit_kind, unit.name, endpoint, context)

    def endpoint(self, endpoint: Endpoint) -> Bundle:
        """Render the host of one endpoint.

        Raises:
            DeclarationError: As for a unit.
        """
        bastion = self.estate.data_centre[endpoint.data_centre].bastion
        beside = {name: self.estate.endpoint.get((name, endpoint.data_centre)) for name in _BY_NAME}
        context = self._context(self.estate.service[endpoint.service], endpoint, bastion, beside)
        context |= {"login": endpoint.login, "root": endpoint.root}
        return self._bundle(ENDPOINT_HOST, endpoint.name, endpoint, context)

    def _serving(self, service: ServiceName, region: Region) -> Endpoint | None:
        try:
            data_centre = self.estate.placement.of(service, region.name)
        except KeyError:
            return None
        return self.estate.endpoint.get((service, data_centre))

    def _context(
        self,
        service: Service,
        endpoint: Endpoint,
        bastion: BastionName | None,
        supporting: dict[ServiceName, Endpoint | None],
    ) -> _Context:
        return {
            "estate": self.estate,
            "service": service,
            "endpoint": endpoint,
            "data_centre": self.estate.data_centre[endpoint.data_centre],
            "bastion": None if bastion is None else self.estate.bastions[bastion],
            **{name: found for name, found in supporting.items() if found is not None},
        }

    def _mistake(self, file: str, path: str, message: str) -> DeclarationError:
        return DeclarationError([Mistake(file=self.estate.folder / file, line=1, path=path, message=message)])

    def _bundle(self, kind_name: str, host: str, endpoint: Endpoint, context: _Context) -> Bundle:
        kind = self.templates.kinds.get(kind_name)
        if kind is None:
            file = self.templates.folder / kind_name / "unit.yaml"
            words = f"the file is missing, and {host} is of this kind"
            raise DeclarationError([Mistake(file=file, line=1, path="(file)", message=words)])
        files = [self._file(file, kind, host, context) for file in kind.files]
        return Bundle.of([*files, *_scripts(kind, host, endpoint, context)])

    def _file(self, file: FileTemplate, kind: Kind, host: str, context: _Context) -> RenderedFile:
        key = (kind.name, file.path)
        if file.is_common and key in self._common:
            return self._common[key]
        try:
            text = file.template.render(context)
        except Exception as error:
            raise fault(error, host, context, file.source, 1) from error
        if file.path.endswith(".json"):
            _check_json(text, file, host)
        rendered = RenderedFile(path=file.path, mode=file.mode, content=text.encode())
        if file.is_common:
            self._common[key] = rendered
        return rendered


def _check_json(text: str, file: FileTemplate, host: str) -> None:
    try:
        json.loads(text)
    except ValueError as error:
        words = f"what it makes of {file.path} for {host} is no JSON: {error}"
        raise DeclarationError([Mistake(file=file.source, line=1, path="(template)", message=words)]) from error


def _scripts(kind: Kind, host: str, endpoint: Endpoint, context: _Context) -> Iterator[RenderedFile]:
    with_nonce = {**context, "nonce": scripts.NONCE}
    lines = {
        name: [[_word(word, kind, host, with_nonce) for word in command] for command in commands]
        for name, commands in kind.scripts.items()
    }
    answer = f"pulih-probe/1 data-centre={endpoint.data_centre} service={endpoint.service} nonce="
    try:
        finalize(host)  # it stands in a comment of each script
    except Exception as error:
        raise fault(error, host, context, kind.file, 1) from error
    contents = {
        "validate": scripts.sequence(f"Checks this bundle of {host} before it is used", lines["validate"]),
        "reload": scripts.sequence(f"Makes the programs of {host} read this bundle", lines["reload"]),
        "probe": scripts.transaction(f"Sends a test transaction through {host}", lines["probe"], answer),
    }
    for name, content in contents.items():
        yield RenderedFile(path=f"unit/{name}", mode=0o755, content=content)


def _word(word: Word, kind: Kind, host: str, context: _Context) -> str:
    if word.template is None:
        return word.argument.text
    try:
        return word.template.render(context)
    except Exception as error:
        raise fault(error, host, context, kind.file, word.argument.line) from error
