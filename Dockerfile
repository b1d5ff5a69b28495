# GuideLabel on a CPU. Not built by our tests. In the clone, then in the folder of a project:
#   docker build --tag guidelabel .
#   docker run --rm --interactive --tty --user "$(id -u):$(id -g)" --volume "$PWD:/project" guidelabel run
# The first stage has a compiler, for the dense CRF. The second has only what runs.
FROM python:3.12-slim AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --no-install-recommends --yes g++ \
 && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir uv==0.13.9 && uv venv /opt/guidelabel
WORKDIR /source
COPY . .
RUN uv pip install --no-cache --python /opt/guidelabel/bin/python --torch-backend=cpu '.[train]'

FROM python:3.12-slim
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --no-install-recommends --yes git \
 && rm -rf /var/lib/apt/lists/* \
 && mkdir --mode 1777 /home/guidelabel
COPY --from=build /opt/guidelabel /opt/guidelabel
# Any user may run it: caches go to a home folder that all may write.
ENV PATH=/opt/guidelabel/bin:$PATH HOME=/home/guidelabel
USER 1000
WORKDIR /project
ENTRYPOINT ["guidelabel"]
CMD ["--help"]
