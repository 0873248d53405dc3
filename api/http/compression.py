"""Compression: JSON answers and the pages' files are sent as zstd or gzip to clients that accept
it.
"""

from http import HTTPStatus

from flask import Flask, Response
from flask_compress import Compress


def register_compression(app: Flask) -> None:
    """Compress the answers of `app`.

    Event streams are not compressed: their MIME type is not in the list.
    """
    algorithms = ["zstd", "gzip"]
    app.config.update(
        COMPRESS_REGISTER=False,
        COMPRESS_ALGORITHM=algorithms,
        COMPRESS_ALGORITHM_STREAMING=algorithms,
        COMPRESS_EVALUATE_CONDITIONAL_REQUEST=False,
    )
    compress = Compress(app)

    def compress_answer(response: Response) -> Response:
        if (
            response.status_code == HTTPStatus.PARTIAL_CONTENT
        ):  # a range is a part of the uncompressed file
            return response
        etag, content = response.headers.get("ETag"), response.response
        response = compress.after_request(response)
        if etag is not None:
            # Our ETag names a version in whatever encoding; If-Match and If-None-Match send it
            # back.
            response.headers["ETag"] = etag
        if response.response is not content and hasattr(content, "close"):
            response.call_on_close(content.close)
        return response

    app.after_request(compress_answer)
