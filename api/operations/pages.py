"""The pages: the dashboard's static files from `web/`, and the API's documentation.

Nothing comes from another host.
"""

from importlib.util import find_spec
from pathlib import Path

from flask import Blueprint, Flask, Response, request, send_from_directory, url_for
from werkzeug.routing import PathConverter

from api.http.build import get_build

WEB = Path(__file__).parents[2] / "web"
ALL_STYLES = "styles/all.css"
# The order matters: of two equally specific rules the later one applies.
STYLES = (
    *("tokens", "base", "shell", "components", "forms", "filters", "anomalies", "lanes"),
    *("ticker", "market", "pages", "series", "alerts"),
)

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
# The API's address relative to the page. It must not be set by a script, which would be inline.
API_FOLDER = '<meta name="api" content="{}" />'
# A tab that was opened before an upgrade notices the upgrade by this.
BUILD = '<meta name="build" content="{}" />'
DOCS_START = (
    'SwaggerUIBundle({{url: "{url}", dom_id: "#swagger-ui", deepLinking: true, validatorUrl:'
    " null}});\n"
)


class AssetConverter(PathConverter):
    """A path that ends like a file of the dashboard, so that no other unknown path counts as
    one.
    """

    regex = r"(?:[\w-]+/)*[\w.-]+\.(?:html|css|js|mjs|map|json|svg|png|ico|woff2|txt)"


def register_pages(app: Flask, url_prefix: str) -> None:
    """Serve the dashboard at `/` and the documentation under the API's prefix."""
    app.url_map.converters["asset"] = AssetConverter
    pages = Blueprint("pages", __name__)
    index = build_index(url_prefix)
    pages.get("/", endpoint="get_index")(lambda: answer_index(index))
    pages.get("/<asset:path>")(get_asset)
    pages.get(f"{url_prefix}/docs")(get_docs)
    pages.get(f"{url_prefix}/docs/<asset:path>")(get_docs_asset)
    app.register_blueprint(pages)


def build_index(url_prefix: str) -> str:
    """Return the dashboard's page, which contains the API's address."""
    page = (WEB / "index.html").read_text("utf-8")
    folder = url_prefix.removeprefix("/")
    return (
        page.replace(API_FOLDER.format("py"), API_FOLDER.format(folder))
        .replace(BUILD.format(""), BUILD.format(get_build()))
        .replace('"py/docs"', f'"{folder}/docs"' if folder else '"docs"')
    )


def answer_index(index: str) -> Response:
    """Return the dashboard."""
    return _answer_versioned(index, "text/html; charset=utf-8")


def _answer_styles() -> Response:
    """Answer with all styles as one file, because each separate request delays the first paint by
    some milliseconds.
    """
    files = [WEB / "styles" / f"{name}.css" for name in STYLES]
    return _answer_versioned(
        "".join(file.read_text("utf-8") for file in files), "text/css; charset=utf-8"
    )


def _answer_versioned(content: str, content_type: str) -> Response:
    response = Response(content, content_type=content_type, headers={"Cache-Control": "no-cache"})
    response.add_etag()
    response.make_conditional(request)
    return response


def get_asset(path: str) -> Response:
    """Return one of the dashboard's files."""
    return _answer_styles() if path == ALL_STYLES else send_from_directory(WEB, path)


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
