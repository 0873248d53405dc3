"""Answers of JSON and the pages' files are compressed by zstd or gzip for clients that read it."""

from http import HTTPStatus

from flask import Flask, Response
from flask_compress import Compress


def register_compression(app: Flask) -> None:
    """Compress the answers of `app`.

    Event streams stay as they are: their mimetype is none that is compressed.
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
        ):  # a range is one of the file as it is
            return response
        etag, content = response.headers.get("ETag"), response.response
        response = compress.after_request(response)
        if etag is not None:
            # An ETag of ours names a version, which If-Match and If-None-Match bring back, in
            # whatever encoding.
            response.headers["ETag"] = etag
        if response.response is not content and hasattr(content, "close"):
            response.call_on_close(content.close)
        return response

    app.after_request(compress_answer)
