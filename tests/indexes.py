"""Package indexes on loopback: wheels built here, and a simple index (PEP 503) of a folder's
files.
"""

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from packaging.utils import canonicalize_name


def make_wheel(folder: Path, name: str, version: str, *needs: str) -> Path:
    """Write the wheel of a package that has one empty module and requires other packages."""
    name = canonicalize_name(name).replace("-", "_")
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": "",
        f"{info}/METADATA": (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nProvides-Extra: mail\n"
            + "".join(f"Requires-Dist: {need}\n" for need in needs)
        ),
        f"{info}/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    record = "".join(
        f"{file},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},"
        f"{len(text)}\n"
        for file, text in files.items()
    )
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(file, text)
    return path


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve the wheels and archives of a folder as an index, and yield its address."""
    for file in folder.glob("*-*"):
        place = folder / "simple" / canonicalize_name(file.name.split("-")[0])
        place.mkdir(parents=True, exist_ok=True)
        (place / file.name).unlink(missing_ok=True)
        (place / file.name).hardlink_to(file)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple/"
        server.shutdown()
