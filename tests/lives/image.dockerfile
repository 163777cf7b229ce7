FROM registry.example/ordinary/debian:12
COPY . /
