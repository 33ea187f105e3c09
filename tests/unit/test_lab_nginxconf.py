"""How the lab reads a gateway's configuration."""

from __future__ import annotations

import pytest

from recovery.lab.nginxconf import Gateway, ShapeError, gateway, parse
from recovery.lab.shapes import files_beside
from recovery.model.estate import DataCentreName
from recovery.render import Renderer, Templates
from tests.places import CLOUD, PDNS, an_estate

SIMPLE = """
http {
    upstream service { server 127.0.0.1:8443; keepalive 4; }
    upstream other { server 127.0.0.1:9443; }
    server {
        listen 127.0.0.1:8080;   # loopback { only ;
        location = /pulih/probe { proxy_pass https://service; }
        location / { proxy_pass https://other; }
    }
}
"""


def read(text: str) -> Gateway:
    return gateway(parse(text))


def test_the_probe_goes_where_its_own_location_says() -> None:
    assert read(SIMPLE) == Gateway(listens=frozenset({("127.0.0.1", 8080)}), probe_goes_to=("127.0.0.1", 8443))


@pytest.mark.parametrize(
    ("locations", "port"),
    [
        ("location / { proxy_pass http://127.0.0.1:1; } location /pulih/ { proxy_pass http://127.0.0.1:2; }", 2),
        (
            "location /pulih/probe { proxy_pass http://127.0.0.1:1; }"
            "location = /pulih/probe { proxy_pass http://127.0.0.1:2; }",
            2,
        ),
        ("location /other { proxy_pass http://127.0.0.1:1; } location / { proxy_pass http://127.0.0.1:2; }", 2),
        ("location = /pulih { proxy_pass http://127.0.0.1:1; } location / { proxy_pass http://127.0.0.1:2/x; }", 2),
        ("location / { proxy_pass https://[2001:db8::1]:2; }", 2),
    ],
)
def test_the_best_location_wins_as_in_nginx(locations: str, port: int) -> None:
    assert read(f"server {{ listen 127.0.0.1:80; {locations} }}").probe_goes_to[1] == port


@pytest.mark.parametrize("placed", [PDNS, CLOUD])
def test_what_is_rendered_leads_to_the_endpoint_that_is_declared(placed: DataCentreName) -> None:
    estate = an_estate(placed=placed)
    renderer = Renderer(estate, Templates.load(estate.templates))
    for region, office, unit in estate.places():
        files = {file.path: file.content.decode() for file in renderer.unit(region, office, unit).files}
        directives = parse(files["gateway/nginx.conf"])
        endpoint = estate.endpoint[unit.service, placed]
        assert gateway(directives) == Gateway(
            listens=frozenset({("127.0.0.1", unit.gateway_port)}),
            probe_goes_to=(endpoint.address, endpoint.port),
        )
        assert {f"gateway/{name}" for name in files_beside(directives)} == {"gateway/trust-anchors.pem"}


def test_what_is_rendered_for_an_endpoint_leads_to_its_application() -> None:
    estate = an_estate()
    renderer = Renderer(estate, Templates.load(estate.templates))
    for endpoint in estate.data_centre[PDNS].endpoints:
        files = {file.path: file.content.decode() for file in renderer.endpoint(endpoint).files}
        assert gateway(parse(files["gateway/nginx.conf"])) == Gateway(
            listens=frozenset({(endpoint.address, endpoint.port)}),
            probe_goes_to=("127.0.0.1", endpoint.app_port),
        )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty"),
        ("# nothing\n", "empty"),
        (SIMPLE[: SIMPLE.rindex("}")], "a `}` is missing"),
        (SIMPLE + "}", "a `}` too many"),
        (SIMPLE.replace("9443;", "9443"), "is not ended by `;`"),
        (SIMPLE.replace("listen 127.0.0.1:8080;", ""), "no `listen`"),
        (SIMPLE.replace("127.0.0.1:8080", "everywhere"), "not an address and a port"),
        (SIMPLE.replace("location", "allocation"), "no `proxy_pass` for /pulih/probe"),
        (SIMPLE.replace("https://service", "service"), "is not a URL"),
        (SIMPLE.replace("upstream service", "upstream services"), "`service` is not an address"),
        (SIMPLE.replace("keepalive 4;", ";"), "without a directive"),
        (SIMPLE.replace("127.0.0.1:8443", '"127.0.0.1:8443'), "a quote that does not end"),
        ("listen 127.0.0.1:80", "is not ended by `;`"),
    ],
)
def test_a_text_that_is_no_gateway_is_refused_with_the_reason(text: str, complaint: str) -> None:
    with pytest.raises(ShapeError, match=complaint):
        read(text)


def test_words_in_quotes_may_hold_marks() -> None:
    (directive,) = parse("""add_header "X-A;B" 'c {d}';""")
    assert directive.words == ("X-A;B", "c {d}")
