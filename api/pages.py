"""The pages: the dashboard's static files from `web/`, and the API's documentation. Nothing comes from another host."""

from importlib.util import find_spec
from pathlib import Path

from flask import Blueprint, Flask, Response, send_from_directory, url_for
from werkzeug.routing import PathConverter

WEB = Path(__file__).parent.parent / "web"

DOCS_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Tapewatch API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="docs/favicon-32x32.png">
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</html>
"""
DOCS_START = 'SwaggerUIBundle({{url: "{url}", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null}});\n'


class AssetConverter(PathConverter):
    """A path that ends like a file of the dashboard; so no other unknown path is taken for one."""

    regex = r"(?:[\w-]+/)*[\w.-]+\.(?:html|css|js|mjs|map|json|svg|png|ico|woff2|txt)"


def register_pages(app: Flask, url_prefix: str) -> None:
    """Serve the dashboard at `/` and the documentation under the API's prefix."""
    app.url_map.converters["asset"] = AssetConverter
    pages = Blueprint("pages", __name__)
    pages.get("/")(get_index)
    pages.get("/<asset:path>")(get_asset)
    pages.get(f"{url_prefix}/docs")(get_docs)
    pages.get(f"{url_prefix}/docs/<asset:path>")(get_docs_asset)
    app.register_blueprint(pages)


def get_index() -> Response:
    """Return the dashboard."""
    return send_from_directory(WEB, "index.html")


def get_asset(path: str) -> Response:
    """Return one of the dashboard's files."""
    return send_from_directory(WEB, path)


def get_docs() -> Response:
    """Return the page that shows the OpenAPI document."""
    return Response(DOCS_PAGE, content_type="text/html; charset=utf-8")


def get_docs_asset(path: str) -> Response:
    """Return a file of that page: ours, or one of the swagger-ui distribution."""
    if path == "start.js":
        script = DOCS_START.format(url=url_for("openapi.spec"))
        return Response(script, content_type="text/javascript; charset=utf-8")
    return send_from_directory(_find_swagger_ui(), path)


def _find_swagger_ui() -> Path:
    spec = find_spec("flask_swagger_ui")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package flask-swagger-ui is not installed")
    return Path(spec.origin).parent / "dist"
