# Two images from one file:
#   docker build -t som-oracle .                        the service, without TensorFlow
#   docker build -t som-oracle:train --target train .   with everything that training needs
#
# The steps are ordinary pip commands on the hash-locked versions; tests/e2e/docs/test_docker_steps.py
# runs them in a fresh virtual environment. The base is taken by its digest, of all platforms; a newer
# one: docker buildx imagetools inspect python:3.12-slim

FROM python:3.12-slim@sha256:78387bc3881b8273120a12ebe6c1ab22b018ccc2c9adf565ae1ac9b536e184ea AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY locks/build.txt locks/serve.txt locks/
RUN python -m venv /opt/oracle \
 && /opt/oracle/bin/pip install --require-hashes -r locks/build.txt -r locks/serve.txt
COPY pyproject.toml README.md LICENSE ./
COPY oracle/ oracle/
COPY collector/ collector/
COPY models/ models/
RUN /opt/oracle/bin/pip install --no-deps --no-build-isolation .

FROM build AS build-train
COPY locks/dev.txt locks/
RUN /opt/oracle/bin/pip install --require-hashes -r locks/dev.txt

FROM python:3.12-slim@sha256:78387bc3881b8273120a12ebe6c1ab22b018ccc2c9adf565ae1ac9b536e184ea AS runtime
RUN useradd --uid 10001 --create-home --home-dir /srv/oracle oracle \
 && mkdir /data /models && chown oracle:oracle /data /models
ENV PATH=/opt/oracle/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    OMP_NUM_THREADS=1 ORACLE_HOST=0.0.0.0 ORACLE_DATA_DIR=/data ORACLE_MODELS=/models
WORKDIR /srv/oracle
USER 10001
VOLUME ["/data", "/models"]

FROM runtime AS train
COPY --from=build-train /opt/oracle /opt/oracle
ENTRYPOINT ["oracle"]
CMD ["train", "--help"]

FROM runtime AS serve
COPY --from=build /opt/oracle /opt/oracle
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
ENTRYPOINT ["oracle"]
CMD ["serve"]
